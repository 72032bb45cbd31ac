"""Counters and gauges from a PromQL server: raw samples, one question, no rates."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from loomtriage.contract.catalogue import BY_WIRE, MetricType
from loomtriage.errors import UsageError
from loomtriage.model import Finding, Frame, Kind, Scope, Signal
from loomtriage.sources.http import Http, Limits
from loomtriage.sources.json_text import read_json
from loomtriage.sources.question import Question
from loomtriage.sources.redact import safe
from loomtriage.sources.series import Series, metric_table
from loomtriage.sources.source import Ask, frame_of, in_files, origin_of, probed
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

MAX_SERIES = 50_000
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_APPEARS = (
    "No series of that name has samples in the window. A counter appears with its first event; "
    "check that the worker runs, that Prometheus scrapes it, and that env is right."
)


class Prometheus:
    """The metrics source.

    A range selector at the end of the window brings raw samples, so that counter resets are seen
    by whoever counts. `ask` replaces the server, for evidence that stands in files.
    """

    name = "prometheus"
    signal = Signal.METRICS

    def __init__(
        self, url: str, *, tape: Tape, limits: Limits | None = None, ask: Ask | None = None
    ) -> None:
        self._http = Http(url, limits=limits) if url else None
        self._tape = tape
        self._ask = ask or self._query
        self._look = in_files if ask else self._count_up

    def pull(self, question: Question) -> Frame:
        """Raw samples of the metrics within the window.

        Raises:
            UsageError: a metric name is none.
        """
        query = promql(question)
        raw = self._tape.fetch(question.key, lambda: self._ask(question))
        return frame_of(
            Kind.METRICS,
            origin_of(self.name, question, query=query, raw=raw),
            raw=raw,
            parse=lambda body: _parse(body, question),
            appears=_APPEARS,
        )

    def probe(self) -> Finding:
        """Whether the server answers, and how many targets are up."""
        return probed(self.name, self._tape.fetch("probe metrics", self._look), fine="It answers.")

    def _query(self, question: Question) -> RawAnswer:
        if self._http is None:
            return RawAnswer(missing="not_configured", hint="Set LOOMTRIAGE_PROMETHEUS_URL.")
        form = {"query": promql(question), "time": f"{question.window.end.timestamp():.3f}"}
        reply = self._http.post("/api/v1/query", form)
        return RawAnswer(
            body=reply.body, missing=reply.missing, hint=reply.hint, caveats=reply.caveats
        )

    def _count_up(self) -> RawAnswer:
        if self._http is None:
            return RawAnswer(missing="not_configured", hint="Set LOOMTRIAGE_PROMETHEUS_URL.")
        reply = self._http.post("/api/v1/query", {"query": "up"})
        if reply.missing:
            return RawAnswer(body=reply.body, missing=reply.missing, hint=reply.hint)
        try:
            ups = [value for _, value in _instants(reply.body)]
        except Unreadable as bad:
            return RawAnswer(body=reply.body, missing=bad.missing, hint=bad.hint)
        says = f"Prometheus answers; {sum(v == 1 for v in ups)} of {len(ups)} targets are up."
        return RawAnswer(body=reply.body, hint=says, caveats=reply.caveats)


def promql(question: Question) -> str:
    """The range selector that brings every asked sample.

    Servers differ in whether the left edge belongs to the range, so one second more is asked;
    the frame is cut to `[start, end)`.

    Raises:
        UsageError: a metric name is none, or there is none.
    """
    ordered = wire_names(question)
    which = f'__name__="{ordered[0]}"' if len(ordered) == 1 else f'__name__=~"{"|".join(ordered)}"'
    # A matcher on `projection` would lose `up` and every other series without that label.
    matchers = ",".join(
        part for part in (which, Scope(env=question.scope.env).selector("env")) if part
    )
    return f"{{{matchers}}}[{math.ceil(question.window.seconds) + 1}s]"


def wire_names(question: Question) -> tuple[str, ...]:
    """Names of the asked series, sorted; a histogram stands for its parts.

    Raises:
        UsageError: a metric name is none, or there is none.
    """
    names: set[str] = set()
    for name in question.metrics:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{safe(name)!r} is no metric name.", hint="Take the names from the catalogue."
            )
        known = BY_WIRE.get(name)
        histogram = known is not None and known.type is MetricType.HISTOGRAM
        names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if histogram else {name}
    if not names:
        raise UsageError("No metric is asked for.", hint="Name at least one of the catalogue.")
    return tuple(sorted(names))


def _parse(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    series, notes = read_matrix(body)
    data, more = metric_table(series, window=question.window, scope=question.scope)
    return data, (*notes, *more)


def read_matrix(body: bytes) -> tuple[list[Series], tuple[str, ...]]:
    """Series and caveats of a `matrix` answer.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    data, notes = _data(body, "matrix")
    if len(data) > MAX_SERIES:
        notes = (*notes, f"truncated: {MAX_SERIES} of {len(data)} series were kept.")
    try:
        series = [
            Series(
                labels={str(k): str(v) for k, v in one["metric"].items()},
                points=[(round(float(at) * 1000), float(value)) for at, value in one["values"]],
            )
            for one in data[:MAX_SERIES]
            if "values" in one
        ]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise Unreadable("wrong_content", "A series of the answer has another shape.") from None
    if len(series) < len(data[:MAX_SERIES]):
        notes = (*notes, f"{len(data) - len(series)} native histograms were left out.")
    return series, notes


def _instants(body: bytes) -> list[tuple[dict[str, str], float]]:
    data, _ = _data(body, "vector")
    try:
        return [(dict(one["metric"]), float(one["value"][1])) for one in data]
    except (IndexError, KeyError, TypeError, ValueError):
        raise Unreadable("wrong_content", "A sample of the answer has another shape.") from None


def _data(body: bytes, kind: str) -> tuple[list[Any], tuple[str, ...]]:
    answer = read_json(body)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(data, dict):
        said = safe(body[:400].decode("utf-8", "replace"))
        raise Unreadable("wrong_content", f"No PromQL answer: {said}")
    result, told = data.get("result"), answer.get("warnings")
    if data.get("resultType") != kind or not isinstance(result, list):
        raise Unreadable("wrong_content", f"The answer holds no {kind}.")
    warnings = [safe(str(text), limit=160) for text in told[:5]] if isinstance(told, list) else []
    return result, tuple(f"partial: Prometheus warns: {text}" for text in warnings)


SOURCE = Prometheus
