"""How do the spans of a table hang together: distinct spans, parents, and times on one axis?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
LONGEST_S = 1e8
"""Three years: what claims to last longer is damaged, and would drown everything else."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forest:
    """Distinct spans as arrays, one entry each, in the order of their table.

    Attributes:
        rows: position of each entry in the SPANS table; a repeated span is no entry.
        trace: number of its trace.
        parent: entry of its parent, -1 where it has none or the table lacks it.
        start_s: seconds since the table's first start.
        duration_s: seconds, never negative, 0 where the table has no number.
        orphan: whether it names a parent that the table lacks.
    """

    rows: Ints
    trace: Ints
    parent: Ints
    start_s: Floats
    duration_s: Floats
    orphan: Flags

    def __len__(self) -> int:
        return len(self.rows)


def grow(spans: pd.DataFrame) -> Forest:
    """The forest of a SPANS table, whatever its order; hostile ids, times and circles allowed.

    A span is known by trace id and span id; of repeated ones the first stays. A span that is
    its own parent has none.
    """
    trace = numbered(spans["trace_id"])
    # "" comes first and is number 0, so that "no parent" needs no comparison of texts.
    texts = np.concatenate([[""], spans["span_id"].to_numpy(), spans["parent_id"].to_numpy()])
    names = numbered(texts)
    size = int(names.max()) + 1
    own = trace * size + names[1 : len(spans) + 1]
    above = trace * size + names[len(spans) + 1 :]
    rows = np.flatnonzero(~pd.Series(own).duplicated().to_numpy())
    named = (names[len(spans) + 1 :] != 0)[rows] & (own != above)[rows]
    found = pd.Index(own[rows]).get_indexer(pd.Index(above[rows])).astype(np.int64)
    return Forest(
        rows=rows,
        trace=trace[rows],
        parent=np.where(named, found, -1),
        start_s=_seconds(spans["start"])[rows],
        duration_s=lengths(spans["duration_s"])[rows],
        orphan=named & (found < 0),
    )


def numbered(values: pd.Series | NDArray[np.object_]) -> Ints:
    """The same number for the same value, from 0 in order of appearance."""
    return pd.factorize(values, use_na_sentinel=False)[0].astype(np.int64)


def nearest(label: Ints, parent: Ints) -> Ints:
    """Each entry's own label, else that of its nearest labelled ancestor; -1 is "none".

    Doubles its step each round, so that a chain of any depth ends; a circle ends by the bound.
    """
    jump = np.where((label >= 0) | (parent < 0), np.arange(len(label)), parent)
    for _ in range(32):
        further = jump[jump]
        if np.array_equal(further, jump):
            break
        jump = further
    return label[jump]


def first_tops(forest: Forest) -> Ints:
    """The earliest parentless entry of each trace."""
    tops = np.flatnonzero(forest.parent < 0)
    ordered = tops[np.lexsort((forest.start_s[tops], forest.trace[tops]))]
    return ordered[np.unique(forest.trace[ordered], return_index=True)[1]]


def _seconds(moments: pd.Series) -> Floats:
    if moments.empty:
        return np.zeros(0)
    since = (pd.to_datetime(moments, utc=True) - moments.min()).dt.total_seconds()
    known: Floats = np.nan_to_num(since.to_numpy(dtype="float64"), nan=0.0)
    return known


def lengths(durations: pd.Series) -> Floats:
    """Durations that can be reckoned with: 0 for none, and at most `LONGEST_S`."""
    values = durations.to_numpy(dtype="float64")
    known: Floats = np.where(np.isfinite(values), values, 0.0)
    return np.clip(known, 0.0, LONGEST_S)
