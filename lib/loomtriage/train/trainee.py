"""Trainee: how does somebody play a round from a notebook, knowing nothing of the truth?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from loomtriage.errors import TriageError, UsageError
from loomtriage.model import Finding, State, Verdict, judge
from loomtriage.report import loose
from loomtriage.report.tables import Table
from loomtriage.stages.result import StageResult
from loomtriage.train.answers import ASKED, Answers
from loomtriage.train.looks import look
from loomtriage.train.rounds import ANSWERS_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Reveal:
    """What a round came to.

    Attributes:
        verdict: its state, and what it was.
        told: what the director told, its promise checked by it and again by the board.
    """

    verdict: Verdict
    told: Mapping[str, object] = field(repr=False)

    def table(self, name: str) -> Table:
        """The table of that id: `score` or `timers`.

        Raises:
            UsageError: there is none of that name.
        """
        for one in loose.maps(self.told.get("tables")):
            if one.get("id") == name:
                columns = tuple(map(str, loose.items(one.get("columns"))))
                rows = tuple(tuple(map(str, row)) for row in _rows(one))
                title, note = loose.word(one, "title"), loose.word(one, "note")
                return Table(id=name, title=title, columns=columns, rows=rows, note=note)
        if self.told.get("kind") == "scored":
            raise UsageError(f"A round has no table {name[:40]!r}.", hint="It has score, timers.")
        return Table(id=name, title=name, columns=("",), rows=(), note=self.verdict.headline)

    @property
    def debrief(self) -> Table:
        """Where the page is that puts your path beside the shortest one."""
        rows = tuple((key, str(self.told.get(key) or "")) for key in ("debrief", "commit", "nonce"))
        return Table(id="debrief", title="Debrief", columns=("what", "where"), rows=rows)


@dataclass(slots=True, kw_only=True)
class Round:
    """One round as the trainee has it.

    Attributes:
        told: what the director told when the clock started.
        director: the process that knows the truth; it ends with this one.
        errors: what the director leaves when it fails.
        revealed: what the round came to, None while its clock runs.
    """

    told: Mapping[str, object]
    director: subprocess.Popen[str] = field(repr=False)
    errors: IO[str] = field(repr=False)
    revealed: Reveal | None = field(default=None, repr=False)

    def look(self, what: str) -> StageResult | Table:
        """A stage of the path, or `lines`, `spans`, `rows`, or a metric; kept for the debrief.

        `explain`, `retries` and `close` name the cause: each is a hint, which costs once.

        Raises:
            UsageError: nothing has that name.
        """
        return look(Path(str(self.told["folder"])), what)

    def submit(self, answers: Answers) -> Reveal:
        """Hand the answers in, each with its time; with all six of them the round is over.

        After the round is over, any answers only tell what it came to.
        """
        if self.revealed is not None:
            return self.revealed
        goes_on = self.director.poll() is None
        if goes_on and answers != Answers():
            _hand_in(Path(str(self.told["folder"])) / ANSWERS_FILE, answers)
        if goes_on and answers.lacks:
            says = "; ".join(f"{name}: {ASKED[name]}" for name in answers.lacks)
            finding = Finding(
                check="round.answers",
                state=State.NO_DATA,
                says=f"The clock goes on. Lacking {says}",
            )
            return Reveal(verdict=judge((finding,)), told={})
        told = _heard(self.director, self.errors)
        self.revealed = Reveal(verdict=_verdict(told), told=told)
        return self.revealed

    def _repr_html_(self) -> str:
        keys = ("round", "commit", "source", "start", "limit_s")
        rows = tuple((key, str(self.told[key])) for key in keys if self.told.get(key))
        return Table(
            id="round", title="The clock runs", columns=("what", "value"), rows=rows
        )._repr_html_()


def open_round(  # noqa: PLR0913  (one argument per notebook parameter)
    *,
    mode: str = "offline",
    level: str = "basic",
    seed: str = "",
    source: str = "",
    board: str = "",
    who: str = "",
) -> Round:
    """Start a round; its clock runs when this returns.

    Args:
        mode: `offline` (a recorded run, 5 minutes) or `live` (the lab, 10 minutes).
        level: `basic`, `full` or `advanced`.
        seed: a number that repeats a round; empty draws by chance.
        source: folder of run folders to draw from; empty for the recorded examples.
        board: the team's folder; empty for your own.
        who: name on the board; empty for your login.

    Raises:
        UsageError: a parameter does not make sense.
        TriageError: the round did not start.
    """
    if mode not in ("offline", "live") or not (seed or "0").isdigit():
        raise UsageError(
            f"mode {mode[:20]!r} with seed {seed[:20]!r} is no round.",
            hint="mode is offline or live, seed a number or empty.",
        )
    order = {
        "offline": mode == "offline",
        "level": level,
        "seed": int(seed) if seed else -1,
        "source": source,
        "board": board,
        "who": who,
        "limit_s": 0,
    }
    errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
    director = subprocess.Popen(
        (sys.executable, "-m", "loomtriage.train.director"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        # A signal to the notebook must not end the round half-way.
        start_new_session=True,
    )
    assert director.stdin is not None  # noqa: S101  (asked for above)
    director.stdin.write(json.dumps(order) + "\n")
    director.stdin.flush()
    try:
        told = _heard(director, errors)
    except BaseException:
        director.stdin.close()  # whoever does not wait for the clock leaves the round
        raise
    if told.get("kind") != "opened":
        raise TriageError(
            f"The round did not start: {told.get('why')}",
            hint=str(told.get("hint") or "Run `loomtriage train` in a terminal to see why."),
        )
    return Round(told=told, director=director, errors=errors)


def _heard(director: subprocess.Popen[str], errors: IO[str]) -> dict[str, object]:
    """The next thing that the director tells, but for its progress: a notebook shows results."""
    for line in director.stdout or ():
        told = dict(json.loads(line))
        if "kind" in told:
            return told
    director.wait()
    errors.seek(0)
    last = (errors.read().splitlines() or [""])[-1][:300]
    return {
        "kind": "failed",
        "why": f"its director ended: {last or director.returncode}",
        "hint": "",
    }


def _hand_in(path: Path, answers: Answers) -> None:
    """The whole file at once, so that nobody reads half of it."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(answers.model_dump_json(), encoding="utf-8")
    draft.replace(path)


def _verdict(told: Mapping[str, object]) -> Verdict:
    if told.get("kind") != "scored":
        says = f"The round does not score: {told.get('why')}."
        return judge((Finding(check="round", state=State.NO_DATA, says=says),))
    score, truth = loose.mapping(told.get("score")), loose.mapping(told.get("truth"))
    causes = " or ".join(map(str, loose.items(truth.get("causes"))))
    right, abstained = bool(score.get("right")), bool(score.get("abstained"))
    state = State.OK if right else State.WARN if abstained else State.BAD
    says = f"{score.get('total')} of 100. It was {causes}."
    return judge((Finding(check="round", state=state, says=says, value=_number(score)),))


def _number(score: Mapping[str, object]) -> float | None:
    total = score.get("total")
    return float(total) if isinstance(total, int | float) else None


def _rows(table: Mapping[str, object]) -> tuple[tuple[object, ...], ...]:
    return tuple(loose.items(row) for row in loose.items(table.get("rows")))
