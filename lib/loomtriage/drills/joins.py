"""Joins: do metrics, spans, lines and rows of failing events resolve in each other?"""

from __future__ import annotations

from collections.abc import Iterable

from loomtriage.analysis.joins import Coverage
from loomtriage.model import Finding, State

LEAST, EDGE = 0.9, 1
"""Share below which signals do not hold together, and how many of a few may be lost all the same:
counters are scraped, and spans are sent, at moments of their own, across the window's edge."""
SHOWN = 5


def check_joins(cover: Iterable[Coverage]) -> tuple[Finding, ...]:
    """One finding for each edge that had something to resolve; what did not is named."""
    return tuple(_judged(edge, edge.share) for edge in cover if edge.share is not None)


def _judged(edge: Coverage, share: float) -> Finding:
    says = f"{edge.edge}: {edge.resolved} of {edge.n} resolve."
    holds = share >= LEAST or (edge.resolved > 0 and edge.n - edge.resolved <= EDGE)
    if share < 1:
        lost = ", ".join(edge.unresolved[:SHOWN])
        says += f" Unresolved: {lost or f'{edge.n - edge.resolved}, which carry no id'}."
    return Finding(
        check=f"drill.joins.{edge.edge}",
        state=State.OK if holds else State.BAD,
        says=says,
        value=round(share, 3),
        unit="share",
        threshold=LEAST,
        n=edge.n,
    )
