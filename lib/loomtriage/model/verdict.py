"""Verdict: merged findings of one stage, run or drill, with a headline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loomtriage.errors import Exit
from loomtriage.model.finding import Finding, State

EXIT_OF_STATE = {
    State.OK: Exit.OK,
    State.WARN: Exit.BAD,
    State.NO_DATA: Exit.NO_DATA,
    State.ERROR: Exit.ERROR,
    State.BAD: Exit.BAD,
}


def worst(states: Iterable[State]) -> State:
    """The worst state; nothing at all is NO_DATA. Associative, commutative, never improves."""
    return max(states, key=lambda state: state.rank, default=State.NO_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A ranked pattern, step or template.

    Attributes:
        what: the pattern in words, `retry reason=es_unreachable`.
        score: signed G² (χ²₁ under no change), or the stage's own score.
        observed: count in the window.
        expected: count that the baseline predicts.
        unit: of observed and expected.
    """

    what: str
    score: float
    observed: float
    expected: float
    unit: str = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a stage, run or drill came to; built only by `judge`."""

    headline: str
    state: State
    findings: tuple[Finding, ...]
    suspects: tuple[Suspect, ...] = ()

    @property
    def exit_code(self) -> Exit:
        """Exit code of the command that shows this verdict."""
        return EXIT_OF_STATE[self.state]

    def _repr_html_(self) -> str:
        from html import escape  # only a displayed verdict pays for it

        items = "".join(
            f"<li><b>{f.state}</b> {escape(f.check)}: {escape(f.says)}</li>" for f in self.findings
        )
        return f"<p><b>{self.state}</b> {escape(self.headline)}</p><ul>{items}</ul>"

    def __str__(self) -> str:
        lines = [f"{self.state}: {self.headline}"]
        lines += [f"  {f.state:<8}{f.check}: {f.says}" for f in self.findings]
        return "\n".join(lines)


def judge(
    findings: Iterable[Finding], *, headline: str = "", suspects: Iterable[Suspect] = ()
) -> Verdict:
    """Merge findings into a verdict: worst state wins, no findings is NO_DATA.

    Without a headline the worst finding's sentence is taken.
    """
    kept = tuple(findings)
    state = worst(f.state for f in kept)
    if not headline:
        headline = next((f.says for f in kept if f.state is state), "Nothing was checked.")
    return Verdict(headline=headline, state=state, findings=kept, suspects=tuple(suspects))
