"""Which traces show a changed step best, and which healthy one resembles them?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.calls import NETWORK
from loomtriage.analysis.steps.forest import lengths
from loomtriage.analysis.steps.outcomes import failing
from loomtriage.analysis.steps.ranking import Step
from loomtriage.analysis.steps.self_time import self_time


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleTraces:
    """Trace ids, each empty where there is none.

    Attributes:
        median, worst: of the changed step, in the window.
        twin: healthy trace of the baseline with the step, nearest in duration to the median.
    """

    median: str = ""
    worst: str = ""
    twin: str = ""

    @property
    def changed(self) -> tuple[str, ...]:
        """The window's traces, without a repeat."""
        return tuple(dict.fromkeys(one for one in (self.median, self.worst) if one))


def example_traces(spans: pd.DataFrame, before: pd.DataFrame, step: Step | None) -> ExampleTraces:
    """Traces of a failing step by their duration, of a slower one by the step's own time."""
    if step is None or spans.empty:
        return ExampleTraces()
    hit = _of_step(spans, step)
    if step.passes:
        hit &= failing(spans)
        weight = durations(spans[spans["trace_id"].isin(set(spans.loc[hit, "trace_id"]))])
    else:
        spent = self_time(spans)
        if step.operation == NETWORK:
            spent = pd.Series(lengths(spans["duration_s"]), index=spans.index)
        weight = spent[hit].groupby(spans.loc[hit, "trace_id"]).sum()
    if weight.empty:
        return ExampleTraces()
    ordered = weight.sort_index().sort_values(kind="stable")
    median = str(ordered.index[len(ordered) // 2])
    return ExampleTraces(
        median=median,
        worst=str(ordered.index[-1]),
        twin=_twin(spans[spans["trace_id"] == median], before, step),
    )


def durations(spans: pd.DataFrame) -> pd.Series:
    """Seconds from the first start to the last end of each trace."""
    seconds = (spans["start"] - spans["start"].min()).dt.total_seconds()
    ends = seconds + lengths(spans["duration_s"])
    lasting: pd.Series = (
        ends.groupby(spans["trace_id"]).max() - seconds.groupby(spans["trace_id"]).min()
    )
    return lasting


def _of_step(spans: pd.DataFrame, step: Step) -> pd.Series:
    service, operation = step.above if step.operation == NETWORK else step.name
    return (spans["service"] == service) & (spans["operation"] == operation)


def _twin(example: pd.DataFrame, before: pd.DataFrame, step: Step) -> str:
    if before.empty:
        return ""
    sick = set(before.loc[failing(before), "trace_id"])
    same = set(before.loc[_of_step(before, step), "trace_id"]) - sick
    healthy = before[before["trace_id"].isin(same)] if same else before
    healthy = healthy[~healthy["trace_id"].isin(sick)]
    if healthy.empty:
        return ""
    far = np.abs(durations(healthy) - durations(example).iloc[0])
    return str(far.sort_index().idxmin())
