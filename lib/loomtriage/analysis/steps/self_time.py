"""How long was each span busy itself, and how long was the network between two services?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.forest import Floats, Forest, Ints, grow


def self_time(spans: pd.DataFrame) -> pd.Series:
    """Seconds that each span of a SPANS table spent itself; NaN for a repeated span."""
    forest = grow(spans)
    own = np.full(len(spans), np.nan)
    own[forest.rows] = own_seconds(forest)
    return pd.Series(own, index=spans.index)


def own_seconds(forest: Forest) -> Floats:
    """Duration minus the union of the children's intervals, one number an entry, ≥ 0.

    Children may overlap, so the union is taken; they may begin before their parent or run on
    after it (asynchronous work, clocks that disagree), so they are clipped to its interval.
    """
    kids = np.flatnonzero(forest.parent >= 0)
    above = forest.parent[kids]
    start, end = forest.start_s, forest.start_s + forest.duration_s
    low = np.maximum(start[kids], start[above])
    high = np.minimum(end[kids], end[above])
    order = np.lexsort((low, above))
    order = order[high[order] > low[order]]
    above, low, high = above[order], low[order], high[order]
    reached = pd.Series(high).groupby(above).cummax().to_numpy()
    first = np.ones(len(above), dtype=bool)
    first[1:] = above[1:] != above[:-1]
    until = np.where(first, -np.inf, np.roll(reached, 1))
    new = (high - np.maximum(low, until)).clip(min=0.0)
    covered = np.bincount(above, weights=new, minlength=len(forest))
    # Clocks tell nanoseconds; finer differences are the arithmetic's and would break ties.
    return (forest.duration_s - covered).clip(min=0.0).round(9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gaps:
    """What calls between services lost on the way, one entry a client span with its server span.

    Attributes:
        client, server: entries of the forest.
        gap_s: client's duration minus server's, ≥ 0. Durations only: clocks may disagree.
    """

    client: Ints
    server: Ints
    gap_s: Floats


def gaps(forest: Forest, kinds: pd.Series) -> Gaps:
    """Client spans whose child is a server span, and how much longer they took.

    A client that was answered more than once is charged what all answers leave.
    """
    kind = kinds.to_numpy()[forest.rows]
    above = forest.parent
    servers = np.flatnonzero((kind == "server") & (above >= 0) & (kind[above] == "client"))
    answered = np.bincount(
        above[servers], weights=forest.duration_s[servers], minlength=len(forest)
    )
    clients, first = np.unique(above[servers], return_index=True)
    left = (forest.duration_s[clients] - answered[clients]).clip(min=0.0).round(9)
    return Gaps(client=clients, server=servers[first], gap_s=left)
