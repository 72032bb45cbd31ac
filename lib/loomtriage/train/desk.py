"""Desk: how are answers taken while the clock runs, from a file or line by line?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.train.answers import ASKED, PROVES, Answers, Stamped, answers_from, read_answers
from loomtriage.train.rounds import ANSWERS_FILE, GaveUp, Opened

LOOK_EVERY_S = 0.2
BACK = "<"
Say = Callable[[str], None]
Reads = Callable[[str, float], str | None]
"""Shows a prompt and reads a line within that many seconds: None when time is up.

Raises EOFError when nobody is there."""


def from_file(
    path: Path | None = None, *, say: Say, is_gone: Callable[[], bool] = bool
) -> Callable[[Opened], Sequence[Stamped]]:
    """A desk that reads answers from a JSON file, as often as it changes, until none is lacking.

    Args:
        path: the file; that of the round's own folder when not given. One that is there before
            the round counts once it changes.
        say: takes what is not understood, once each.
        is_gone: whether nobody can answer any more.
    """
    old = _state(path) if path else None

    def take(opened: Opened) -> Sequence[Stamped]:
        start, sheet, told = time.monotonic(), list[Stamped](), ""
        file = path or opened.folder / ANSWERS_FILE
        if old:
            say(f"{file.name} was there before the round; it counts once it changes.")
        while (spent := time.monotonic() - start) < opened.limit_s:
            if is_gone():
                raise GaveUp("the trainee left")
            try:
                is_new = _state(file) not in (None, old)
                answers = read_answers(file) if is_new else Answers()
            except UsageError as error:
                # Perhaps it is just being written; told once, and read again.
                if str(error) != told:
                    say(told := str(error))
                answers = Answers()
            if answers != Answers() and (not sheet or answers != sheet[-1].answers):
                sheet.append(Stamped(after_s=spent, answers=answers))
            if sheet and not sheet[-1].answers.lacks:
                return sheet
            time.sleep(LOOK_EVERY_S)
        raise GaveUp(f"the time of {opened.limit_s:g} s was up")

    return take


def _state(path: Path) -> tuple[int, ...] | None:
    """What tells one writing of a file from the next, None where there is no file."""
    if not path.is_file():
        return None
    told = path.stat()
    return (told.st_ino, told.st_size, told.st_mtime_ns)


def by_asking(
    read_line: Reads, *, say: Say, look: Callable[[Opened, str], str]
) -> Callable[[Opened], Sequence[Stamped]]:
    """A desk that asks the six questions; a line `?what` looks at telemetry, `<` goes back.

    Args:
        read_line: see `Reads`.
        say: shows a line.
        look: shows one view of the round's telemetry, as text.
    """

    def take(opened: Opened) -> Sequence[Stamped]:
        start, sheet, given = time.monotonic(), list[Stamped](), dict[str, object]()
        while lacking := _next(given):
            left = opened.limit_s - (time.monotonic() - start)
            question = PROVES if lacking == "because" else ASKED[lacking]
            try:
                line = read_line(f"[{left:3.0f} s] {question}: ", left) if left > 0 else None
            except EOFError:
                raise GaveUp("the trainee left") from None
            if line is None:
                raise GaveUp(f"the time of {opened.limit_s:g} s was up")
            if line.strip() == BACK:
                given = dict(list(given.items())[:-1])
                continue
            if line.strip().startswith("?"):
                say(_looked(look, opened, line.strip()[1:].strip()))
                continue
            try:
                answers = answers_from({**given, lacking: line.strip()})
            except UsageError as error:
                say(str(error))
                continue
            given[lacking] = line.strip()
            sheet.append(Stamped(after_s=time.monotonic() - start, answers=answers))
        return sheet

    return take


def _next(given: dict[str, object]) -> str:
    """The next question, empty when all is said."""
    for name in ("wrong", "sure") if given.get("wrong") == "no" else (*ASKED, "because"):
        if name not in given or (name != "because" and given[name] == ""):
            return name
    return ""


def _looked(look: Callable[[Opened, str], str], opened: Opened, what: str) -> str:
    try:
        return look(opened, what)
    except UsageError as error:
        return str(error)
