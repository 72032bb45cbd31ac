"""Effects: does what the projections wrote say just what the events say, in order?

The search index is compared with the last event of each entity, the chronicle entry by entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loomtriage.drills.database import owner_session
from loomtriage.drills.loopback import ask
from loomtriage.errors import SourceUnavailable
from loomtriage.lab.state import INDEX
from loomtriage.model import Finding, State

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

CHECK = "drill.effects"
WINDOW = 10_000
"""Documents that one search may return."""

_LAST = """SELECT DISTINCT ON (e.entity_type, e.entity_id)
    e.entity_type || ':' || e.entity_id, e.op, e.status, s.event_version, s.text
FROM search_outbox_events AS e
LEFT JOIN search_index AS s USING (entity_type, entity_id)
WHERE e.created_at >= %(since)s
ORDER BY e.entity_type, e.entity_id, e.event_version DESC, e.created_at DESC"""

# A row that was replayed is late by intent; its document carries a version and cannot go back.
_DISORDER = """SELECT count(*) FROM (
    SELECT processed_at < lag(processed_at) OVER (
        PARTITION BY entity_type, entity_id ORDER BY event_version, processed_at) AS is_early
    FROM search_outbox_events
    WHERE created_at >= %(since)s AND status = 'done' AND replay_count = 0) AS done
WHERE is_early"""


# What the rule itself writes, such as the summary, may differ between two versions of it. An
# entry has the id of its event: one that came twice stands under an id that no event has.
_CHRONICLE = """WITH done AS (SELECT DISTINCT e.* FROM chronicle_events AS e
    JOIN chronicle_outbox_events AS o ON o.entity_id = e.id
    WHERE o.created_at >= %(since)s AND o.status = 'done')
SELECT (SELECT count(*) FROM done), (SELECT count(*) FROM chronicle_outbox_events
    WHERE created_at >= %(since)s AND status <> 'done'), array(
    SELECT done.id::text FROM done LEFT JOIN chronicle_entries AS n USING (id)
    WHERE (n.event_type, n.book_id, n.block_id, n.actor_id, n.occurred_at, n.payload)
        IS DISTINCT FROM (done.event_type, done.book_id, done.block_id, done.actor_id,
            done.occurred_at, done.payload)
    UNION ALL SELECT n.id::text FROM chronicle_entries AS n WHERE n.created_at >= %(since)s
        AND NOT EXISTS (SELECT FROM chronicle_events AS e WHERE e.id = n.id))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the index should hold for one entity; no version means no document."""

    doc_id: str
    version: int | None
    text: str | None


def check_effects(lab: LabState, *, since: datetime) -> Finding:
    """Compare index and chronicle with the events since then, by the last one of every entity.

    An event applied twice must leave what it left once, and a late one must not win. Events that
    were applied out of order without harm are WARN: the next time one may win. So are events that
    are not done; where a projection did none at all there is nothing to compare.
    """
    expected, unfinished, disorder = _expected(lab, since)
    documents = _documents(lab)
    if documents is None:
        says = f"The index holds more than {WINDOW} documents; this check reads no more."
        return Finding(check=CHECK, state=State.NO_DATA, says=says)
    if not expected:
        says = f"No changed entity was done, {unfinished} were not: there is nothing to compare."
        return Finding(check=CHECK, state=State.NO_DATA, says=says, n=0)
    wrong = [entity.doc_id for entity in expected if not _fits(entity, documents)]
    entries, waiting, bad_entries = _entries(lab, since)
    says = (
        f"{len(expected) - len(wrong)} of {len(expected)} changed entities stand in the index as "
        f"their last event says; {disorder} events were applied out of order. Of "
        f"{entries} chronicle entries {len(bad_entries)} do not say what their event says."
    )
    wrong += [f"chronicle:{event_id}" for event_id in bad_entries]
    if wrong:
        says += f" Wrong: {', '.join(wrong[:3])}."
    if unfinished or waiting:
        says += f" {unfinished} entities and {waiting} chronicle entries were not done."
    state = State.WARN if unfinished or waiting or disorder else State.OK
    if not entries:  # every load writes to a book, so the chronicle was told of something
        state = State.NO_DATA
    return Finding(
        check=CHECK,
        state=State.BAD if wrong else state,
        says=says,
        value=float(len(wrong) + disorder),
        unit="entities",
        threshold=0.0,
        n=len(expected) + entries,
    )


def _expected(lab: LabState, since: datetime) -> tuple[tuple[Expected, ...], int, int]:
    with owner_session(lab) as session:
        rows = session.execute(_LAST, {"since": since}).fetchall()
        early = session.execute(_DISORDER, {"since": since}).fetchone()
    done = [row for row in rows if row[2] == "done"]
    expected = tuple(
        Expected(
            doc_id=str(doc_id),
            version=int(str(version)) if op == "upsert" and version is not None else None,
            text=str(text) if op == "upsert" and version is not None else None,
        )
        for doc_id, op, _, version, text in done
    )
    return expected, len(rows) - len(done), int(str(early[0])) if early else 0


def _entries(lab: LabState, since: datetime) -> tuple[int, int, tuple[str, ...]]:
    """How many events are done, how many are not, and ids of entries that are missing or wrong."""
    with owner_session(lab) as session:
        row = session.execute(_CHRONICLE, {"since": since}).fetchone()
    assert row is not None  # noqa: S101  (it always counts)
    done, waiting, wrong = row
    ids = tuple(str(one) for one in wrong) if isinstance(wrong, list) else ()
    return int(str(done)), int(str(waiting)), ids


def _documents(lab: LabState) -> Mapping[str, tuple[object, object]] | None:
    """Version and text by document id, None when there are too many to read."""
    body = {"size": WINDOW, "_source": ["event_version", "text"]}
    response = ask("POST", f"{lab.elastic_direct_url}/{INDEX}/_search", body=body)
    if not response.is_success:
        raise SourceUnavailable(
            f"Elasticsearch answered status {response.status_code} to a search.",
            hint="Look at the log of elastic below the lab's folder.",
        )
    hits = response.json()["hits"]
    if hits["total"]["value"] > WINDOW:
        return None
    return {
        str(hit["_id"]): (hit["_source"].get("event_version"), hit["_source"].get("text"))
        for hit in hits["hits"]
    }


def _fits(entity: Expected, documents: Mapping[str, tuple[object, object]]) -> bool:
    found = documents.get(entity.doc_id)
    if entity.version is None:
        return found is None
    return found == (entity.version, entity.text)
