"""Tracing: is it on, off, sampled out, or is the collector down? Told apart by what each leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.apart import Apart, told_far
from loomtriage.analysis.counters.increases import Increases
from loomtriage.case import Case
from loomtriage.contract.events import NO_COLLECTOR, STARTUP, TRACING_OFF
from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import BATCH, ROW
from loomtriage.model import Finding, Frame, State, Window

MOST = 0.5
"""Share of attempts with a trace below which most incidents have none."""
DEFAULT_SAMPLER = "traceidratio at 0.05"
CHECK = "preflight.tracing"
SET_CLOCK = "Set that clock, or ask for a window as far off."


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """What the signals say of tracing itself.

    Attributes:
        is_off: a process said that it makes no spans.
        lost: why spans did not reach the collector, empty when nothing says so.
        clocks: which clocks are so far off that spans may lie outside the window, empty if none.
        sampler: as a process announced it, with its argument; empty when none did.
        attempts: attempts that the counters saw in the window.
        rows: attempts that spans tell of, row by row or as the size of their batch.
        is_truncated: the search gave its limit, so `rows` is a lower bound.
    """

    is_off: bool
    lost: str
    clocks: str
    sampler: str
    attempts: float
    rows: int
    is_truncated: bool

    @property
    def share(self) -> float | None:
        """Attempts with a row span, at most 1; None where nothing was attempted."""
        return min(self.rows / self.attempts, 1.0) if self.attempts else None

    @property
    def excuse(self) -> str:
        """Clocks that explain why there is no span, where nothing else does; empty otherwise."""
        return "" if self.is_off or self.lost else told_off(self.clocks)


def told_off(clocks: str) -> str:
    """Clocks that are off, and what to do about them; empty when none is."""
    return clocks and f"{clocks}. {SET_CLOCK}"


def excuse_of(clocks: str, lines: pd.DataFrame) -> str:
    """Clocks as the reason why there is no span; empty where lines tell of another."""
    return "" if not clocks or why_untraced(lines) else told_off(clocks)


def excused(check: str, excuse: str) -> Finding:
    """NO_DATA: no span, and why."""
    says = f"No span started in the window. {excuse}"
    return Finding(check=check, state=State.NO_DATA, says=says, n=0)


def asked_projection(case: Case) -> str:
    """The projection whose worker the spans are asked of."""
    return case.scope.projection or SEARCH


def beyond(apart: Iterable[Apart], *, projection: str, window: Window) -> tuple[Apart, ...]:
    """Clocks so far off that no span of that projection's window lies in it."""
    return tuple(
        one for one in apart if one.excuses((projection,)) and abs(one.ahead_s) >= window.seconds
    )


def why_untraced(lines: pd.DataFrame) -> str:
    """What log lines say of there being no span, and what to do; empty when they say nothing."""
    events = lines["event"]
    if events.isin(NO_COLLECTOR).any():
        return (
            f"{int(events.isin(NO_COLLECTOR).sum())} log lines say that the collector was out of "
            "reach: start it, then restart the worker, which looks for it once, at its start."
        )
    started = lines.loc[events == STARTUP, "fields"]
    if (events == TRACING_OFF).any() or any(one.get("enabled") is False for one in started):
        return "Log lines say that tracing is off: set WORDLOOM_TRACING_ENABLED=1 and restart."
    return ""


def read_tracing(
    spans: Frame,
    lines: pd.DataFrame,
    increases: Increases,
    *,
    projection: str,
    apart: tuple[Apart, ...] = (),
) -> Tracing:
    """Gather it from the lines that processes write about tracing, counters and spans.

    `projection` is the one whose worker the spans were asked of: only its attempts count.
    """
    started = lines[lines["event"] == STARTUP]["fields"]
    announced = [fields for fields in started if fields.get("sampler")]
    sampler = (
        " at ".join(
            str(announced[-1][key]) for key in ("sampler", "sampler_arg") if announced[-1].get(key)
        )
        if announced
        else ""
    )
    is_off = bool((lines["event"] == TRACING_OFF).any()) or any(
        fields.get("enabled") is False for fields in started
    )
    tried = (increases.total(name, projection=projection) for name in ("processed", "failed"))
    return Tracing(
        is_off=is_off,
        lost=_lost(lines, started, increases),
        clocks=told_far(one for one in apart if one.excuses((projection,))),
        sampler=sampler,
        attempts=sum(observed for observed, _ in tried),
        rows=_attempts_traced(spans.data),
        is_truncated=any(text.startswith("truncated") for text in spans.caveats),
    )


