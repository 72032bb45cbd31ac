"""Shifted: what would a triage see whose window begins and ends a little off?

Nobody on call knows the onset to the second. A recorded run answers only the questions that were
asked of it, so the recorded ones are asked, and what lies outside the other window is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

import pandas as pd

from loomtriage.case import Case
from loomtriage.model import Finding, Frame, Kind, Signal, Window
from loomtriage.sources.question import Question
from loomtriage.sources.source import Source

TIME_OF = {Kind.LINES: "ts", Kind.SPANS: "start"}
MOST_EARLY = 0.2
"""How much of the window's length it may begin too early, and end too early, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Shares of the window's length by which it begins and ends too early."""

    start: float
    end: float

    @classmethod
    def drawn(cls, draw: Random) -> Shift:
        """Some shift."""
        return cls(start=draw.uniform(0.0, MOST_EARLY), end=draw.uniform(0.0, MOST_EARLY))

    def __call__(self, case: Case) -> Case:
        """The same case with the shifted window; one without a baseline stays as it is."""
        if case.baseline is None:
            return case
        length = case.window.end - case.window.start
        start = case.window.start - _whole_ms(length * self.start)
        window = Window(start, case.window.end - _whole_ms(length * self.end))
        baseline = Window(case.baseline.start, start)
        new = replace(case, window=window, baseline=baseline)
        sources = case.evidence.sources

        def seen(source: Source | None) -> Source | None:
            return None if source is None else _Seen(source, old=case, new=new)

        shown = replace(
            sources,
            metrics=seen(sources.metrics),
            traces=seen(sources.traces),
            logs=seen(sources.logs),
            rows=seen(sources.rows),
        )
        return replace(new, evidence=replace(case.evidence, sources=shown))


class _Seen:
    """A source that answers for the shifted windows from what was recorded for the old ones."""

    def __init__(self, source: Source, *, old: Case, new: Case) -> None:
        self.name, self.signal = source.name, source.signal
        self.source, self.old, self.new = source, old, new

    def probe(self) -> Finding:
        """As the source itself."""
        return self.source.probe()

    def pull(self, question: Question) -> Frame:
        """The recorded answer without what lies outside the asked window."""
        if question.signal is Signal.TRACES and not question.trace_ids:
            return self._spans(question)
        frame = self.source.pull(replace(question, window=self._recorded(question.window)))
        return _within(frame, question.window)

    def _spans(self, question: Question) -> Frame:
        """Spans were asked twice, before and in the window; both may reach into the shifted one."""
        windows = [w for w in (self.old.baseline, self.old.window) if w is not None]
        frames = [self.source.pull(replace(question, window=window)) for window in windows]
        there = [frame for frame in frames if not frame.missing and len(frame.data)]
        if not there:
            return frames[-1]
        data = pd.concat([frame.data for frame in there], ignore_index=True)
        data = data.drop_duplicates(["trace_id", "span_id"], ignore_index=True)
        return _within(replace(there[-1], data=data), question.window)

    def _recorded(self, window: Window) -> Window:
        pairs = ((self.new.window, self.old.window), (self.new.baseline, self.old.baseline))
        same = next((old for new, old in pairs if window == new and old is not None), None)
        return same or (self.old.span if window == self.new.span else window)


def _within(frame: Frame, window: Window) -> Frame:
    """Only what lies in the window; rows of the outbox are as they stood at the end."""
    data = frame.data
    if frame.kind is Kind.METRICS:
        inside = (data.index >= window.start) & (data.index < window.end)
        return replace(frame, data=data[inside])
    if frame.kind not in TIME_OF:
        return frame
    moments = data[TIME_OF[frame.kind]]
    kept = data[(moments >= window.start) & (moments < window.end)]
    return replace(frame, data=kept.reset_index(drop=True))


def _whole_ms(span: timedelta) -> timedelta:
    return timedelta(milliseconds=round(span / timedelta(milliseconds=1)))
