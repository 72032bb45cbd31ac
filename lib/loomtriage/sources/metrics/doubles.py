"""Doubles: which series show one process twice, scraped by two jobs or under two envs?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from loomtriage.sources.metrics.sample_series import Series

SCRAPE_LABELS = ("job", "component")
"""Labels that a scrape configuration adds; they do not tell two series of one target apart."""
_Identity = frozenset[tuple[str, str]]


def without_doubles(series: Iterable[Series]) -> tuple[list[Series], tuple[str, ...]]:
    """Every series once, and how many were left out.

    Of series that differ in scrape labels alone the longest stays. An instance under several
    envs is one process where its counters agree at every moment; it then counts once, and its
    env is unknown.
    """
    once, doubles = _longest(series, SCRAPE_LABELS)
    notes = []
    if doubles:
        notes.append(f"{doubles} series of targets that are scraped twice were left out.")
    instances: dict[str, list[Series]] = defaultdict(list)
    for one in once:
        instances[one.labels.get("instance", "")].append(one)
    kept: list[Series] = []
    for instance, its in sorted(instances.items()):
        envs = sorted({one.labels.get("env", "") for one in its})
        if len(envs) == 1:
            kept += its
            continue
        told, said = _one_env(its, envs)
        kept += told
        where = f"{instance or 'A target'} is scraped under {len(envs)} envs ({', '.join(envs)})"
        notes.append(f"{where}; {said}")
    return kept, tuple(notes)


def _one_env(series: list[Series], envs: Sequence[str]) -> tuple[list[Series], str]:
    if not all(_same_process(series, pair) for pair in combinations(envs, 2)):
        return series, "its values may repeat."
    nowhere = [
        replace(one, labels={k: v for k, v in one.labels.items() if k != "env"}) for one in series
    ]
    once, doubles = _longest(nowhere, SCRAPE_LABELS)
    return once, f"it is one process: {doubles} series were left out, its env is unknown."


def _longest(series: Iterable[Series], apart_from: Sequence[str]) -> tuple[list[Series], int]:
    """Of series that differ in those labels only, the one with most points."""
    kept: dict[_Identity, Series] = {}
    found = list(series)
    for one in found:
        key = _identity(one, apart_from)
        kept[key] = min(kept[key], one, key=_rank) if key in kept else one
    return list(kept.values()), len(found) - len(kept)


def _rank(one: Series) -> tuple[int, list[tuple[str, str]]]:
    return -len(one.times), sorted(one.labels.items())


def _identity(one: Series, apart_from: Sequence[str]) -> _Identity:
    return frozenset(pair for pair in one.labels.items() if pair[0] not in apart_from)


def _same_process(series: list[Series], envs: tuple[str, str]) -> bool:
    """Whether counters of both envs agree, and one of them that is not zero proves it."""
    first, second = (
        {
            _identity(one, (*SCRAPE_LABELS, "env")): one
            for one in series
            if one.is_counter and one.labels.get("env", "") == env
        }
        for env in envs
    )
    pairs = [(one, second[key]) for key, one in first.items() if key in second]
    return all(_agree(*pair) for pair in pairs) and any(_proves(*pair) for pair in pairs)


def _agree(one: Series, other: Series) -> bool:
    """Whether each value of `other` lies between its neighbours in time in `one`."""
    inside = (other.times >= one.times[0]) & (other.times <= one.times[-1])
    at, values = other.times[inside], other.values[inside]
    below = one.values[np.searchsorted(one.times, at, side="right") - 1]
    above = one.values[np.searchsorted(one.times, at, side="left")]
    reset = above < below
    return bool((reset | ((below <= values) & (values <= above))).all())


def _proves(one: Series, other: Series) -> bool:
    begin, end = max(one.times[0], other.times[0]), min(one.times[-1], other.times[-1])
    both = (other.times >= begin) & (other.times <= end)
    return bool((other.values[both] > 0).any())
