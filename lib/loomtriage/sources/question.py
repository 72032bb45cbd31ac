"""What is asked of a source: one signal, one window, and the few things that narrow it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC

from loomtriage.model import Kind, Scope, Signal, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one source.

    Attributes:
        signal: which source is asked.
        window: half-open aware-UTC interval; traces by id come back whole.
        about: METRICS: TARGETS, EXEMPLARS or ALERTS instead of samples; targets are as of now.
        metrics: METRICS: wire names; a histogram stands for its buckets, sum and count.
        scope: env and projection narrow the answer; the other keys are not used.
        service: TRACES: service name, empty for every service of the contract.
        operation: TRACES: span name.
        attributes: TRACES: pairs of name and value that one span of a trace must carry; a name of
            the contract stands for all its spellings. Traces found this way come back whole.
        trace_ids: TRACES by id; then service, operation and attributes are not used.
        limit: TRACES: how many traces a search may return per service.
    """

    signal: Signal
    window: Window
    about: Kind | None = None
    metrics: tuple[str, ...] = ()
    scope: Scope = field(default_factory=Scope)
    service: str = ""
    operation: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    trace_ids: tuple[str, ...] = ()
    limit: int = 200

    @property
    def kind(self) -> Kind:
        """The shape of the answer."""
        return self.about or _KIND[self.signal]

    @property
    def key(self) -> str:
        """Canonical text, the tape's key: only what the source is really asked.

        Order of names and repeated names do not matter; what is filtered after the answer came
        does not stand in it, so that a narrower question is answered from the same recording.
        """
        parts: dict[str, object] = {"signal": str(self.signal)}
        if self.about is not None:
            parts["about"] = str(self.about)
        if not self.trace_ids and self.about is not Kind.TARGETS:
            parts["start"] = self.window.start.astimezone(UTC).isoformat()
            parts["end"] = self.window.end.astimezone(UTC).isoformat()
        if self.signal is Signal.METRICS and self.about in {None, Kind.EXEMPLARS}:
            parts |= {"metrics": sorted(set(self.metrics)), "env": self.scope.env}
        elif self.signal is Signal.TRACES and self.trace_ids:
            parts["trace_ids"] = sorted({trace_id.lower() for trace_id in self.trace_ids})
        elif self.signal is Signal.TRACES:
            parts |= {"service": self.service, "operation": self.operation, "limit": self.limit}
            if self.attributes:
                parts["attributes"] = sorted(map(list, set(self.attributes)))
        elif self.signal is Signal.ROWS:
            parts |= {"env": self.scope.env, "projection": self.scope.projection}
        return json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


_KIND = {
    Signal.METRICS: Kind.METRICS,
    Signal.TRACES: Kind.SPANS,
    Signal.LOGS: Kind.LINES,
    Signal.ROWS: Kind.ROWS,
}
