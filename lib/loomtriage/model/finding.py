"""Finding: one check's state, sentence, number and the evidence that anyone can resolve."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from loomtriage.model.scope import Scope


class State(StrEnum):
    """The five states, from best to worst; `judge` takes the worst.

    NO_DATA is worse than OK and WARN: what nobody saw is not healthy. ERROR (the check broke)
    and BAD (the system broke) stay above it.
    """

    OK = "OK"
    WARN = "WARN"
    NO_DATA = "NO_DATA"
    ERROR = "ERROR"
    BAD = "BAD"

    @property
    def rank(self) -> int:
        """Position from best (0) to worst (4)."""
        return list(State).index(self)


class Signal(StrEnum):
    """The three signals, and the outbox rows beside them."""

    METRICS = "metrics"
    TRACES = "traces"
    LOGS = "logs"
    ROWS = "rows"


PLACES = ("graph", "explore", "panel", "search")
"""Kinds of evidence that are only a place to look: in Prometheus, twice in Grafana, in Jaeger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A pointer that resolves.

    Attributes:
        kind: `metric_delta`, `trace`, `span`, `log_line`, `row` or `witness`, or one of `PLACES`.
        ref: what to look up: a query, a trace id, `sha256:<hex>` of a log line, a row id.
        says: what it shows, one sentence.
        url: where to look, empty when there is no server to ask.
    """

    kind: str
    ref: str
    says: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: stable id of the check, `stage.topic`.
        state: one of the five states.
        says: one sentence with unit and sample size; for NO_DATA, what would make data appear.
        value: the measured number, None where there is none.
        unit: of value and threshold.
        threshold: the bound that decided, None where there is none.
        n: sample size behind the value.
        scope: the scope the finding speaks of.
        evidence: pointers, best first.
    """

    check: str
    state: State
    says: str
    value: float | None = None
    unit: str = ""
    threshold: float | None = None
    n: int | None = None
    scope: Scope = field(default_factory=Scope)
    evidence: tuple[Evidence, ...] = ()
