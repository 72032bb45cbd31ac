"""Panels: what makes up a panel of the dashboard, and how is its PromQL asked without Grafana?"""

from __future__ import annotations

from dataclasses import dataclass

TITLE = "Wordloom • Outbox + ES Bulk"
FOLDER = "Wordloom"
PROMETHEUS, JAEGER = "PROMETHEUS", "JAEGER"
"""Uids of the data sources."""
VARIABLES = ("env", "projection", "op", "reason")
"""Labels whose values a reader of the dashboard chooses, and a link to it sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One PromQL expression of a panel, with Grafana's variables, and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        id: its number in links, which outlive what stands before it; never given twice.
        title: what it shows; alerts name their panel by it.
        unit: Grafana's id of the unit.
        queries: what it draws.
        says: what a movement means, one sentence.
        line: threshold that is drawn, in the unit, None for none.
        is_share: whether a value may only lie between 0 and 1.
    """

    id: int
    title: str
    unit: str
    queries: tuple[Query, ...]
    says: str
    line: float | None = None
    is_share: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels that belong together, under one heading."""

    title: str
    panels: tuple[Panel, ...]


def concrete(expr: str, *, rate: str = "1m") -> str:
    """The expression without Grafana's variables: every value of each."""
    expr = expr.replace("$__rate_interval", rate)
    for variable in VARIABLES:
        expr = expr.replace(f"${variable}", ".*")
    return expr
