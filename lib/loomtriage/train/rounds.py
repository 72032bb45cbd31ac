"""Rounds: how is a round promised, opened, closed, and never left standing?"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from random import Random

from loomtriage.case import VISITORS
from loomtriage.drills.signals import EXIT_OF_SIGNAL
from loomtriage.errors import Exit, TriageError
from loomtriage.settings import settings
from loomtriage.train import board
from loomtriage.train.alive import alive, is_dead, mark_of
from loomtriage.train.answers import Stamped
from loomtriage.train.board import Kind
from loomtriage.train.pool import Level
from loomtriage.train.score import Score
from loomtriage.train.truth import Promise, Truth, promise

ROUND_FILE, ANSWERS_FILE, LOOKS_FILE = "round.json", "answers.json", "looks.jsonl"
REVEAL_FILE, DEBRIEF = "reveal.json", "debrief.html"
TELEMETRY, WORK, ENGINE = "telemetry", "work", "engine"
"""Folders in a round's own: what there is to see, what looks leave, what the engine leaves."""


class Mode(StrEnum):
    """Where a round takes place: on a recorded run, or in the lab."""

    OFFLINE = "offline"
    LIVE = "live"


LIMIT_S: Mapping[Mode, float] = {Mode.OFFLINE: 300.0, Mode.LIVE: 600.0}
"""Seconds from the start of the clock to the last answer."""


