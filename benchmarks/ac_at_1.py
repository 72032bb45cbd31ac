"""How often the strongest label pattern is the true one, against the published figures.

Synthetic outbox counters: 4 projections × 3 ops × 7 result/reason codes × attempt give 156 leaves
and 367 patterns. About 95 % of the baseline's events are successes; the weights of single leaves
are log-normal, as the published table does not say. The truth is a random pattern of one to three
labels that does not name success; its extra events fall evenly on its leaves. The incident
lasts a quarter of the baseline; exposure is measured by healthy work. A hit names the same set of
non-empty leaves. Three rankings see the same counts: ours as the product runs it, F1 of coverage
and purity among what passes the gate, and the bare excess.

Prints AC@1 (and AC@3) of each cell and, last, our AC@1 divided by the published one in the worst
cell: `ratio=1.1`. `python benchmarks/ac_at_1.py 20` runs 20 trials a cell and seed instead of 150.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from loomtriage.analysis.counters.lattice import Lattice, build
from loomtriage.analysis.counters.patterns import strongest
from loomtriage.analysis.surprise import gate, signed_g2s

KEYS = ("reason", "result", "op", "projection", "attempt")
CODES = (
    ("ok", "none"),
    ("retry", "rate_limited"),
    ("retry", "es_5xx"),
    ("retry", "es_unreachable"),
    ("retry", "es_timeout"),
    ("failed", "es_4xx"),
    ("failed", "unknown_exception"),
)
OK_WEIGHT = 250.0
SEEDS = (1, 2, 3, 4)
TRIALS = 150
QUARTER = 0.25
MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One column of the published table: its load, its traffic, and what it says of G²."""

    name: str
    events: int
    extra: int
    traffic: tuple[float, ...]
    published: float
    published_at_3: float


FLAT, SHIFT = (1.0,), (0.5, 1.0, 2.0)
CELLS = (
    Cell(name="low flat", events=400, extra=6, traffic=FLAT, published=0.44, published_at_3=0.66),
    Cell(name="low shift", events=400, extra=6, traffic=SHIFT, published=0.41, published_at_3=0.61),
    Cell(
        name="mid flat", events=4_000, extra=40, traffic=FLAT, published=0.77, published_at_3=0.86
    ),
    Cell(
        name="mid shift", events=4_000, extra=40, traffic=SHIFT, published=0.74, published_at_3=0.81
    ),
    Cell(
        name="high flat",
        events=40_000,
        extra=300,
        traffic=FLAT,
        published=0.82,
        published_at_3=0.89,
    ),
    Cell(
        name="high shift",
        events=40_000,
        extra=300,
        traffic=SHIFT,
        published=0.86,
        published_at_3=0.91,
    ),
)


def all_leaves() -> pd.DataFrame:
    """The 156 label tuples: an attempt that succeeds is the first, one that fails 1st or 2nd."""
    rows = [
        (reason, result, op, projection, attempt)
        for projection, op in product("abcd", ("upsert", "delete", "touch"))
        for result, reason in CODES
        for attempt in (("1",) if result == "ok" else ("1", "2"))
    ]
    return pd.DataFrame(rows, columns=list(KEYS))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Leaves, their patterns, and which patterns may be the truth."""

    leaves: pd.DataFrame
    lattice: Lattice
    healthy: np.ndarray
    truths: tuple[int, ...]


def world() -> World:
    """Build the leaves and patterns once; every trial only draws counts."""
    leaves = all_leaves()
    lattice = build(leaves, KEYS)
    named_ok = {("result", "ok"), ("reason", "none")}
    truths = tuple(n for n, pairs in enumerate(lattice.labels) if not named_ok & set(pairs))
    healthy = (leaves["result"] == "ok").to_numpy()
    return World(leaves=leaves, lattice=lattice, healthy=healthy, truths=truths)


def draw(
    where: World, cell: Cell, *, traffic: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, frozenset[int]]:
    """Counts of one trial over its non-empty leaves, and the true ones among them."""
    weights = rng.lognormal(0.0, 1.0, len(where.leaves)) * np.where(where.healthy, OK_WEIGHT, 1.0)
    rates = cell.events * weights / weights.sum()
    baseline = rng.poisson(rates)
    truth = np.zeros(len(where.leaves), dtype=bool)
    truth[where.lattice.leaves(rng.choice(where.truths))] = True
    extra = rng.multinomial(cell.extra, truth / truth.sum())
    observed = rng.poisson(rates * QUARTER * traffic) + extra
    seen = (observed + baseline) > 0
    table = where.leaves.assign(observed=observed, baseline=baseline)[seen]
    return table.reset_index(drop=True), frozenset(np.flatnonzero(truth[seen]).tolist())


def exposure_of(table: pd.DataFrame) -> float:
    """Healthy work in the incident, divided by that in the baseline."""
    done = table[table["result"] == "ok"]
    return max(float(done["observed"].sum()), 0.5) / max(float(done["baseline"].sum()), 0.5)


def ours(table: pd.DataFrame, exposure: float, _: Lattice) -> list[frozenset[int]]:
    """Leaf sets of the product's own ranking, which finds its patterns itself."""
    found = strongest(table, exposure=exposure, keys=KEYS, most=MOST)
    return [_selected(table, dict(pattern.labels)) for pattern in found]


