"""Score: what is a round worth, part by part, and how long did each part take?

100 · (0.15 detect + 0.30 localise + 0.20 ground + 0.25 mitigate + 0.10 close out)
    · 2^(-mitigated after / limit) · 0.9^hints

A part that the truth says nothing about is not judged, and the others share its weight.
Where two faults stand, whoever names one of them is right, and has half of the ground.
A placebo that is called a fault is worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from loomtriage.report.tables import Table
from loomtriage.train.answers import NO_PLACE, Answers, Stamped
from loomtriage.train.truth import UNKNOWN, Truth

WEIGHTS: Mapping[str, float] = {
    "detect": 0.15,
    "localise": 0.30,
    "ground": 0.20,
    "mitigate": 0.25,
    "close_out": 0.10,
}
HINT_COST = 0.10
TIMERS = ("TTD", "TTL", "TTX", "TTM", "TTR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the score: its value between 0 and 1, None when it is not judged, and why."""

    name: str
    value: float | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What one round came to.

    Attributes:
        parts: in the order of the weights.
        total: 0 to 100.
        right: whether an accepted cause was named, and no wrong one beside it.
        abstained: whether `unknown` was said although there was a cause.
        false_alarm: whether a placebo was called a fault.
        named: how many of the faults that stood were named; none beside a wrong cause.
        faults: how many stood, 0 in a placebo.
        brier: squared distance of the stated confidence from what was the case, None without one.
        times: seconds from t0 to detection, place, cause, remedy and restored lab; None when it
            did not come.
        pace: factor of the time.
        hints: hints taken.
    """

    parts: tuple[Part, ...]
    total: float
    right: bool
    abstained: bool
    false_alarm: bool
    brier: float | None
    named: int = 0
    faults: int = 0
    times: Mapping[str, float | None] = field(default_factory=dict)
    pace: float = 1.0
    hints: int = 0

    def as_json(self) -> dict[str, object]:
        """The form that the board keeps."""
        return {
            "parts": {part.name: part.value for part in self.parts},
            "total": round(self.total, 1),
            "right": self.right,
            "abstained": self.abstained,
            "false_alarm": self.false_alarm,
            "named": self.named,
            "faults": self.faults,
            "brier": self.brier,
            "times_s": dict(self.times),
            "hints": self.hints,
        }

    def table(self) -> Table:
        """The parts, their weights, and what they come to."""
        rows = [
            (
                part.name.replace("_", " "),
                f"{WEIGHTS[part.name]:.2f}",
                "not judged" if part.value is None else f"{part.value:.2f}",
                part.says,
            )
            for part in self.parts
        ]
        if self.faults > 1:
            named = f"{self.named} of {self.faults}"
            rows.append(("faults named", "", named, "scales the ground"))
        rows.append(("pace", "", f"{self.pace:.2f}", "2^(-time to the remedy / limit)"))
        rows.append(("hints", "", str(self.hints), f"each costs {HINT_COST:.0%}"))
        rows.append(("score", "", f"{self.total:.0f}", "of 100"))
        columns = ("part", "weight", "value", "why")
        return Table(id="score", title="Score", columns=columns, rows=tuple(rows))

    def timers(self) -> Table:
        """Seconds from the start of the clock to each moment."""
        meanings = (
            "first detected",
            "place right to the end",
            "cause right to the end",
            "remedy right to the end",
            "lab restored",
        )
        rows = tuple(
            (name, meaning, "none" if (at := self.times.get(name)) is None else f"{at:.0f}")
            for name, meaning in zip(TIMERS, meanings, strict=True)
        )
        note = "None: not reached, or, for TTR, no lab to restore."
        columns = ("timer", "moment", "seconds")
        return Table(id="timers", title="Times", columns=columns, rows=rows, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What others found out about the answers.

    Attributes:
        grounded: share of the claims that a pointer proves, None when it cannot be told.
        says: what was proven, one sentence.
        restored_s: seconds until the lab was restored, None offline.
    """

    grounded: float | None = None
    says: str = ""
    restored_s: float | None = None


def score(
    truth: Truth, sheet: Sequence[Stamped], *, limit_s: float, proven: Proven, hints: int = 0
) -> Score:
    """Score the last answers of a sheet; the earlier ones say since when each of them stands."""
    final = sheet[-1].answers
    right = _names_cause(truth, final)
    names_fault = final.wrong == "yes" and final.causes not in ((), (UNKNOWN,))
    false_alarm = names_fault and not truth.is_fault
    named, faults = _named(truth, final)
    parts = _parts(truth, final, proven)
    if false_alarm:
        parts = tuple(Part(name=one.name, value=0.0, says="Nothing was wrong.") for one in parts)
    times = _times(truth, sheet, proven)
    spent = times["TTM"] if times["TTM"] is not None else sheet[-1].after_s
    pace = 2.0 ** (-min(spent, limit_s) / limit_s)
    judged = [(WEIGHTS[one.name], one.value) for one in parts if one.value is not None]
    share = sum(w * v for w, v in judged) / sum(w for w, _ in judged) if judged else 0.0
    return Score(
        parts=parts,
        total=100.0 * share * pace * (1 - HINT_COST) ** hints,
        right=right,
        abstained=not right and final.causes in ((), (UNKNOWN,)),
        false_alarm=false_alarm,
        brier=_brier(final, right=right),
        named=named,
        faults=faults,
        times=times,
        pace=pace,
        hints=hints,
    )


