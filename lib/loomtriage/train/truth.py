"""Truth: what was done in a round, and how is it promised before it may be told?

The director publishes `SHA-256(nonce ‖ canonical truth)` before the clock starts. Until the
reveal the truth stands in its memory and nowhere else; afterwards anybody can check both.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.drills.record import canonical
from loomtriage.errors import BundleDamaged
from loomtriage.train.remedies import first_actions, replay_after

NOTHING_WRONG = "none"
UNKNOWN = "unknown"
NONCE_BYTES = 32
DEAD_ROWS = "terminal_failed"
"""The metric of rows that failed for good: whoever closes such a fault out must replay them."""
NEAR: Mapping[str, tuple[str, ...]] = {"slow_es": ("es_slow",)}
"""Causes that a person may name for a drill as well: true, although the triage has no proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a round is about.

    Attributes:
        drill: id in the drill book, empty for a recorded incident that is no drill.
        run: what was played back or performed, in words.
        causes: the causes that are right, the fault's own first.
        faults: causes that stood at once where there were several; whoever names one is right,
            and has named that share.
        near: causes that are right when a person names them.
        scope: label by key where it is to be found; a key that is not here is not judged.
        operation: name of the span that fails, empty where no step is to be named.
        actions: the first actions that are right, empty where none can be judged.
        replay: whether rows must be replayed afterwards, None where that cannot be judged.
        close_out: what to do, in the drill's own words.
    """

    drill: str
    run: str
    causes: tuple[str, ...]
    faults: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    scope: Mapping[str, str] = field(default_factory=dict)
    operation: str = ""
    actions: tuple[str, ...] = ()
    replay: bool | None = None
    close_out: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether something was wrong at all."""
        return self.causes[0] != NOTHING_WRONG

    def as_json(self) -> dict[str, object]:
        """The form that is promised and, later, told."""
        return asdict(self)


def truth_of(
    drill: Drill, *, run: str, scope: Mapping[str, str] | None = None, operation: str = ""
) -> Truth:
    """What a drill of the book makes true.

    Args:
        drill: as drawn.
        run: what was played back or performed, in words.
        scope: more about the place than the drill's own file says; its own word counts.
        operation: the span that fails, as a recorded run of the drill tells.
    """
    causes = (drill.cause, *drill.accept)
    own = {key: value for key, value in drill.scope.as_json().items() if value and key != "env"}
    is_known = drill.cause not in (NOTHING_WRONG, UNKNOWN)
    dead = any(
        getattr(one, "metric", "") == DEAD_ROWS and one.name.startswith(("rises", "appears"))
        for one in drill.expect
    )
    return Truth(
        drill=drill.id,
        run=run,
        causes=causes,
        faults=drill.faults if len(drill.faults) > 1 else (),
        near=NEAR.get(drill.id, ()),
        scope={**(scope or {}), **own} if is_known else {},
        operation=operation if is_known else "",
        actions=first_actions(causes) if is_known else (),
        replay=replay_after(causes, failed=dead) if is_known else None,
        close_out=drill.close_out,
    )


def drill_of(truth: Mapping[str, object]) -> Drill | None:
    """The drill of the book that a told truth is about, None when it is about none."""
    name = str(truth.get("drill", ""))
    return DRILLS.get(name, noun="drill") if name in DRILLS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A truth that cannot be changed any more; `commit` may be shown, the rest may not.

    Attributes:
        truth: what is promised, in the form that is told later.
        nonce: random bytes, so that nobody can try the few possible truths.
        commit: SHA-256 of nonce and canonical truth, as hex.
    """

    truth: Mapping[str, object] = field(repr=False)
    nonce: bytes = field(repr=False)
    commit: str


def promise(truth: Truth) -> Promise:
    """Promise a truth."""
    nonce, content = secrets.token_bytes(NONCE_BYTES), json.loads(canonical(truth.as_json()))
    return Promise(truth=content, nonce=nonce, commit=_digest(nonce, content))


def check_promise(name: str, told: Mapping[str, object], *, nonce: str, commit: str) -> None:
    """Check what is told after a round against what was promised before it.

    Raises:
        BundleDamaged: it is not what was promised; names the round and both digests.
    """
    try:
        found = _digest(bytes.fromhex(nonce), told)
    except ValueError:
        found = "no digest, since the nonce is not hexadecimal"
    if not hmac.compare_digest(found, commit):
        raise BundleDamaged(
            f"The truth of round {name} has SHA-256 {found[:12]}…, promised was {commit[:12]}….",
            hint="It was changed after the promise; the round proves nothing.",
        )


def _digest(nonce: bytes, content: Mapping[str, object]) -> str:
    return hashlib.sha256(nonce + canonical(content)).hexdigest()
