"""Row faults: how does a producer write poison, or write events twice, without being changed?

A trigger in the lab's database spoils every n-th row that comes in, so that the spoilt rows have
the traces and the times of real ones. It acts only while its lease in the same database lasts,
and notes each row that it spoilt in the transaction that spoils it. What it leaves after its lease,
trigger, rule and spoilt rows, the drill's keeper takes back when the runner is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, LiteralString

from loomtriage.contract.keys import SEARCH
from loomtriage.drills.database import owner_session
from loomtriage.drills.fault import Undo
from loomtriage.drills.loopback import ask
from loomtriage.drills.recovery import Recovery
from loomtriage.lab.state import INDEX
from loomtriage.model import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from loomtriage.drills.database import Connection
    from loomtriage.lab.state import LabState

POISON, TWICE = "row_poison", "row_twice"
LEASE_S = 10.0

_LEDGER: LiteralString = """
CREATE SCHEMA IF NOT EXISTS rehearsal;
CREATE TABLE IF NOT EXISTS rehearsal.rule (fault_id text PRIMARY KEY, kind text NOT NULL,
    every integer NOT NULL, seen integer NOT NULL DEFAULT 0, lease_until timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS rehearsal.spoilt (fault_id text NOT NULL, row_id uuid NOT NULL);
CREATE OR REPLACE FUNCTION rehearsal.meet(wanted text) RETURNS text LANGUAGE sql AS $$
    UPDATE rehearsal.rule SET seen = seen + 1
    WHERE kind = wanted AND lease_until > clock_timestamp()
    RETURNING CASE WHEN seen % every = 0 THEN fault_id END $$;
CREATE OR REPLACE FUNCTION rehearsal.row_poison() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE mine text;
BEGIN
    -- The row of a change is never inserted: its conflict turns it into an update.
    IF NOT EXISTS (SELECT 1 FROM search_index AS s
            WHERE s.entity_type = NEW.entity_type AND s.entity_id = NEW.entity_id) THEN
        mine := rehearsal.meet('row_poison');
    END IF;
    IF mine IS NOT NULL THEN
        NEW.rank_score := 'NaN';
        INSERT INTO rehearsal.spoilt VALUES (mine, NEW.entity_id);
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION rehearsal.row_twice() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE mine text := rehearsal.meet('row_twice');
BEGIN
    IF mine IS NOT NULL THEN
        NEW.id := gen_random_uuid();
        INSERT INTO search_outbox_events VALUES (NEW.*);
        INSERT INTO rehearsal.spoilt VALUES (mine, NEW.id);
    END IF;
    RETURN NULL;
END $$;
"""
_TRIGGER: dict[str, LiteralString] = {
    POISON: """CREATE TRIGGER row_poison BEFORE INSERT ON search_index
        FOR EACH ROW EXECUTE FUNCTION rehearsal.row_poison()""",
    TWICE: """CREATE TRIGGER row_twice AFTER INSERT ON search_outbox_events
        FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION rehearsal.row_twice()""",
}
_END: dict[str, LiteralString] = {
    POISON: """DROP TRIGGER IF EXISTS row_poison ON search_index;
        UPDATE search_index SET rank_score = 0 WHERE rank_score = 'NaN'""",
    TWICE: "DROP TRIGGER IF EXISTS row_twice ON search_outbox_events",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """Every n-th row that comes in is spoilt."""

    lab: LabState
    planned: Undo
    every: int
    lease_s: float

    def apply(self) -> Undo:
        """Put the ledger, the rule and the trigger in place, in one transaction."""
        kind = self.planned.kind
        with owner_session(self.lab) as session, session.transaction():
            session.execute(_LEDGER)
            session.execute("TRUNCATE rehearsal.spoilt")
            session.execute(
                "INSERT INTO rehearsal.rule (fault_id, kind, every, lease_until)"
                " VALUES (%s, %s, %s, clock_timestamp() + make_interval(secs => %s))",
                (self.planned.fault_id, kind, self.every, self.lease_s),
            )
            session.execute(_TRIGGER[kind])
        return self.planned

    def witness(self) -> Evidence | None:
        """Another session sees spoilt rows, and Elasticsearch itself refuses such a document."""
        spoilt = spoilt_rows(self.lab, self.planned.fault_id)
        if not spoilt or not self.is_active():
            return None
        if self.planned.kind == TWICE:
            says = f"Another session sees {spoilt} rows in the outbox that repeat an earlier one."
            return Evidence(kind="witness", ref="postgres search_outbox_events", says=says)
        path = f"/{INDEX}/_doc/witness-{self.planned.fault_id}"
        body = {"entity_type": "witness", "rank_score": "NaN"}
        status = ask("PUT", self.lab.elastic_direct_url + path, body=body).status_code
        if status != 400:
            return None
        says = (
            f"Another session sees {spoilt} spoilt rows, and Elasticsearch itself refuses "
            "a document like theirs with status 400."
        )
        return Evidence(kind="witness", ref="postgres search_index", says=says)

    def revert(self, undo: Undo) -> None:
        """Take trigger and rule away and repair what it spoilt."""
        end_rule(self.lab, undo)

    def is_active(self) -> bool:
        """Whether the rule stands and its lease lasts."""
        return _rules(self.lab).get(self.planned.fault_id, ("", False))[1]

    def renew(self) -> bool:
        """Prolong the lease."""
        with owner_session(self.lab) as session:
            done = session.execute(
                "UPDATE rehearsal.rule SET lease_until = clock_timestamp()"
                " + make_interval(secs => %s) WHERE fault_id = %s AND lease_until > now()",
                (self.lease_s, self.planned.fault_id),
            )
            return done.rowcount == 1

    def rows_made(self) -> Mapping[str, int]:
        """Rows that came into the search outbox beside those of the load."""
        if self.planned.kind != TWICE:
            return {}
        return {SEARCH: spoilt_rows(self.lab, self.planned.fault_id)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpoilRows:
    """Every n-th row that comes in is spoilt.

    Attributes:
        every: 1 spoils all rows, 3 every third one.
        lease_s: seconds that the fault lives without renewal.
    """

    every: int = 3
    lease_s: float = LEASE_S
    kind: str = ""

    def lacks(self, lab: LabState) -> str:
        """Nothing that a lab could be without."""
        return ""

    def bind(self, lab: LabState, *, fault_id: str) -> RowFault:
        """The fault on that lab."""
        undo = Undo(kind=self.kind, fault_id=fault_id, lab_id=lab.lab_id)
        return RowFault(lab=lab, planned=undo, every=self.every, lease_s=self.lease_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonRows(_SpoilRows):
    """Every n-th new document does not fit the mapping."""

    kind: str = POISON

    def vary(self, draw: Random) -> PoisonRows:
        """Another share of the rows."""
        return replace(self, every=draw.choice((2, 3, 4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsTwice(_SpoilRows):
    """Every n-th event is put into the outbox twice."""

    kind: str = TWICE

    def vary(self, draw: Random) -> RowsTwice:
        """Another share of the rows."""
        return replace(self, every=draw.choice((1, 2)))


def spoilt_rows(lab: LabState, fault_id: str) -> int:
    """How many rows that fault has spoilt, also after it was taken back."""
    with owner_session(lab) as session:
        if not _has_ledger(session):
            return 0
        found = session.execute(
            "SELECT count(*) FROM rehearsal.spoilt WHERE fault_id = %s", (fault_id,)
        ).fetchone()
        return int(str(found[0])) if found else 0


def end_rule(lab: LabState, undo: Undo) -> None:
    """Take one rule away; a no-op when it was never there."""
    with owner_session(lab) as session:
        if not _has_ledger(session):
            return
        with session.transaction():
            gone = session.execute(
                "DELETE FROM rehearsal.rule WHERE fault_id = %s", (undo.fault_id,)
            )
            if gone.rowcount:
                session.execute(_END[undo.kind])


def _rules(lab: LabState) -> dict[str, tuple[str, bool]]:
    """Kind, and whether the lease lasts, by fault id of the rules in the ledger."""
    with owner_session(lab) as session:
        if not _has_ledger(session):
            return {}
        found = session.execute(
            "SELECT fault_id, kind, lease_until > clock_timestamp() FROM rehearsal.rule"
        )
        return {str(fault_id): (str(kind), bool(lasts)) for fault_id, kind, lasts in found}


def _has_ledger(session: Connection) -> bool:
    found = session.execute("SELECT to_regclass('rehearsal.rule') IS NOT NULL").fetchone()
    return bool(found and found[0])


def _sweep(lab: LabState) -> tuple[str, ...]:
    found = _rules(lab)
    for fault_id, (kind, _) in found.items():
        end_rule(lab, Undo(kind=kind, fault_id=fault_id, lab_id=lab.lab_id))
    return tuple(found)


RECOVERY = Recovery(
    kinds=(POISON, TWICE),
    revert=end_rule,
    standing=lambda lab: tuple(_rules(lab)),
    sweep=_sweep,
)
