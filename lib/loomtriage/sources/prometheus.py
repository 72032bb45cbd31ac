"""Counters and gauges from a PromQL server: raw samples, no rates; targets, exemplars, alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from loomtriage.model import Finding, Frame, Kind, Signal
from loomtriage.sources.http import Limits, Reply
from loomtriage.sources.metrics import alerts, exemplars, targets
from loomtriage.sources.metrics.promql import promql
from loomtriage.sources.metrics.promql_answer import read_matrix, read_vector
from loomtriage.sources.metrics.promql_server import PromqlServer
from loomtriage.sources.metrics.sampling import samples
from loomtriage.sources.metrics.series import metric_table
from loomtriage.sources.question import Question
from loomtriage.sources.source import Ask, frame_of, in_files, origin_of, probed
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

_APPEARS = (
    "No series of that name has samples in the window. A counter appears with its first event; "
    "check that the worker runs, that Prometheus scrapes it, and that env is right."
)
_UNSUPPORTED = {"http_404", "http_405", "http_501"}


class Prometheus:
    """The metrics source.

    A range selector at the end of the window brings raw samples, so that counter resets are seen
    by whoever counts. `ask` replaces the server, for samples that stand in files.
    """

    name = "prometheus"
    signal = Signal.METRICS

    def __init__(
        self, url: str, *, tape: Tape, limits: Limits | None = None, ask: Ask | None = None
    ) -> None:
        self._server = PromqlServer(url, limits=limits) if url else None
        self._tape = tape
        self._files = ask

    def pull(self, question: Question) -> Frame:
        """Raw samples of the metrics within the window, or what the question is about instead.

        Raises:
            UsageError: a metric name is none.
        """
        view, query = _VIEWS[question.kind], promql(question)
        raw = self._tape.fetch(question.key, lambda: self._asked(view, question))
        return frame_of(
            question.kind,
            origin_of(self.name, question, query=query, raw=raw),
            raw=raw,
            parse=lambda body: view.read(body, question),
            appears=view.appears,
        )

    def probe(self) -> Finding:
        """Whether the server answers, and how many targets are up."""
        look = in_files if self._files else self._count_up
        return probed(self.name, self._tape.fetch("probe metrics", look), fine="It answers.")

    def _asked(self, view: _View, question: Question) -> RawAnswer:
        if self._files and question.kind is Kind.METRICS:
            return self._files(question)
        if self._files:
            hint = f"The evidence stands in files, which hold no {question.kind}."
            return RawAnswer(missing="not_recorded", hint=hint)
        if self._server is None:
            return _not_configured()
        return _raw(view.ask(self._server, question))

    def _count_up(self) -> RawAnswer:
        if self._server is None:
            return _not_configured()
        raw = _raw(self._server.query("up", at=None, deadline=self._server.deadline()))
        if raw.missing:
            return raw
        try:
            ups = [value for _, value in read_vector(raw.body)]
        except Unreadable as bad:
            return replace(raw, missing=bad.missing, hint=bad.hint)
        says = f"Prometheus answers; {sum(v == 1 for v in ups)} of {len(ups)} targets are up."
        return replace(raw, hint=says)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """How one shape of answer is asked for and read, and what would make rows appear in it."""

    ask: Callable[[PromqlServer, Question], Reply]
    read: Callable[[bytes, Question], tuple[pd.DataFrame, tuple[str, ...]]]
    appears: str


def _metrics(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    series, notes = read_matrix(body)
    data, more = metric_table(series, window=question.window, scope=question.scope)
    return data, (*notes, *more)


def _ask_targets(server: PromqlServer, _: Question) -> Reply:
    return _supported(server.targets(), "targets")


def _ask_exemplars(server: PromqlServer, question: Question) -> Reply:
    return _supported(server.exemplars(promql(question), window=question.window), "exemplars")


def _supported(reply: Reply, what: str) -> Reply:
    if reply.missing not in _UNSUPPORTED:
        return reply
    hint = f"The server knows no {what} (HTTP {reply.status}); it may be old, or no Prometheus."
    return replace(reply, missing="not_supported", hint=hint)


def _not_configured() -> RawAnswer:
    return RawAnswer(missing="not_configured", hint="Set LOOMTRIAGE_PROMETHEUS_URL.")


def _raw(reply: Reply) -> RawAnswer:
    return RawAnswer(body=reply.body, missing=reply.missing, hint=reply.hint, caveats=reply.caveats)


_VIEWS: Mapping[Kind, _View] = {
    Kind.METRICS: _View(ask=samples, read=_metrics, appears=_APPEARS),
    Kind.ALERTS: _View(ask=samples, read=alerts.alert_table, appears=alerts.APPEARS),
    Kind.TARGETS: _View(ask=_ask_targets, read=targets.target_table, appears=targets.APPEARS),
    Kind.EXEMPLARS: _View(
        ask=_ask_exemplars, read=exemplars.exemplar_table, appears=exemplars.APPEARS
    ),
}
SOURCE = Prometheus
