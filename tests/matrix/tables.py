"""The reference pages that are made of verdicts; `.ci/degradation` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

from loomtriage.evidence import examples
from tests.stages.whole import verdict_of

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"
SAMPLES = ROOT.parent / "shared" / "samples" / "wordloom-v3"
SIGNALS = ("metrics", "traces", "logs", "rows")
LOST = (*combinations(SIGNALS, 1), *combinations(SIGNALS, 2))
Triage = Callable[[str, tuple[str, ...]], Mapping[str, object]]

_DEGRADATION = """# What remains when signals are lost

Each recorded example with one and with two of its signals taken away.
The cause stays right, with less confidence, or becomes `unknown` and says why;
nothing is ever OK where a signal is missing.
Each cell gives cause, state and confidence.
A run names every missing signal, and what would bring it back, in its preflight.

<!-- below: written by `.ci/degradation` from the examples -->

"""
_SAMPLES = """# Wordloom's sample runs

What the triage says of each recorded run of Wordloom, blind: neither the run's name nor the
harness's own conclusion is read.
Where the evidence does not carry a cause, the answer is `unknown`, and it says which leg is missing
or contaminated, and by what.

<!-- below: written by `.ci/degradation` from the samples, where they are at hand -->

"""


def degradation(names: Iterable[str], verdict_of: Triage) -> str:
    """The page of lost signals."""
    head = ("example", *(_taken(gone) for gone in ((), *LOST)))
    with ProcessPoolExecutor(max_workers=2) as pool:
        return _DEGRADATION + _table(
            head, pool.map(partial(lost_row, verdict_of=verdict_of), names)
        )


def lost_row(name: str, *, verdict_of: Triage) -> tuple[str, ...]:
    """Its row of one example: cause, state and confidence for each loss."""
    told = (_answer(verdict_of(name, gone))[:3] for gone in ((), *LOST))
    return (f"`{name}`", *(" ".join(answer) for answer in told))


def _taken(gone: tuple[str, ...]) -> str:
    return f"without {' and '.join(gone)}" if gone else "whole"


def shown(row: Iterable[str]) -> str:
    """A row as a line of the page."""
    return f"| {' | '.join(map(_cell, row))} |\n"


def samples(verdict_of: Triage) -> str:
    """The page of Wordloom's runs."""
    rows = []
    for run in sorted(recipe.parent for recipe in SAMPLES.glob("*/*/_recipe.json")):
        verdict = verdict_of(str(run), ())
        scope = verdict["scope"]
        parts = " ".join(f"{k}={v}" for k, v in scope.items() if v)
        legs = [f["says"] for f in verdict["findings"] if ".leg." in f["check"]]
        cause, state, sure, says = _answer(verdict)
        rows.append(
            (f"`{run.parent.name}`", cause, state, sure, parts, says, " ".join(map(str, legs)))
        )
    head = ("sample", "cause", "state", "confidence", "scope", "what it says", "contaminated")
    return _SAMPLES + _table(head, rows)


def _answer(verdict: Mapping[str, object]) -> tuple[str, str, str, str]:
    """Cause, state, confidence, and the sentence that carries them."""
    says = str(verdict["why"] or _because(verdict))
    return str(verdict["cause"]), str(verdict["state"]), f"{verdict['confidence']:g}", says


def _because(verdict: Mapping[str, object]) -> str:
    """What the rule that named the cause stands on."""
    said = [f["says"] for f in verdict["findings"] if f["check"] == "explain.cause"]
    return str(said[0] if said else verdict["headline"])


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    marks = ("---",) * len(head)
    return "".join(map(shown, (head, marks, *rows)))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _example(name: str, gone: tuple[str, ...]) -> Mapping[str, object]:
    return verdict_of(f"example:{name}", gone)


def main() -> None:
    """Write both pages; that of the samples only where they are."""
    text = degradation(examples(), _example)
    (PAGES / "degradation.md").write_text(text, encoding="utf-8")
    if SAMPLES.is_dir():
        text = samples(lambda run, gone: verdict_of(f"labs:{run}", gone))
        (PAGES / "samples.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
