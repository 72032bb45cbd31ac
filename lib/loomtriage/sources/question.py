"""What is asked of a source: one signal, one window, and the few things that narrow it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC

from loomtriage.model import Scope, Signal, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question to one source.

    Attributes:
        signal: which source is asked.
        window: half-open aware-UTC interval; traces by id come back whole.
        metrics: METRICS: wire names; a histogram stands for its buckets, sum and count.
        scope: env and projection narrow the answer; the other keys are not used.
        service: TRACES: service name, empty for every service of the contract.
        operation: TRACES: span name.
        trace_ids: TRACES by id; then service and operation are not used.
        limit: TRACES: how many traces a search may return per service.
    """

    signal: Signal
    window: Window
    metrics: tuple[str, ...] = ()
    scope: Scope = field(default_factory=Scope)
    service: str = ""
    operation: str = ""
    trace_ids: tuple[str, ...] = ()
    limit: int = 200

    @property
    def key(self) -> str:
        """Canonical text, the tape's key: only what the source is really asked.

        Order of names and repeated names do not matter; what is filtered after the answer came
        does not stand in it, so that a narrower question is answered from the same recording.
        """
        parts: dict[str, object] = {"signal": str(self.signal)}
        if not self.trace_ids:
            parts["start"] = self.window.start.astimezone(UTC).isoformat()
            parts["end"] = self.window.end.astimezone(UTC).isoformat()
        if self.signal is Signal.METRICS:
            parts |= {"metrics": sorted(set(self.metrics)), "env": self.scope.env}
        elif self.signal is Signal.TRACES and self.trace_ids:
            parts["trace_ids"] = sorted({trace_id.lower() for trace_id in self.trace_ids})
        elif self.signal is Signal.TRACES:
            parts |= {"service": self.service, "operation": self.operation, "limit": self.limit}
        elif self.signal is Signal.ROWS:
            parts |= {"env": self.scope.env, "projection": self.scope.projection}
        return json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
