"""Keys: the names that metrics (labels), traces (attributes) and logs (fields) share.

Low-cardinality keys may stand on all three signals. Pivots are high-cardinality: they stand on
spans and log lines only, and a metric that carries one breaks the contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Result(StrEnum):
    """How an attempt or batch ended."""

    OK = "ok"
    RETRY = "retry"
    FAILED = "failed"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One shared name.

    Attributes:
        name: metric label and log field.
        attribute: span attribute that carries it.
        also: older spellings that are read, never written.
        says: what the key means.
    """

    name: str
    attribute: str
    also: tuple[str, ...] = ()
    says: str


SCOPE_KEYS: tuple[Key, ...] = (
    Key(name="env", attribute="wordloom.env", also=("env",), says="deployment environment"),
    Key(
        name="projection",
        attribute="wordloom.projection",
        also=("projection",),
        says="full name of the outbox consumer",
    ),
    Key(
        name="op",
        attribute="op",
        also=("wordloom.outbox_op", "wordloom.outbox.op"),
        says="outbox operation",
    ),
    Key(
        name="reason",
        attribute="reason",
        also=("wordloom.reason",),
        says="why an attempt did not succeed",
    ),
    Key(name="result", attribute="result", also=("wordloom.result",), says="how it ended"),
)

PIVOTS: tuple[Key, ...] = (
    Key(name="trace_id", attribute="trace_id", says="one trace"),
    Key(name="span_id", attribute="span_id", says="one span"),
    Key(
        name="correlation_id",
        attribute="wordloom.correlation_id",
        also=("correlation_id",),
        says="one API request, from header X-Request-Id",
    ),
    Key(
        name="outbox_event_id",
        attribute="wordloom.outbox_event_id",
        also=("wordloom.outbox.id",),
        says="one outbox row",
    ),
    Key(
        name="claim_batch_id",
        attribute="wordloom.claim_batch_id",
        also=("claim_batch_id",),
        says="one claim of rows by one worker",
    ),
    Key(
        name="entity_id",
        attribute="wordloom.entity_id",
        also=("wordloom.entity.id",),
        says="one business entity",
    ),
    Key(
        name="worker_id",
        attribute="wordloom.worker_id",
        also=("wordloom.worker.id", "worker.id"),
        says="one worker process",
    ),
)

TRACESTATE_MEMBER = "wordloom"
"""W3C tracestate member in which a row's correlation id rides, percent-encoded."""

SEARCH = "search_index_to_elastic"
CHRONICLE = "chronicle_events_to_entries"
PROJECTION_ALIASES: Mapping[str, str] = MappingProxyType({"search": SEARCH, "chronicle": CHRONICLE})
OUTBOX_TABLES: Mapping[str, str] = MappingProxyType(
    {SEARCH: "search_outbox_events", CHRONICLE: "chronicle_outbox_events"}
)


def canonical_projection(name: str) -> str:
    """The full projection name for a short span alias; any other name stays as it is."""
    return PROJECTION_ALIASES.get(name, name)


def read_key(name: str, attributes: Mapping[str, object]) -> str:
    """The value of a shared key or pivot from span attributes or log fields, empty when absent.

    The contract's own spelling wins over the older ones; the projection comes back in full.
    """
    key = _BY_NAME[name]
    for spelling in (key.attribute, key.name, *key.also):
        value = attributes.get(spelling)
        if value not in (None, ""):
            return canonical_projection(str(value)) if name == "projection" else str(value)
    return ""


def spellings(name: str) -> tuple[str, ...]:
    """Every way a span attribute of that name is spelled, the contract's own first.

    A name that the contract does not know is spelled as it is.
    """
    key = _BY_NAME.get(name)
    return (key.attribute, *key.also) if key else (name,)


def read_each(names: Sequence[str], many: Iterable[Mapping[str, object]]) -> list[list[str]]:
    """`read_key` for many spans or lines and several keys at once: a list of values for each key.

    One walk over all of them; a walk for each key costs three times as much, because attributes
    do not fit into the processor's cache.
    """
    columns: list[list[str]] = [[] for _ in names]
    keys = [_BY_NAME[name] for name in names]
    wanted = [
        (column.append, tuple(dict.fromkeys((key.attribute, key.name, *key.also))))
        for column, key in zip(columns, keys, strict=True)
    ]
    for one in many:
        for append, spelled in wanted:
            for spelling in spelled:
                value = one.get(spelling)
                if value is not None and value != "":
                    append(str(value))
                    break
            else:
                append("")
    return [
        [canonical_projection(value) for value in column] if name == "projection" else column
        for name, column in zip(names, columns, strict=True)
    ]


_BY_NAME = {key.name: key for key in (*SCOPE_KEYS, *PIVOTS)}
