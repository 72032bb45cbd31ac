"""Pivot: where does one id lead, into spans, outbox rows and log lines, and what is missing why?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pandas as pd

from loomtriage.analysis.joins import Coverage
from loomtriage.analysis.pivots import Joined, join, typed
from loomtriage.case import Case
from loomtriage.errors import UsageError
from loomtriage.model import Frame, Kind, Origin, Signal
from loomtriage.report import found
from loomtriage.report.tables import Table
from loomtriage.sources.question import Question

MAX_VALUE_CHARS = 256
MAX_TRACES = 50
MAX_ROW_SEARCHES = 3
"""Outbox rows whose spans are searched for, each a question of its own."""
_SEARCHABLE = ("correlation_id", "outbox_event_id", "claim_batch_id", "entity_id")
_SILENT = ("timeout", "refused", "auth", "not_configured")
"""Words of a trace source that will not answer the next question either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What one signal holds of the id.

    Attributes:
        signal: which signal.
        found, searched: things that belong to the id, of all that were looked through.
        by: how many were joined by which key.
        says: one sentence; for nothing found, why, and what would change that.
    """

    signal: Signal
    found: int
    searched: int
    by: tuple[tuple[str, int], ...]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot:
    """Where one id leads.

    Attributes:
        value: the id as evidence spells it.
        joined: what belongs to it, and by which keys.
        hops: one a signal: traces, rows, logs.
        coverage: how much of one signal resolves in the next.
        caveats: stated limits of the sources, once each.
    """

    value: str
    joined: Joined
    hops: tuple[Hop, ...]
    coverage: tuple[Coverage, ...]
    caveats: tuple[str, ...]

    @property
    def is_found(self) -> bool:
        """Whether the id is anywhere in the evidence."""
        return bool(self.joined.meant)

    @property
    def headline(self) -> str:
        """What the id is and how much belongs to it, one sentence."""
        if not self.is_found:
            return f"{self.value} is in no span, no outbox row and no log line that could be read."
        counts = ", ".join(
            f"{hop.found} {_NOUN[hop.signal].removesuffix('s' if hop.found == 1 else '')}"
            for hop in self.hops
        )
        return f"{self.joined.meant[0]} {self.value}: {counts}."

    @property
    def tables(self) -> tuple[Table, ...]:
        """The hops, then what was found, a table a signal."""
        hops = [(_NOUN[h.signal], h.found, h.searched, h.says) for h in self.hops]
        joins = "; ".join(f"{c.edge}: {c.resolved} of {c.n}" for c in self.coverage if c.n)
        return (
            found.hops_table(hops, title=self.headline, note=joins),
            found.spans_table(self.joined.spans),
            found.rows_table(self.joined.rows),
            found.lines_table(self.joined.lines),
        )

    def as_json(self) -> dict[str, object]:
        """Ids, hops and coverage, ready for JSON."""
        return {
            "value": self.value,
            "meant": list(self.joined.meant),
            "ids": {name: sorted(found) for name, found in sorted(self.joined.ids.items())},
            "hops": [
                {
                    "signal": str(hop.signal),
                    "found": hop.found,
                    "searched": hop.searched,
                    "by": dict(hop.by),
                    "says": hop.says,
                }
                for hop in self.hops
            ],
            "coverage": {c.edge: {"resolved": c.resolved, "n": c.n} for c in self.coverage},
            "caveats": list(self.caveats),
        }

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables)


_NOUN = {Signal.TRACES: "spans", Signal.ROWS: "outbox rows", Signal.LOGS: "log lines"}


def pivot(case: Case, value: str) -> Pivot:
    """Follow an id in all directions: what it is, is found out from the evidence.

    Args:
        case: where to look, and in which window.
        value: a correlation id, trace id, span id, outbox event id, claim batch id or entity id;
            a whole `traceparent` stands for its trace.

    Raises:
        UsageError: the text cannot be an id.
    """
    if not value.strip() or len(value) > MAX_VALUE_CHARS or not value.strip().isprintable():
        raise UsageError(
            f"{value[:40]!r} cannot be an id.",
            hint=f"Give printable text of at most {MAX_VALUE_CHARS} characters.",
        )
    wanted, names = typed(value)
    rows, lines = case.pull("rows"), case.pull("lines")
    spans, joined = _follow(case, wanted, names=names, rows=rows, lines=lines)
    return Pivot(
        value=wanted,
        joined=joined,
        hops=(
            _hop(Signal.TRACES, spans, belongs=joined.spans, joined=joined),
            _hop(Signal.ROWS, rows, belongs=joined.rows, joined=joined),
            _hop(Signal.LOGS, lines, belongs=joined.lines, joined=joined),
        ),
        coverage=_coverage(joined),
        caveats=tuple(dict.fromkeys((*spans.caveats, *rows.caveats, *lines.caveats))),
    )


def _follow(
    case: Case, value: str, *, names: tuple[str, ...], rows: Frame, lines: Frame
) -> tuple[Frame, Joined]:
    """Spans that may belong to the id, and what belongs to it; asks twice at most for traces.

    Rows and lines say first what the id is, so that few questions find its spans.
    """
    origin = Origin(source="traces", query=f"spans of {value}", window=case.span)
    spans = Frame.empty(Kind.SPANS, origin, missing="not_asked")
    if "span_id" in names:  # which no trace server can be asked for
        spans = case.pull("spans")

    def joined(now: Frame) -> Joined:
        return join(value, names, spans=now.data, lines=lines.data, rows=rows.data)

    first = joined(spans)
    meant = first.meant or names
    asked = [_by_attribute(case, name, value) for name in meant if name in _SEARCHABLE]
    named = sorted(first.ids.get("outbox_event_id", frozenset()) - {value})[:MAX_ROW_SEARCHES]
    asked += [_by_attribute(case, "outbox_event_id", one) for one in named]
    traces = set(first.ids.get("trace_id", ())) | ({value} if "trace_id" in meant else set())
    spans = _ask(case, [*_by_id(case, traces), *asked], spans)
    if spans.missing == "not_recorded":
        spans = _recorded(case)
    second = joined(spans)
    more = set(second.ids.get("trace_id", ())) - traces - set(spans.data["trace_id"])
    if more and not spans.missing:
        spans = _ask(case, _by_id(case, more), spans)
        second = joined(spans)
    return spans, second


def _by_attribute(case: Case, name: str, value: str) -> Question:
    return Question(signal=Signal.TRACES, window=case.span, attributes=((name, value),))


def _by_id(case: Case, traces: set[str]) -> list[Question]:
    ids = tuple(sorted(traces)[:MAX_TRACES])
    return [Question(signal=Signal.TRACES, window=case.span, trace_ids=ids)] if ids else []


def _ask(case: Case, questions: list[Question], so_far: Frame) -> Frame:
    frames = [so_far]
    for question in questions:
        frames.append(case.ask(question))
        if frames[-1].missing in _SILENT:
            break
    return _together(frames)


def _recorded(case: Case) -> Frame:
    """A recording holds no search for this id; the spans that it does hold are looked through."""
    note = "The recording holds no search for this id; its own spans were looked through."
    return _together([case.pull("spans"), case.pull("spans_before")]).with_caveat(note)


def _together(frames: list[Frame]) -> Frame:
    """Frames of spans as one; a word for what is missing only where no frame holds a span."""
    told = [frame for frame in frames if frame.missing != "not_asked"] or frames
    full = [frame for frame in told if len(frame)]
    caveats = tuple(dict.fromkeys(note for frame in told for note in frame.caveats))
    if not full:
        # Emptiness says less than a source that did not answer.
        worst = next((f for f in told if f.missing not in ("empty", "not_recorded")), told[-1])
        return replace(worst, caveats=caveats)
    data = pd.concat([frame.data for frame in full], ignore_index=True)
    data = data.drop_duplicates(["trace_id", "span_id"], ignore_index=True)
    lost = [frame for frame in told if frame.missing not in ("", "empty", "not_recorded")]
    notes = [f"partial: a search for spans gave no data ({frame.missing})." for frame in lost]
    return replace(full[0], data=data, caveats=(*caveats, *notes))


def _hop(signal: Signal, frame: Frame, *, belongs: pd.DataFrame, joined: Joined) -> Hop:
    by = tuple(Counter(belongs["by"]).most_common())
    says = _bridges(by, joined) if by else _why_none(signal, frame, joined)
    return Hop(signal=signal, found=len(belongs), searched=len(frame), by=by, says=says)


def _bridges(by: tuple[tuple[str, int], ...], joined: Joined) -> str:
    how = ", ".join(f"{count} by {name}" for name, count in by)
    direct = joined.meant[0] in dict(by)
    return f"{how}." if direct else f"{how}; none carries the {joined.meant[0]} itself."


def _why_none(signal: Signal, frame: Frame, joined: Joined) -> str:
    noun = _NOUN[signal]
    if frame.missing == "empty" and signal is Signal.TRACES:
        return (
            "No span carries it in this window. Sampling, an exporter that was down and a trace "
            "dropped by the server look alike here."
        )
    if frame.missing:
        return f"No {noun} ({frame.missing}). {frame.hint}".strip()
    lacking = _rows_why(frame) if joined.meant and signal is Signal.ROWS else ""
    return f"None of {len(frame)} {noun} of the window carries it.{lacking}"


def _rows_why(frame: Frame) -> str:
    data = frame.data
    lacking = [one for one in ("correlation_id", "trace_id") if not (data[one] != "").any()]
    return f" No row carries any {' or '.join(lacking)}." if lacking else ""


def _coverage(joined: Joined) -> tuple[Coverage, ...]:
    spans, lines, rows = joined.spans, joined.lines, joined.rows
    traces, told = set(spans["trace_id"]), set(lines["trace_id"]) - {""}
    named = joined.ids.get("outbox_event_id", frozenset())
    known = set(rows["id"].astype(str).str.lower())
    return (
        Coverage(edge="trace→log", resolved=len(traces & told), n=len(traces)),
        Coverage(edge="log→trace", resolved=len(traces & told), n=len(told)),
        Coverage(edge="named row→outbox", resolved=len(named & known), n=len(named)),
    )
