"""Closing: what becomes of a round whose answers are in: proof, score, debrief, board?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from loomtriage.model.window import iso
from loomtriage.train import board
from loomtriage.train.answers import Answers, Stamped
from loomtriage.train.board import Kind
from loomtriage.train.debrief import write_debrief
from loomtriage.train.dumb import by_words
from loomtriage.train.engine import Found, run_path
from loomtriage.train.grounds import FIELD, moving, prove
from loomtriage.train.looks import case_of, read_looks
from loomtriage.train.rounds import DEBRIEF, ENGINE, REVEAL_FILE, Closed, Held, Opened
from loomtriage.train.score import Proven, score
from loomtriage.train.truth import Truth, drill_of

TRIAGE, WORDS = "the triage", "log words"
"""Who takes each round besides, by the names that the scoreboard shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """What others make of a round, while its telemetry is there.

    Attributes:
        proven: which of the trainee's pointers the telemetry bears out.
        found: what the path comes to.
        rivals: answers of the triage and of a dumb baseline on the same form, by name.
    """

    proven: Proven = field(default_factory=Proven)
    found: Found = field(default_factory=lambda: Found(verdict={}))
    rivals: Mapping[str, Answers] = field(default_factory=dict)


def look_back(held: Held, opened: Opened, sheet: Sequence[Stamped]) -> Hindsight:
    """See for ourselves, up to this moment where the telemetry goes on.

    An incident that is no drill is true by the triage's own verdict: there it is no rival.
    """
    drill = drill_of(held.promise.truth)
    promised = [str(getattr(one, "metric", "")) for one in moving(drill)] if drill else []
    case = case_of(held.folder, opened.as_json(), stage="path")
    found = run_path(
        opened.source,
        held.folder / ENGINE,
        start=opened.start,
        end=iso(datetime.now(UTC)) if opened.start else "",
        baseline=opened.baseline,
    )
    field_anew = FIELD.get(drill.cause, "") if drill else ""
    pointers = sheet[-1].answers.pointers
    mine = {TRIAGE: found.answers()} if drill else {}
    return Hindsight(
        proven=prove(case, pointers, promised=promised, field=field_anew),
        found=found,
        rivals={**mine, WORDS: by_words(case)},
    )


def close(  # noqa: PLR0913  (all that a round left)
    held: Held,
    opened: Opened,
    truth: Truth,
    sheet: Sequence[Stamped],
    *,
    t0: datetime,
    seen: Hindsight,
) -> Closed:
    """Score a round, write its debrief, and put it on the board.

    Raises:
        BundleDamaged: the truth is not what the board was promised.
    """
    board.check_kept(
        held.order.board,
        held.id,
        truth=held.promise.truth,
        nonce=held.promise.nonce.hex(),
    )
    final, looks = sheet[-1].answers, read_looks(held.folder)
    came = score(
        truth,
        sheet,
        limit_s=opened.limit_s,
        proven=seen.proven,
        hints=sum(one.is_hint for one in looks),
    )
    page = write_debrief(
        held.folder / DEBRIEF,
        opened=opened,
        truth=truth,
        promise=held.promise,
        sheet=sheet,
        looks=looks,
        found=seen.found,
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
        rivals={name: _rival(truth, one, opened) for name, one in seen.rivals.items()},
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


def _rival(truth: Truth, answers: Answers, opened: Opened) -> dict[str, object]:
    """What a program came to, in no time; its pointers are not judged, and no guess is near."""
    sheet = (Stamped(after_s=0.0, answers=answers),)
    came = score(replace(truth, near=()), sheet, limit_s=opened.limit_s, proven=Proven())
    return {"answers": answers.model_dump(), "score": came.as_json()}
