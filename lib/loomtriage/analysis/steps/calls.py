"""Which calls did each step make: once per piece of work, with failures, own time and children?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loomtriage.analysis.steps.forest import Flags, Floats, Forest, Ints, first_tops, grow
from loomtriage.analysis.steps.outcomes import failed, told, work_units
from loomtriage.analysis.steps.self_time import gaps, own_seconds

NETWORK = "(network)"
"""Operation that the way to a service is booked under, beside that service's own operations."""
NOWHERE = ("", "")
Name = tuple[str, str]
"""Service and operation of a step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calls:
    """The calls of one step; attempts at the same piece of work are one call.

    Attributes:
        calls, errors: pieces of work, and those with a failed attempt.
        attempts: spans.
        own_s: own seconds per attempt, mean of each call; ascending order of work.
        parent: step it mostly hangs under.
    """

    calls: int
    errors: int
    attempts: int
    own_s: Floats
    parent: Name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """All calls of one SPANS table.

    Attributes:
        steps: by service and operation, in order of appearance.
        roots: pieces of work that began a trace.
        children: by parent and child step: calls of the parent with that child in each attempt.
    """

    steps: Mapping[Name, Calls]
    roots: int
    children: Mapping[tuple[Name, Name], int]


def tally(spans: pd.DataFrame) -> Tally:
    """Count the calls of a SPANS table; the way to a service counts as a step of that service."""
    if spans.empty:
        return Tally(steps={}, roots=0, children={})
    forest = grow(spans)
    said = told(spans)
    unit = work_units(forest, said)
    names, step = _named(spans, forest)
    way = gaps(forest, spans["kind"])
    own = own_seconds(forest)
    own[way.client] = 0.0  # what a client waits beyond its server's answer is the way's
    bad = failed(spans, said.results)[forest.rows]
    services = {name: place for place, name in enumerate(names)}
    ways = [services.setdefault((names[s][0], NETWORK), len(services)) for s in step[way.server]]
    names = list(services)
    folded = _fold(
        step=np.concatenate([step, np.array(ways, dtype=np.int64)]),
        unit=np.concatenate([unit, unit[way.client]]),
        bad=np.concatenate([bad, np.zeros(len(ways), dtype=bool)]),
        own=np.concatenate([own, way.gap_s]),
    )
    parents = _parents(step, forest.parent, len(names))
    for place, client in zip(ways, way.client, strict=True):
        parents.setdefault(place, int(step[client]))
    return Tally(
        steps=dict(_steps(names, folded, parents)),
        roots=len(np.unique(unit[first_tops(forest)])),
        children=_children(names, folded, step, forest.parent),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Folded:
    """One entry a call: its step, attempts, failure and own time; `call` of each span."""

    call: Ints
    step: Ints
    attempts: Ints
    failed: Flags
    own_s: Floats


def _named(spans: pd.DataFrame, forest: Forest) -> tuple[list[Name], Ints]:
    service, services = pd.factorize(spans["service"])
    operation, operations = pd.factorize(spans["operation"])
    both = service.astype(np.int64) * (len(operations) + 1) + operation
    step, first = pd.factorize(both[forest.rows])
    pairs = zip(*np.divmod(first, len(operations) + 1), strict=True)
    names = [(str(services[s]), str(operations[o])) for s, o in pairs]
    return names, step.astype(np.int64)


def _fold(*, step: Ints, unit: Ints, bad: Flags, own: Floats) -> _Folded:
    """Spans of one step and one piece of work become one call."""
    size = int(unit.max()) + 1
    call, keys = pd.factorize(step * size + unit)
    attempts = np.bincount(call)
    return _Folded(
        call=call.astype(np.int64),
        step=(keys // size).astype(np.int64),
        attempts=attempts.astype(np.int64),
        failed=np.bincount(call, weights=bad) > 0,
        own_s=np.bincount(call, weights=own) / attempts,
    )


def _steps(
    names: list[Name], folded: _Folded, parents: Mapping[int, int]
) -> Iterable[tuple[Name, Calls]]:
    size = len(names)
    calls = np.bincount(folded.step, minlength=size)
    errors = np.bincount(folded.step, weights=folded.failed, minlength=size).astype(np.int64)
    attempts = np.bincount(folded.step, weights=folded.attempts, minlength=size).astype(np.int64)
    order = np.argsort(folded.step, kind="stable")
    ends = np.cumsum(calls)
    ordered = folded.own_s[order]
    for place, name in enumerate(names):
        above = parents.get(place, -1)
        yield (
            name,
            Calls(
                calls=int(calls[place]),
                errors=int(errors[place]),
                attempts=int(attempts[place]),
                own_s=ordered[ends[place] - calls[place] : ends[place]],
                parent=names[above] if above >= 0 else NOWHERE,
            ),
        )


def _parents(step: Ints, parent: Ints, size: int) -> dict[int, int]:
    """Most frequent parent step of each step; the first one seen where two are as frequent."""
    kids = np.flatnonzero(parent >= 0)
    pair, keys = pd.factorize(step[kids] * size + step[parent[kids]])
    best: dict[int, tuple[int, int]] = {}
    for key, count in zip(keys.tolist(), np.bincount(pair).tolist(), strict=True):
        child, above = divmod(key, size)
        if count > best.get(child, (0, -1))[0]:
            best[child] = (count, above)
    return {child: above for child, (_, above) in best.items()}


def _children(
    names: list[Name], folded: _Folded, step: Ints, parent: Ints
) -> dict[tuple[Name, Name], int]:
    """Calls whose every attempt had a child of that step, by parent and child step."""
    kids = np.flatnonzero(parent >= 0)
    size = len(names)
    attempt = pd.unique(parent[kids] * size + step[kids])
    above, child = np.divmod(attempt, size)
    seen, keys = pd.factorize(folded.call[above] * size + child)
    call, below = np.divmod(keys, size)
    whole = np.bincount(seen) == folded.attempts[call]
    pair, found = pd.factorize(folded.step[call] * size + below)
    counts = np.bincount(pair, weights=whole).astype(np.int64)
    return {
        (names[key // size], names[key % size]): count
        for key, count in zip(found.tolist(), counts.tolist(), strict=True)
    }
