"""Closing: what becomes of a round whose answers are in: proof, score, debrief, board?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from loomtriage.train import board
from loomtriage.train.answers import Stamped
from loomtriage.train.board import Kind
from loomtriage.train.debrief import write_debrief
from loomtriage.train.engine import Found
from loomtriage.train.grounds import prove
from loomtriage.train.looks import case_of, read_looks
from loomtriage.train.rounds import DEBRIEF, REVEAL_FILE, Closed, Held, Opened
from loomtriage.train.score import Proven, score
from loomtriage.train.truth import Truth, drill_of


def ground(held: Held, opened: Opened, sheet: Sequence[Stamped]) -> Proven:
    """Which of the last answers' pointers the round's own telemetry bears out."""
    drill = drill_of(held.promise.truth)
    promised = [str(getattr(one, "metric", "")) for one in drill.expect] if drill else []
    case = case_of(held.folder, opened.as_json(), stage="path")
    return prove(case, sheet[-1].answers.pointers, promised=promised)


def close(  # noqa: PLR0913  (all that a round left)
    held: Held,
    opened: Opened,
    truth: Truth,
    sheet: Sequence[Stamped],
    *,
    t0: datetime,
    found: Found,
    proven: Proven,
) -> Closed:
    """Score a round, write its debrief, and put it on the board."""
    final, looks = sheet[-1].answers, read_looks(held.folder)
    came = score(
        truth,
        sheet,
        limit_s=opened.limit_s,
        proven=proven,
        hints=sum(one.is_hint for one in looks),
    )
    page = write_debrief(
        held.folder / DEBRIEF,
        opened=opened,
        truth=truth,
        promise=held.promise,
        sheet=sheet,
        looks=looks,
        found=found,
        score=came,
        t0=t0,
    )
    board.add(
        held.order.board,
        Kind.SCORED,
        held.id,
        answers=final.model_dump(),
        looks=[one.what for one in looks],
        score=came.as_json(),
        truth=held.promise.truth,
        nonce=held.promise.nonce.hex(),
    )
    closed = Closed(
        opened=opened,
        score=came,
        truth=held.promise.truth,
        nonce=held.promise.nonce.hex(),
        debrief=page,
    )
    held.write(REVEAL_FILE, closed.as_json())
    return closed
