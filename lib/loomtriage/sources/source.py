"""What a source is: something we pull one signal from, and the four of them together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from loomtriage.model import Finding, Frame, Kind, Origin, Signal, State
from loomtriage.sources.question import Question
from loomtriage.sources.tape import RawAnswer, Unreadable

Ask = Callable[[Question], RawAnswer]
Parse = Callable[[bytes], tuple[pd.DataFrame, tuple[str, ...]]]


SKEW_NOTED_S = 2.0


class Source(Protocol):
    """Something we pull one signal (or outbox rows) from."""

    name: str
    signal: Signal

    def pull(self, question: Question) -> Frame:
        """The answer as a checked frame; missing, slow or damaged data is an empty frame."""
        ...

    def probe(self) -> Finding:
        """A cheap "is it there?"."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of one case.

    Attributes:
        spec: how the user named them (`live`, `example:ID`, `run:DIR`, `labs:DIR`).
        metrics: counters and gauges, None when not configured; the others alike.
        traces: spans.
        logs: log lines.
        rows: outbox rows.
    """

    spec: str
    metrics: Source | None = None
    traces: Source | None = None
    logs: Source | None = None
    rows: Source | None = None

    def get(self, signal: Signal) -> Source | None:
        """The source of that signal, None when not configured."""
        return {
            Signal.METRICS: self.metrics,
            Signal.TRACES: self.traces,
            Signal.LOGS: self.logs,
            Signal.ROWS: self.rows,
        }[signal]


def origin_of(source: str, question: Question, *, query: str, raw: RawAnswer) -> Origin:
    """Where a frame comes from; the same live and played back, so it names no server."""
    return Origin(
        source=source,
        query=query,
        window=question.window,
        # What was never asked was never fetched.
        fetched_at=None if raw.missing == "not_recorded" else raw.fetched_at,
        sha256=hashlib.sha256(raw.body).hexdigest(),
    )


def frame_of(kind: Kind, origin: Origin, *, raw: RawAnswer, parse: Parse, appears: str) -> Frame:
    """Turn a raw answer into a frame; whatever is wrong with it becomes `missing`.

    Args:
        kind: shape of the frame.
        origin: where it comes from.
        raw: the answer, from the source or from the tape.
        parse: body to table and caveats; raises `Unreadable` for a damaged body.
        appears: what would make data appear, the hint of an empty frame.
    """
    missing, hint, notes = raw.missing, raw.hint, raw.caveats
    if not missing:
        try:
            data, more = parse(raw.body)
        except Unreadable as bad:
            missing, hint = bad.missing, bad.hint
        else:
            notes = (*notes, *more)
            if len(data):
                return Frame(kind=kind, data=data, origin=origin, caveats=notes)
            missing, hint = "empty", hint or appears
    frame = Frame.empty(kind, origin, missing=missing, hint=hint)
    for note in notes:
        frame = frame.with_caveat(note)
    return frame


def skew_note(whose: str, ahead_s: float) -> tuple[str, ...]:
    """A caveat when a clock differs from ours by more than two seconds; nothing is shifted."""
    if abs(ahead_s) <= SKEW_NOTED_S:
        return ()
    way = "ahead of" if ahead_s > 0 else "behind"
    return (f"clock_skew: the {whose}'s clock is {abs(ahead_s):.0f} s {way} ours.",)


def in_files() -> RawAnswer:
    """What a probe says of evidence that stands in files."""
    return RawAnswer(media="txt", hint="The evidence stands in files.")


def probed(name: str, raw: RawAnswer, *, fine: str) -> Finding:
    """The finding of a probe: OK, or NO_DATA with what to do about it."""
    if not raw.missing:
        return Finding(check=f"doctor.{name}", state=State.OK, says=raw.hint or fine)
    says = f"{name} gives no data ({raw.missing}). {raw.hint}".rstrip()
    return Finding(check=f"doctor.{name}", state=State.NO_DATA, says=says)
