"""Reasons: the closed enum of why an attempt did not succeed, and what to do about each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class FailureClass(StrEnum):
    """What decides between retry and terminal."""

    TRANSIENT = "transient"
    DETERMINISTIC = "deterministic"
    BENIGN = "benign"


class Action(StrEnum):
    """Close-out action for rows with a reason."""

    WAIT = "wait"
    SCALE = "scale"
    FIX_DATA = "fix_data"
    FIX_MAPPING = "fix_mapping"
    FIX_CODE = "fix_code"
    REPLAY = "replay"
    RESTART = "restart"
    DROP = "drop"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One value of the enum.

    Attributes:
        name: canonical name, the one that our lab writes.
        also: names that Wordloom writes for it.
        status: HTTP status that tells it apart where an alias is shared, else None.
        failure: class that decides retry.
        action: what closes it out.
        says: one sentence for the person on call.
    """

    name: str
    also: tuple[str, ...] = ()
    status: int | None = None
    failure: FailureClass
    action: Action
    says: str


_T, _D, _B = FailureClass.TRANSIENT, FailureClass.DETERMINISTIC, FailureClass.BENIGN

REASONS: tuple[Reason, ...] = (
    Reason(
        name="es_unreachable",
        also=("es_connect", "connect"),
        failure=_T,
        action=Action.WAIT,
        says="No connection to Elasticsearch could be opened.",
    ),
    Reason(
        name="es_timeout",
        also=("timeout",),
        failure=_T,
        action=Action.WAIT,
        says="Elasticsearch accepted the connection and did not answer in time.",
    ),
    Reason(
        name="es_request_error",
        failure=_T,
        action=Action.WAIT,
        says="The connection to Elasticsearch broke during the request.",
    ),
    Reason(
        name="rate_limited",
        also=("es_429", "http_429"),
        status=429,
        failure=_T,
        action=Action.SCALE,
        says="Elasticsearch rejected the write because its queue is full.",
    ),
    Reason(
        name="es_5xx",
        also=("http_5xx",),
        failure=_T,
        action=Action.WAIT,
        says="Elasticsearch answered with a server error.",
    ),
    Reason(
        name="mapping_conflict",
        also=("es_4xx", "http_4xx"),
        status=400,
        failure=_D,
        action=Action.FIX_MAPPING,
        says="The document does not fit the index mapping.",
    ),
    Reason(
        name="es_write_blocked",
        also=("es_4xx", "http_4xx"),
        status=403,
        failure=_D,
        action=Action.REPLAY,
        says="The index refuses writes; lift the block, then replay.",
    ),
    Reason(
        name="es_4xx",
        also=("http_4xx",),
        failure=_D,
        action=Action.FIX_DATA,
        says="Elasticsearch refused the request, status other or unknown.",
    ),
    Reason(
        name="es_unknown",
        failure=_T,
        action=Action.WAIT,
        says="A bulk item came back without a status.",
    ),
    Reason(
        name="es_other",
        failure=_D,
        action=Action.FIX_CODE,
        says="Elasticsearch answered with a status outside 4xx and 5xx.",
    ),
    Reason(
        name="es_404",
        failure=_B,
        action=Action.NOTHING,
        says="The document to delete was gone already; a no-op.",
    ),
    Reason(
        name="db_contention",
        also=("owner_mismatch",),
        failure=_T,
        action=Action.RESTART,
        says="Another worker took the row, or a lock was not granted.",
    ),
    Reason(
        name="lease_expired",
        failure=_T,
        action=Action.WAIT,
        says="The claim lease ran out before the row was processed; reclaim returns it.",
    ),
    Reason(
        name="deterministic_exception",
        failure=_D,
        action=Action.FIX_CODE,
        says="The projection code refuses this input.",
    ),
    Reason(
        name="unknown_exception",
        failure=_T,
        action=Action.FIX_CODE,
        says="The projection code raised something it does not know.",
    ),
    Reason(
        name="unknown_op",
        failure=_D,
        action=Action.FIX_DATA,
        says="The row asks for an operation that does not exist.",
    ),
    Reason(name="none", failure=_B, action=Action.NOTHING, says="Nothing went wrong."),
)

BY_NAME: Mapping[str, Reason] = MappingProxyType({reason.name: reason for reason in REASONS})

MOST_REPLAYS = 3
"""A row that was replayed so often and failed again is not a case for one more replay."""

_STATUS = re.compile(r"(?:'|\bHTTP |\bstatus[ =:]{1,2})([1-5]\d\d)\b", re.IGNORECASE)
_MAPPING = (
    "document_parsing_exception",
    "mapper_parsing_exception",
    "strict_dynamic_mapping_exception",
)

SUMMARIES = frozenset({"mixed", "unknown"})
"""What a batch says in place of a reason when its rows differ, or when it was cut short."""


def is_alias(name: str) -> bool:
    """Whether this is another name for a reason of the enum, and not a name of its own."""
    return name not in BY_NAME and any(name in reason.also for reason in REASONS)


def canonical(name: str, *, status: int | None = None) -> str:
    """The canonical reason for a name as written, with the HTTP status where one is known.

    `es_4xx` splits by status: 400 is `mapping_conflict`, 403 is `es_write_blocked`. A name that
    nobody knows comes back unchanged: it is reported, never guessed.
    """
    if name in BY_NAME and BY_NAME[name].status is None and name != "es_4xx":
        return name
    sharing = [reason for reason in REASONS if name == reason.name or name in reason.also]
    if status is not None:
        exact = [reason for reason in sharing if reason.status == status]
        if exact:
            return exact[0].name
    if name in BY_NAME:
        return name
    if len(sharing) == 1:
        return sharing[0].name
    return "es_4xx" if sharing else name


def spellings(name: str) -> tuple[str, ...]:
    """Every name under which a counter may carry a reason, the given one first.

    Reasons that only a status tells apart share a name there, since a counter has no status.
    """
    return (name, *(BY_NAME[name].also if name in BY_NAME else ()))


def is_known(name: str) -> bool:
    """Whether the enum has this canonical name."""
    return name in BY_NAME


def stored_reason(name: str, error: str) -> str:
    """The canonical reason of an outbox row from what it stores; empty when it names none."""
    if not name or (name in BY_NAME and name != "es_4xx"):
        return name
    return canonical(name, status=_status_in(error))


def _status_in(error: str) -> int | None:
    """HTTP status that an error text names, or that its Elasticsearch type stands for."""
    if any(name in error for name in _MAPPING):
        return 400
    if "cluster_block_exception" in error:
        return 403
    found = _STATUS.search(error)
    return int(found[1]) if found else None