def _brier(given: Answers, *, right: bool) -> float | None:
    """Who abstains, or states no confidence, is not measured by it."""
    if given.sure is None or UNKNOWN in given.causes:
        return None
    return round((given.sure - right) ** 2, 4)


def _names_cause(truth: Truth, given: Answers) -> bool:
    return bool(given.causes) and set(given.causes) <= {*truth.causes, *truth.near}


def _named(truth: Truth, given: Answers) -> tuple[int, int]:
    """How many of the faults that stood are named, and how many stood."""
    if not truth.is_fault:
        return 0, 0
    # Whoever says every cause there is has named none.
    is_right = _names_cause(truth, given)
    if not truth.faults:
        return int(is_right), 1
    return len(set(given.causes) & set(truth.faults)) if is_right else 0, len(truth.faults)


def _parts(truth: Truth, given: Answers, proven: Proven) -> tuple[Part, ...]:
    return (_detect(truth, given), _localise(truth, given), _ground(truth, given, proven),
            _mitigate(truth, given), _close_out(truth, given))  # fmt: skip


def _detect(truth: Truth, given: Answers) -> Part:
    wanted = "yes" if truth.is_fault else "no"
    says = f"Wrong? It was {wanted}; you said {given.wrong or 'nothing'}."
    return Part(name="detect", value=float(given.wrong == wanted), says=says)


def _localise(truth: Truth, given: Answers) -> Part:
    wanted = {**truth.scope, **({"step": truth.operation} if truth.operation else {})}
    if not wanted:
        return Part(name="localise", value=None, says="There is no one place to name.")
    claimed = {**given.labels, "step": given.step if given.step != NO_PLACE else ""}
    # What the truth leaves open may be said or left out, and costs nothing.
    said = {(key, value) for key, value in claimed.items() if key in wanted and value}
    true = set(wanted.items())
    value = len(said & true) / len(said | true)
    place = " ".join(f"{key}={value}" for key, value in wanted.items())
    return Part(name="localise", value=value, says=f"It was {place}.")


def _ground(truth: Truth, given: Answers, proven: Proven) -> Part:
    if not truth.is_fault or truth.causes[0] == UNKNOWN:
        return Part(name="ground", value=None, says="There is nothing to prove.")
    if not _names_cause(truth, given):
        return Part(name="ground", value=0.0, says="A wrong cause has no ground.")
    named, faults = _named(truth, given)
    if proven.grounded is None or named == faults:
        return Part(name="ground", value=proven.grounded, says=proven.says)
    says = f"{proven.says} {named} of {faults} faults named."
    return Part(name="ground", value=proven.grounded * named / faults, says=says)


def _mitigate(truth: Truth, given: Answers) -> Part:
    if not truth.actions:
        return Part(name="mitigate", value=None, says="No one remedy is right.")
    says = (
        f"First {' or '.join(truth.actions)}; you said {given.action or 'nothing'}. "
        f"{truth.close_out}"
    ).strip()
    return Part(name="mitigate", value=float(given.action in truth.actions), says=says)


def _close_out(truth: Truth, given: Answers) -> Part:
    if truth.replay is None:
        return Part(name="close_out", value=None, says="There are no rows to judge by.")
    if not given.action:
        return Part(name="close_out", value=0.0, says="Nothing was said of the rows.")
    said = given.replays
    says = "Rows must be replayed." if truth.replay else "Rows drain by themselves."
    return Part(name="close_out", value=float(said == truth.replay), says=says)


def _times(truth: Truth, sheet: Sequence[Stamped], proven: Proven) -> dict[str, float | None]:
    detected = (one.after_s for one in sheet if _detect(truth, one.answers).value == 1.0)
    first = next(detected, None)
    return {
        "TTD": None if first is None else round(first, 2),
        "TTL": _stands(sheet, lambda one: _localise(truth, one).value == 1.0),
        "TTX": _stands(sheet, lambda one: _names_cause(truth, one)),
        "TTM": _stands(sheet, lambda one: _is_remedy(truth, one)),
        "TTR": proven.restored_s,
    }


def _stands(sheet: Sequence[Stamped], is_right: Callable[[Answers], bool]) -> float | None:
    """Since when it is right to the end: a guess that was given up on buys no time."""
    since = None
    for one in reversed(sheet):
        if not is_right(one.answers):
            break
        since = round(one.after_s, 2)
    return since


def _is_remedy(truth: Truth, given: Answers) -> bool:
    """Whether the remedy stands; where none is judged, the cause must."""
    judged = _mitigate(truth, given).value
    return _names_cause(truth, given) if judged is None else judged == 1.0
