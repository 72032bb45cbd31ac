"""Remedies: which first actions are right about a cause, and where may none be judged?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loomtriage.contract.causes import BY_ID
from loomtriage.contract.reasons import Action

LIFT = "lift"
"""Take away what stands in the way, such as a block or a lock: a word of the answer form only."""
WORDS = (*(str(one) for one in Action), LIFT)
"""What may be said to do first."""
BESIDE: Mapping[str, tuple[str, ...]] = {
    "es_poison_4xx": (Action.FIX_MAPPING,),
    "es_bulk_partial": (Action.FIX_MAPPING,),
    "es_write_block": (LIFT,),
    "shared_dependency": (Action.FIX_DATA,),  # what the producer enqueued may be to blame
    "db_contention": (LIFT,),
    "stuck_reclaim": (Action.RESTART,),
    "projection_version": (Action.REPLAY,),
}
"""First actions that are as right as the contract's own, by cause."""
REPLAY_IS_OPEN = frozenset({"projection_version"})
"""Causes after which rows may be replayed or rebuilt: nobody is judged by which."""


def first_actions(causes: Sequence[str]) -> tuple[str, ...]:
    """What to do first about any of these causes, the contract's own action before the others."""
    found = [one for cause in causes for one in (BY_ID[cause].action, *BESIDE.get(cause, ()))]
    return tuple(dict.fromkeys(map(str, found)))


def replay_after(causes: Sequence[str], *, failed: bool | None) -> bool | None:
    """Whether rows must be replayed after these causes, None where that is not judged.

    Args:
        causes: those that stood.
        failed: whether rows failed for good, None where nobody knows.
    """
    return None if REPLAY_IS_OPEN & set(causes) else failed