def tracing_findings(spans: Frame, told: Tracing) -> tuple[Finding, ...]:
    """Which of the ways of having no trace this is; nothing where the source itself is silent."""
    if not len(spans) and spans.missing != "empty" and not told.is_off and not told.lost:
        return ()
    return (_some(told) if len(spans) else _none(told),)


def _some(told: Tracing) -> Finding:
    sampled = told.sampler and "always_on" not in told.sampler
    enough = told.share is None or told.share >= MOST
    if enough or (told.is_truncated and not sampled):
        cut = ", of more that the search left out" if told.is_truncated else ""
        says = f"Tracing is on: spans tell of {_told_of(told)}{cut}."
        return _finding(State.OK, says, told)
    if told.clocks:
        says = f"Spans tell of {_told_of(told)}: {told_off(told.clocks)}"
        return _finding(State.WARN, says, told)
    why = f"sampler {told.sampler}" if sampled else told.lost
    why = why or f"sampled out (Wordloom's default is {DEFAULT_SAMPLER})"
    says = (
        f"Spans tell of {told.rows} of {told.attempts:.0f} attempts ({told.share:.0%}): {why}. "
        "Most incidents have no trace; set OTEL_TRACES_SAMPLER=always_on where load allows."
    )
    return _finding(State.WARN, says, told)


def _told_of(told: Tracing) -> str:
    """Attempts in spans and in counters; scrapes date the counters, so either may have more."""
    if told.rows > told.attempts:
        return f"all {told.attempts:.0f} attempts, and of {told.rows - told.attempts:.0f} more"
    return f"{told.rows} of {told.attempts:.0f} attempts"


def _none(told: Tracing) -> Finding:
    """No span at all: off, lost on the way, no work, or sampled out."""
    if told.is_off:
        says = "Tracing is off. Set WORDLOOM_TRACING_ENABLED=1, unset OTEL_SDK_DISABLED; restart."
    elif told.lost:
        says = (
            f"The collector does not take spans: {told.lost}. Start it, then restart every "
            "process that found none at its start."
        )
    elif told.clocks:
        says = f"No span for {told.attempts:.0f} attempts in the window: {told_off(told.clocks)}"
    elif not told.attempts:
        says = "No span, and no attempt that would have made one: write something, then look again."
    else:
        sampler = told.sampler or f"unknown, Wordloom's default is {DEFAULT_SAMPLER}"
        says = (
            f"No span for {told.attempts:.0f} attempts, no sign of a lost collector: sampled out "
            f"(sampler {sampler}), or tracing is off. Set OTEL_TRACES_SAMPLER=always_on."
        )
    return _finding(State.NO_DATA, says, told)


def _attempts_traced(spans: pd.DataFrame) -> int:
    """In bulk mode no row has a span of its own; a batch tells how many it took."""
    batches = spans[spans["operation"] == BATCH]["attributes"]
    sizes = [told.get("batch_size") for told in batches if "prepare" not in str(told.get("mode"))]
    took = sum(size for size in sizes if isinstance(size, int))
    return max(int((spans["operation"] == ROW).sum()), took)


def _lost(lines: pd.DataFrame, started: pd.Series, increases: Increases) -> str:
    failures = increases.total("trace_export_failures")[0]
    if failures:
        return f"{failures:.0f} exports failed in the window"
    gone = lines[lines["event"].isin(NO_COLLECTOR)]
    if len(gone):
        return f"{len(gone)} lines say {gone['event'].iloc[-1]}"
    bare = [f for f in started if f.get("enabled") and f.get("exporter_configured") is False]
    if bare:
        return f"no exporter was attached ({bare[-1].get('exporter_reason') or 'no reason given'})"
    return ""


def _finding(state: State, says: str, told: Tracing) -> Finding:
    share = told.share
    return Finding(
        check=CHECK,
        state=state,
        says=says,
        value=None if share is None else round(share, 3),
        unit="share of attempts",
        threshold=MOST,
        n=round(told.attempts),
    )
