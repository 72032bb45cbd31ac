"""Which spans failed, and to which piece of work does each belong, retries folded?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.forest import Flags, Forest, Ints, nearest, numbered
from loomtriage.contract.keys import Result, read_each
from loomtriage.contract.spans import BATCH, FAILURE_COUNTS

MAX_ABOVE = 8
"""Levels above a row span (request, loop, batch) that take part in its work."""
_BAD = frozenset({Result.RETRY.value, Result.FAILED.value, Result.PARTIAL.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the attributes of a table's spans say, one entry a row, empty where they do not."""

    results: Sequence[str]
    events: Sequence[str]
    claims: Sequence[str]


def told(spans: pd.DataFrame) -> Told:
    """Read result, outbox event and claim of each span of a SPANS table, in one walk."""
    names = ("result", "outbox_event_id", "claim_batch_id")
    results, events, claims = read_each(names, spans["attributes"])
    return Told(results=results, events=events, claims=claims)


def failing(spans: pd.DataFrame) -> pd.Series:
    """Whether each span of a SPANS table failed (bool, same index).

    The span's own status counts, and so does a result of retry, failed or partial: a worker
    that schedules a retry has not succeeded, whatever the status says. A batch that counts
    failed items has failed too, although it calls itself `ok`.
    """
    (results,) = read_each(("result",), spans["attributes"])
    return pd.Series(failed(spans, results), index=spans.index)


def failed(spans: pd.DataFrame, results: Sequence[str]) -> Flags:
    """`failing` where the results were read already."""
    bad = spans["error"].to_numpy(dtype=bool, copy=True)
    bad |= np.fromiter((result in _BAD for result in results), bool, len(spans))
    attributes = spans["attributes"].to_numpy()
    for place in np.flatnonzero((spans["operation"] == BATCH).to_numpy(dtype=bool) & ~bad):
        bad[place] = any(_counted(attributes[place].get(name)) for name in FAILURE_COUNTS)
    return bad


def work_units(forest: Forest, said: Told) -> Ints:
    """Number of the piece of work of each entry; entries of one number are one call, retried.

    Work is an outbox row: all spans at and below a span that names its outbox event, in
    whichever trace, and what is above them, up to the request (a batch counts for the first of
    its rows). Spans without a row belong to their claim of rows; all others stand alone.
    """
    events = nearest(_codes(said.events)[forest.rows], forest.parent)
    unit = nearest(_from_below(events, forest.parent), forest.parent)
    claims = nearest(_codes(said.claims)[forest.rows], forest.parent)
    size = int(forest.rows.max()) + 1
    alone = 2 * size + np.arange(len(forest))
    return np.where(unit >= 0, unit, np.where(claims >= 0, size + claims, alone))


def _counted(value: object) -> bool:
    return isinstance(value, int | float) and value > 0


def _codes(values: Sequence[str]) -> Ints:
    """Numbers from 0 in order of appearance, -1 for an empty text."""
    return numbered(np.array(["", *values], dtype=object))[1:] - 1


def _from_below(unit: Ints, parent: Ints) -> Ints:
    """The lowest number among the children, for entries that have none; level by level."""
    found = unit.copy()
    for _ in range(MAX_ABOVE):
        telling = np.flatnonzero((parent >= 0) & (found >= 0) & (found[parent] < 0))
        if not len(telling):
            break
        lowest = np.full(len(found), np.iinfo(np.int64).max)
        np.minimum.at(lowest, parent[telling], found[telling])
        told = parent[telling]
        found[told] = lowest[told]
    return found
