"""Rows: what does the lab's database say of its outboxes and of itself? Read only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql

from loomtriage.contract.keys import OUTBOX_TABLES
from loomtriage.errors import SourceUnavailable

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

ACTIVE = ("pending", "processing")
DONE, FAILED = "done", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the database says of itself; empty where it says nothing.

    Attributes:
        project, env: the environment sentinel.
        lab_id: the lab marker.
    """

    project: str = ""
    env: str = ""
    lab_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows by projection and status."""

    by_status: Mapping[str, Mapping[str, int]]

    def total(self, *statuses: str, projection: str = "") -> int:
        """Rows in these statuses (all of them when none is given)."""
        return sum(
            count
            for name, counts in self.by_status.items()
            if projection in ("", name)
            for status, count in counts.items()
            if not statuses or status in statuses
        )

    def not_done(self) -> dict[str, dict[str, int]]:
        """Counts of every other status than done, without zeros."""
        return {
            name: {status: n for status, n in sorted(counts.items()) if n and status != DONE}
            for name, counts in sorted(self.by_status.items())
        }


def count_rows(lab: LabState) -> RowCounts:
    """Count all outbox rows.

    Raises:
        SourceUnavailable: the database does not answer.
    """
    query = sql.SQL("SELECT status, count(*) FROM {} GROUP BY status")
    counts = {}
    for projection, table in OUTBOX_TABLES.items():
        found = _ask(lab, query.format(sql.Identifier(table)))
        counts[projection] = {str(status): int(str(n)) for status, n in found}
    return RowCounts(by_status=counts)


def read_marks(lab: LabState) -> Marks:
    """Read sentinel and marker; a missing table or row is an empty text.

    Raises:
        SourceUnavailable: the database does not answer.
    """
    sentinel = _ask_or_none(lab, "SELECT project, env FROM environment_sentinel WHERE id = 1")
    marker = _ask_or_none(lab, "SELECT lab_id, '' FROM lab_marker")
    return Marks(project=sentinel[0], env=sentinel[1], lab_id=marker[0])


def _ask_or_none(lab: LabState, query: LiteralString) -> tuple[str, str]:
    try:
        found = _ask(lab, sql.SQL(query))
    except psycopg.errors.UndefinedTable:
        return "", ""
    return (str(found[0][0]), str(found[0][1])) if len(found) == 1 else ("", "")


def _ask(lab: LabState, query: sql.SQL | sql.Composed) -> list[tuple[object, ...]]:
    try:
        with psycopg.connect(lab.dsn, connect_timeout=3, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = on")
            connection.execute("SET statement_timeout = '5s'")
            return connection.execute(query).fetchall()
    except psycopg.OperationalError as error:
        raise SourceUnavailable(
            f"The lab's database on port {lab.ports['postgres']} did not answer: "
            f"{type(error).__name__}.",
            hint="Look at `loomtriage lab status`.",
        ) from error
