"""Do the three signals share their keys, and can a pivot be jumped along from one to the next?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.conformance.gaps import Answer, Gap
from loomtriage.analysis.counters.increases import labels_of
from loomtriage.contract.catalogue import BY_WIRE
from loomtriage.contract.demands import MIN_JUMPS
from loomtriage.contract.events import API_ANSWERED, EventKind, kind_of
from loomtriage.contract.keys import SCOPE_KEYS, canonical_projection, read_key
from loomtriage.contract.spans import API_SERVICE, BATCH, CLAIM, ROW
from loomtriage.model.frame import METRIC_LEVELS

SAME_VALUES = ("env", "projection")
"""Keys whose values must be the same sets; of the others a batch says `mixed` where rows differ."""
_WORK = (BATCH, ROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyValues:
    """Values of one shared key on each signal; None where the signal is not there."""

    key: str
    metrics: frozenset[str] | None
    traces: frozenset[str] | None
    logs: frozenset[str] | None

    @property
    def there(self) -> Mapping[str, frozenset[str]]:
        """Values by signal, of the signals that are there."""
        told = {"metrics": self.metrics, "traces": self.traces, "logs": self.logs}
        return {name: values for name, values in told.items() if values is not None}


def key_values(
    metrics: pd.DataFrame, spans: pd.DataFrame, lines: pd.DataFrame, *, inferred: frozenset[str]
) -> tuple[KeyValues, ...]:
    """What each signal says for each key of the scope, under any spelling.

    A claim knows neither op nor result, so for those only spans and lines of work are read.
    """
    told = _told(lines)
    found = []
    for key in (key.name for key in SCOPE_KEYS):
        operations = (CLAIM, *_WORK) if key in SAME_VALUES else _WORK
        own = spans[spans["operation"].isin(operations)]["attributes"]
        labels = frozenset() if key in inferred else _labels(metrics, key)
        traced = frozenset(read_key(key, attributes) for attributes in own)
        logged = [read_key(key, f) for kind, f in told if key in kind.needs]
        found.append(
            KeyValues(
                key=key,
                metrics=labels if len(metrics) else None,
                traces=traced - {""} if len(own) else None,
                logs=frozenset(logged) - {""} if logged else None,
            )
        )
    return tuple(found)


def _labels(metrics: pd.DataFrame, key: str) -> frozenset[str]:
    """Label values; what a counter's increase means stands for a result."""
    columns = labels_of(metrics)
    values = {column[METRIC_LEVELS.index(key)] for column in columns}
    if key == "result":
        values |= {BY_WIRE[column[0]].result for column in columns if column[0] in BY_WIRE}
    return frozenset(values - {""})


def _told(lines: pd.DataFrame) -> list[tuple[EventKind, Mapping[str, object]]]:
    pairs = zip(lines["event"], lines["fields"], strict=True)
    return [(kind, fields) for event, fields in pairs if (kind := kind_of(event)) is not None]


def keys_answer(keys: tuple[KeyValues, ...], written: frozenset[str]) -> Answer:
    """Is each key on every signal that is there, with the same values where that must be?

    Args:
        keys: as read, with aliases mapped.
        written: projection names as signals wrote them, before mapping.
    """
    gaps = []
    for one in keys:
        there = one.there
        said = {name: values for name, values in there.items() if values}
        # Nothing on any signal: there was no work, or the presence checks say so already.
        gaps += [
            Gap(where=name, what=f"no {one.key}") for name in there if said and name not in said
        ]
        if one.key in SAME_VALUES:
            gaps += _foreign(one.key, said)
    for name in sorted(written):
        if canonical_projection(name) != name:
            full = canonical_projection(name)
            gaps.append(Gap(where="traces", what=f"projection {name}, elsewhere {full}"))
    return Answer(demand="keys_equal", n=sum(len(k.there) > 1 for k in keys), gaps=tuple(gaps))