class GaveUp(Exception):
    """The trainee left, or the time was up; the round is abandoned and does not score."""

    def __init__(self, why: str, *, code: Exit = Exit.NO_DATA) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How a round is to be played.

    Attributes:
        mode: where.
        level: how hard.
        seed: draws the round; None for one that nobody can foresee.
        who: name on the board.
        board: the team's folder.
        out: folder that receives the round's own folder.
        pool: folder of recorded runs, for offline rounds.
        limit_s: seconds to answer.
    """

    mode: Mode
    level: Level = Level.BASIC
    seed: int | None = None
    who: str
    board: Path
    out: Path
    pool: Path
    limit_s: float

    def draw(self) -> Random:
        """The director's generator."""
        seed = secrets.randbits(128) if self.seed is None else self.seed
        return Random(f"round {seed}")  # noqa: S311  (variety; what is promised has a real nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a trainee is told when the clock starts; nothing of the truth.

    Attributes:
        id: random name of the round.
        commit: SHA-256 of nonce and truth.
        source: spec of the telemetry, for every command and notebook.
        start, baseline: where the window and the health before it begin (ISO, UTC); empty for
            those that are recorded.
        folder: where answers are expected and the debrief will stand.
        limit_s: seconds to answer.
    """

    id: str
    commit: str
    mode: Mode
    level: Level
    source: str
    start: str = ""
    baseline: str = ""
    folder: Path
    limit_s: float

    def as_json(self) -> dict[str, object]:
        """The form that `round.json` keeps and machines read."""
        return {
            "round": self.id,
            "commit": self.commit,
            "mode": self.mode.value,
            "level": self.level.value,
            "source": self.source,
            "start": self.start,
            "baseline": self.baseline,
            "folder": str(self.folder),
            "answers": str(self.folder / ANSWERS_FILE),
            "limit_s": self.limit_s,
        }


Desk = Callable[[Opened], Sequence[Stamped]]
"""Takes the answers of one opened round, the last ones final; raises GaveUp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """What a round came to that was answered; any other gives up.

    Attributes:
        opened: what was told before.
        score: with its parts and times.
        truth: what was done, as promised.
        nonce: with it anybody can check the promise, as hex.
        debrief: the page.
    """

    opened: Opened
    score: Score
    truth: Mapping[str, object]
    nonce: str
    debrief: Path

    def as_json(self) -> dict[str, object]:
        """The form for machines."""
        return {
            "round": self.opened.id,
            "kind": Kind.SCORED.value,
            "score": self.score.as_json(),
            "truth": dict(self.truth),
            "nonce": self.nonce,
            "commit": self.opened.commit,
            "debrief": str(self.debrief),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A promised round in the director's hands."""

    order: Order
    id: str
    folder: Path
    promise: Promise = field(repr=False)

    def write(self, name: str, content: Mapping[str, object]) -> None:
        """Write one JSON file into the round's folder."""
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
        (self.folder / name).write_text(text, encoding="utf-8")

    @contextmanager
    def watched(self, place: Path) -> Iterator[None]:
        """Keep every look at the telemetry in that place, by whatever command, until the end."""
        book = place / VISITORS
        book.touch(mode=0o600)
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                shutil.move(book, self.folder / LOOKS_FILE)

    def abandon(self, why: str) -> None:
        """Put on the board that it does not score."""
        board.add(
            self.order.board,
            Kind.ABANDONED,
            self.id,
            why=why,
            truth=self.promise.truth,
            nonce=self.promise.nonce.hex(),
        )


@contextmanager
def promised(order: Order, truth: Truth, *, say: Callable[[str], None]) -> Iterator[Held]:
    """Promise a round on the board and hold it; whatever ends it otherwise abandons it.

    Args:
        order: how it is to be played.
        truth: what is promised.
        say: told what rounds before it left behind.

    Raises:
        BundleDamaged: the board was edited.
        GaveUp: no answers came, or a signal ended the round.
        TriageError: there is no room for the round's folder.
    """
    sweep(order.board, say=say)
    name = secrets.token_hex(4)
    made = promise(truth)
    folder = _new_folder(order.out, name)
    held = Held(order=order, id=name, folder=folder, promise=made)
    with alive(name):
        board.add(
            order.board,
            Kind.OPENED,
            name,
            who=order.who,
            mode=order.mode.value,
            level=order.level.value,
            limit_s=order.limit_s,
            drawn="by chance" if order.seed is None else f"seed {order.seed}",
            commit=made.commit,
        )
        try:
            yield held
        except GaveUp as error:
            held.abandon(str(error))
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            ended = _ended_by(error)
            held.abandon(str(ended))
            raise ended from None
        except BaseException as error:
            held.abandon(f"ended by {type(error).__name__}")
            raise


def _new_folder(out: Path, name: str) -> Path:
    folder = out / f"round-{name}"
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise TriageError(
            f"{out.name} cannot take the folder of a round: {error.strerror}.",
            hint="Give a folder that you may write to with --out, or set LOOMTRIAGE_RUNS.",
        ) from None
    return folder


def _ended_by(error: BaseException) -> GaveUp:
    """What ended a round from outside, by the signal's name."""
    code = Exit.INTERRUPTED if isinstance(error, KeyboardInterrupt) else getattr(error, "code", 0)
    found: dict[object, signal.Signals] = {int(end): one for one, end in EXIT_OF_SIGNAL.items()}
    if code in found:
        return GaveUp(f"ended by {found[code].name}", code=EXIT_OF_SIGNAL[found[code]])
    return GaveUp(f"ended by {type(error).__name__}", code=Exit.INTERRUPTED)


def sweep(folder: Path, *, say: Callable[[str], None] = board.unheard) -> tuple[str, ...]:
    """Close rounds whose director was killed, and give their labs back; their ids.

    Args:
        folder: the team's.
        say: told of each, and what became of its lab.

    Raises:
        BundleDamaged: the board was edited.
    """
    entries = board.read(folder, say=say)
    closed = {one.round for one in entries if one.kind is not Kind.OPENED}
    waiting = [one for one in entries if one.kind is Kind.OPENED and one.round not in closed]
    overdue = {one.round for one in board.left_open(entries, now=datetime.now(UTC))}
    dead = [one for one in waiting if is_dead(one.round) or one.round in overdue]
    for one in dead:
        say(f"Round {one.round} was killed; it is abandoned.")
        if one.content.get("mode") == Mode.LIVE.value:
            _recover(say)
        board.add(folder, Kind.ABANDONED, one.round, why="its director was killed")
        mark_of(one.round).unlink(missing_ok=True)
    return tuple(one.round for one in dead)


def _recover(say: Callable[[str], None]) -> None:
    from loomtriage.drills.restore import recover

    try:
        say(str(recover(settings().home_dir(), say=say)))
    except TriageError as error:
        say(f"{error} `loomtriage recover` finishes the rest.")
