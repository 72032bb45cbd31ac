"""Strategy: what closes a bucket of failed rows out, why, and may it be replayed yet?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loomtriage.closeout.buckets import Bucket, Likeness
from loomtriage.contract.reasons import BY_NAME, MOST_REPLAYS, Action, FailureClass

QUIET_S = 60.0
"""A cause that failed no row for so long may be over; only a canary can tell."""

UNDATED = "its rows tell when they were enqueued, not when they failed"

_VALUE = ("failed to parse", "document_parsing_exception", "mapper_parsing_exception")
_FIELD = ("strict_dynamic_mapping_exception", "dynamic introduction of")


class Offer(StrEnum):
    """How much of a bucket a plan may hold."""

    ALL = "all"
    CANARY = "canary"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known about a bucket beside its rows.

    Attributes:
        passed: rows of the same entity type and op that were done since the bucket's first
            failure; None when nobody looked.
        active: what says that the cause is still there, empty when nothing does.
        unknown: why nobody can tell whether it is, empty when that is known.
        proven: whether a row that failed for the same was replayed after the bucket's last
            failure, and is done.
    """

    passed: int | None = None
    active: str = ""
    unknown: str = ""
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What to do about a bucket.

    Attributes:
        action: close-out action of the contract.
        offer: how much of it may be replayed now.
        why: reasons for the action, one or two sentences.
        first: what to do before any replay, empty when nothing is.
        needs_note: whether a replay must say what was fixed.
    """

    action: Action
    offer: Offer
    why: str
    first: str
    needs_note: bool


_FIRST: dict[Action, str] = {
    Action.WAIT: "See that Elasticsearch answers again.",
    Action.SCALE: "Give Elasticsearch room, or lower bulk size and concurrency.",
    Action.FIX_DATA: "Repair the source rows of these entities.",
    Action.FIX_MAPPING: "Add the field to the index mapping, or correct its type.",
    Action.FIX_CODE: "Correct the projection and deploy it.",
    Action.REPLAY: "Lift the write block; look at disk space first.",
    Action.RESTART: "See that one worker owns each row: unique worker ids, atomic claim.",
}


def strategy(bucket: Bucket, known: Circumstances) -> Strategy:
    """The strategy of a bucket: the contract's action for its reason, sharpened by the error."""
    likeness = bucket.likeness
    reason = BY_NAME.get(likeness.reason)
    if likeness.overtaken:
        why = "A later event of the same entity was done; a delete now would take it away again."
        return _not_offered(Action.DROP, why, "Leave these rows, and write down that they are.")
    if reason is None:
        told = f"reason {likeness.reason!r}" if likeness.reason else "a row without reason"
        why = f"The contract does not know {told}; it is reported, never guessed."
        return _not_offered(Action.NOTHING, why, "Read the error and decide by hand.")
    action, why = _action(likeness, known)
    first = _FIRST.get(action, "Read the error and decide by hand.")
    if likeness.replays >= MOST_REPLAYS:
        why += f" Replayed {likeness.replays} times, and failed again each time."
        return _not_offered(action, why, first)
    offer = Offer.ALL
    if known.proven:
        why += " A replayed row of this kind was done since the last failure."
    elif known.active:
        offer, why = Offer.CANARY, f"{why} Still active: {known.active}."
    elif known.unknown:
        offer, why = Offer.CANARY, f"{why} Not known to be over: {known.unknown}."
    is_deterministic = reason.failure is FailureClass.DETERMINISTIC
    return Strategy(action=action, offer=offer, why=why, first=first, needs_note=is_deterministic)


def _not_offered(action: Action, why: str, first: str) -> Strategy:
    return Strategy(action=action, offer=Offer.NOTHING, why=why, first=first, needs_note=True)


def _action(likeness: Likeness, known: Circumstances) -> tuple[Action, str]:
    """The action and why; the error tells a bad value from a field that the mapping lacks."""
    reason = BY_NAME[likeness.reason]
    if likeness.reason != "mapping_conflict":
        return reason.action, reason.says
    if any(word in likeness.template for word in _FIELD):
        return Action.FIX_MAPPING, f"{reason.says} The index does not know one of its fields."
    if not any(word in likeness.template for word in _VALUE):
        return reason.action, reason.says
    if known.passed:
        many = f"{known.passed} rows of the same kind went through meanwhile"
        return Action.FIX_DATA, f"{reason.says} {many}: the values are wrong, not the mapping."
    none = "No row of the same kind went through since: a type of the mapping may have changed."
    return reason.action, f"{reason.says} {none}"