def by_f1(table: pd.DataFrame, exposure: float, lattice: Lattice) -> list[frozenset[int]]:
    """F1 of coverage and purity, among the patterns that pass the gate."""
    observed, baseline = _counts(table)
    a, b = lattice.sums(observed), lattice.sums(baseline)
    excess = np.maximum(a - exposure * b, 0.0)
    total = np.maximum(observed - exposure * baseline, 0.0).sum()
    coverage, purity = excess / max(total, 1e-9), excess / np.maximum(a, 1e-9)
    score = 2 * coverage * purity / np.maximum(coverage + purity, 1e-9)
    passes = np.abs(signed_g2s(a, b, exposure=exposure)) >= gate(len(lattice))
    return _first(lattice, score * passes)


def by_excess(table: pd.DataFrame, exposure: float, lattice: Lattice) -> list[frozenset[int]]:
    """Observed minus expected, nothing else."""
    observed, baseline = _counts(table)
    return _first(lattice, lattice.sums(observed - exposure * baseline))


RANKINGS = {"ours": ours, "F1": by_f1, "excess": by_excess}


def measure(where: World, cell: Cell, trials: int) -> dict[str, tuple[float, float]]:
    """AC@1 and AC@3 of each ranking in one cell, over all seeds."""
    first, among = dict.fromkeys(RANKINGS, 0), dict.fromkeys(RANKINGS, 0)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for turn in range(trials):
            traffic = cell.traffic[turn % len(cell.traffic)]
            table, truth = draw(where, cell, traffic=traffic, rng=rng)
            exposure, lattice = exposure_of(table), build(table, KEYS)
            for name, ranking in RANKINGS.items():
                answers = ranking(table, exposure, lattice)
                first[name] += answers[:1] == [truth]
                among[name] += truth in answers
    n = trials * len(SEEDS)
    return {name: (first[name] / n, among[name] / n) for name in RANKINGS}


def _counts(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return table["observed"].to_numpy("float64"), table["baseline"].to_numpy("float64")


def _first(lattice: Lattice, score: np.ndarray) -> list[frozenset[int]]:
    order = np.argsort(-np.round(score, 9), kind="stable")[:MOST]
    return [frozenset(lattice.leaves(place).tolist()) for place in order]


def _selected(table: pd.DataFrame, labels: dict[str, str]) -> frozenset[int]:
    chosen = np.logical_and.reduce([(table[k] == v).to_numpy() for k, v in labels.items()])
    return frozenset(np.flatnonzero(chosen).tolist())


def main() -> None:
    """Measure every cell and print it beside the published figure."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else TRIALS
    where = world()
    print(
        f"{len(where.leaves)} leaves, {len(where.lattice)} patterns, {trials * len(SEEDS)} trials"
    )
    print(f"{'cell':<11}{'published':>13}" + "".join(f"{name:>13}" for name in RANKINGS))
    worst = []
    for cell in CELLS:
        found = measure(where, cell, trials)
        row = f"{cell.name:<11}{cell.published:>7.2f} ({cell.published_at_3:.2f})"
        print(row + "".join(f"{a:>7.2f} ({b:.2f})" for a, b in found.values()), flush=True)
        worst.append(found["ours"][0] / cell.published)
    print(f"ratio={min(worst):.2f}")


if __name__ == "__main__":
    main()