def _foreign(key: str, said: Mapping[str, frozenset[str]]) -> list[Gap]:
    """Values of spans and lines that metrics, where there are any, never say.

    The other way round is no gap: a projection without work has counters and nothing else.
    """
    known = said.get("metrics")
    if known is None:
        known = frozenset.intersection(*said.values()) if said else frozenset()
        known = frozenset().union(*said.values()) if known else known
    return [
        Gap(where=name, what=f"{key}={value}, unknown to the other signals")
        for name, values in sorted(said.items())
        for value in sorted(values - known)
        if len(said) > 1
    ]


def short_projections(spans: pd.DataFrame) -> frozenset[str]:
    """Projection names as spans wrote them under the bare key that metrics and logs use."""
    told = {str(a["projection"]) for a in spans["attributes"] if a.get("projection")}
    return frozenset(told)


def correlation_answer(spans: pd.DataFrame, lines: pd.DataFrame) -> Answer:
    """Of the API's correlation ids, how many lead to a trace and on to the worker's lines?"""
    is_api = spans["service"] == API_SERVICE
    is_work = ~is_api & spans["operation"].isin(_WORK)
    on_api, on_work = _ids(spans[is_api]["attributes"]), _ids(spans[is_work]["attributes"])
    is_answer = lines["event"] == API_ANSWERED
    answers = lines[is_answer]
    of_work = [fields for kind, fields in _told(lines[~is_answer])]
    asked = _ids(answers["fields"]) or on_api
    on_lines = _ids(of_work)
    n = len(of_work) + int(is_work.sum())
    if not asked and (not n or on_work or on_lines):
        return Answer(demand="pivots_correlation", n=0)
    if not asked:
        what = f"no correlation id on {is_work.sum()} spans and {len(of_work)} lines of workers"
        gap = Gap(where="traces and logs", what=what)
        return Answer(demand="pivots_correlation", n=n, gaps=(gap,))
    traced = asked & (_ids(answers[answers["trace_id"] != ""]["fields"]) | on_api | on_work)
    logged = asked & on_lines
    gaps = []
    if not traced:
        gaps.append(Gap(where="API", what="no way to the trace", seen=len(asked), of=len(asked)))
    if of_work and not logged:
        what = "no way to the worker's lines"
        gaps.append(Gap(where="API", what=what, seen=len(asked), of=len(asked)))
    note = (
        f"Of {len(asked)} correlation ids {len(traced)} lead to a trace, "
        f"{len(logged)} to lines of a worker."
    )
    return Answer(demand="pivots_correlation", n=len(asked), gaps=tuple(gaps), note=note)


def traces_answer(spans: pd.DataFrame, lines: pd.DataFrame) -> Answer:
    """Of the traces that did work, how many have a line? One that ends after all lines may yet."""
    worked = _ended(spans, lines["ts"].max()) if len(lines) and len(spans) else set()
    if not worked:
        return Answer(demand="pivots_traces", n=0)
    found = len(worked & set(lines["trace_id"]))
    note = f"{found} of {len(worked)} traces have lines."
    bad = found < MIN_JUMPS.value * len(worked)
    gap = Gap(where="traces", what="no line", seen=len(worked) - found, of=len(worked))
    return Answer(demand="pivots_traces", n=len(worked), gaps=(gap,) if bad else (), note=note)


def _ended(spans: pd.DataFrame, by: pd.Timestamp) -> set[str]:
    """Traces with work whose last span ended by then."""
    ends = pd.to_datetime(spans["start"], utc=True) + pd.to_timedelta(spans["duration_s"], unit="s")
    late = set(spans.loc[ends > by, "trace_id"])
    return set(spans.loc[spans["operation"].isin(_WORK), "trace_id"]) - late


def _ids(attributes: Iterable[Mapping[str, object]]) -> set[str]:
    return {read_key("correlation_id", a) for a in attributes} - {""}
