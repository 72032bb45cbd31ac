"""Explaining: what do all signals of a case say together, before it is put into words?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.apart import clocks_apart
from loomtriage.analysis.causes.facts import Facts, Seen, gather
from loomtriage.analysis.causes.owners import owners_live
from loomtriage.analysis.causes.silence import silences
from loomtriage.analysis.joins import Coverage, log_to_row, trace_to_log
from loomtriage.case import Case, at_once
from loomtriage.contract.keys import read_key
from loomtriage.model import Frame
from loomtriage.stages.locating import in_scope
from loomtriage.stages.narrowing import Narrowing, measure_case


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What this stage looks at: frames as they came, and what of them lies in the scope.

    Attributes:
        narrowing: what the metrics say.
        spans, lines, rows: of the window, lines and rows of the baseline too.
        scoped, scoped_before: spans inside the scope, of window and baseline.
        told, told_before: lines inside the scope, of window and baseline.
    """

    narrowing: Narrowing
    spans: Frame
    lines: Frame
    rows: Frame
    scoped: pd.DataFrame
    scoped_before: pd.DataFrame
    told: pd.DataFrame
    told_before: pd.DataFrame

    @property
    def ratio(self) -> float:
        """Exposure ratio, 1.0 without a baseline."""
        return self.narrowing.exposure.ratio if self.narrowing.exposure else 1.0


def pull(case: Case) -> Pulled:
    """Ask every source once, and split by scope and window."""
    narrowing = measure_case(case)
    spans, rows, before = at_once(
        lambda: case.pull("spans"), lambda: case.pull("rows"), lambda: case.pull("spans_before")
    )
    earlier = before.data if case.baseline else spans.data.iloc[:0]
    lines = narrowing.lines or case.pull("lines")
    told = lines_in_scope(lines.data, case)
    now = pd.Series([t in case.window for t in told["ts"]], index=told.index, dtype=bool)
    return Pulled(
        narrowing=narrowing,
        spans=spans,
        lines=lines,
        rows=rows,
        scoped=in_scope(spans.data, case),
        scoped_before=in_scope(earlier, case),
        told=told[now],
        told_before=told[~now],
    )


def facts_of(case: Case, pulled: Pulled) -> Facts:
    """What the decision list is asked with; a signal that is missing says nothing."""
    narrowing = pulled.narrowing
    measured = bool(len(narrowing.frame))
    seen = Seen(
        spans=pulled.scoped if len(pulled.scoped) else None,
        lines=pulled.told if len(pulled.lines) else None,
        spans_before=pulled.scoped_before,
        lines_before=pulled.told_before,
        rows=pulled.rows.data if len(pulled.rows) else None,
        until=case.window.end,
        apart=clocks_apart(
            narrowing.frame.data, pulled.lines.data, pulled.rows.data, window=case.window
        ),
        owners_live=owners_live(narrowing.frame, pulled.rows.data, span=case.span)
        if measured
        else None,
    )
    return gather(
        narrowing.folded if measured else None,
        seen,
        exposure=_exposure(case, pulled),
        stuck=max((m.peak for m in narrowing.moves if m.metric == "stuck" and m.moved), default=0),
        still=silences(
            narrowing.frame,
            pd.concat([pulled.scoped, pulled.scoped_before]),
            pulled.lines.data,
            span=case.span,
        ),
    )


def _exposure(case: Case, pulled: Pulled) -> float:
    """Of the counters; by time where there are none, 1.0 without a baseline."""
    if case.baseline is None:
        return 1.0
    by_time = case.window.seconds / case.baseline.seconds
    return pulled.ratio if pulled.narrowing.exposure else by_time


def lines_in_scope(lines: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Lines that do not name another env or projection than the scope's; most name none."""
    wanted = {k: v for k in ("env", "projection") if (v := getattr(case.scope, k))}
    if not wanted or lines.empty:
        return lines
    return lines[
        [all(read_key(k, f) in ("", v) for k, v in wanted.items()) for f in lines["fields"]]
    ]


def joined(case: Case, pulled: Pulled) -> tuple[Coverage, ...]:
    """Trace to log and log to row, each with its own n.

    A span that ends after the window may have its line there, too: it is not asked.
    """
    told, spans = pulled.told, pulled.scoped
    asking = told[told["level"].isin(("WARNING", "ERROR"))] if len(told) else told
    lengths = pd.to_timedelta(spans["duration_s"].astype(float), unit="s")
    ended = pd.to_datetime(spans["start"], utc=True) + lengths < case.window.end
    return (trace_to_log(spans[ended], told), log_to_row(asking, pulled.rows.data))
