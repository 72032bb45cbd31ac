"""A PromQL answer of 1 000 series x 1 000 points as a frame, against `MetricRangeDataFrame`.

Each side runs in processes of its own, from the same bytes: the least processor time of five, so
that a busy machine does not matter, and the growth of the resident memory at its peak. Prints
both sides, `memory_ratio=` (times less memory) and, last, how many times faster ours is:
`ratio=12.0`. Arguments: series, points, repeats.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STEP_S = 15
REASONS = ("rate_limited", "es_unreachable", "mapping_conflict", "es_5xx")


def document(series: int, points: int) -> bytes:
    """An answer of `query_range`: counters, and every fifth series a gauge with decimals."""
    chance = np.random.default_rng(20260301)
    times = [START.timestamp() + 0.781 + STEP_S * place for place in range(points)]
    result = []
    for number in range(series):
        counter = number % 5 > 0
        values = (
            np.cumsum(chance.integers(0, 5, points)) if counter else chance.random(points).round(6)
        )
        metric = {
            "__name__": "outbox_failed_total" if counter else "outbox_lag_events",
            "component": "worker",
            "env": "dev",
            "instance": f"10.0.{number // 250}.{number % 250}:9108",
            "job": "wordloom-worker",
            "op": "upsert",
            "projection": "search_index_to_elastic",
            "reason": REASONS[number % len(REASONS)],
        }
        pairs = [[at, str(value)] for at, value in zip(times, values, strict=True)]
        result.append({"metric": metric, "values": pairs})
    data = {"resultType": "matrix", "result": result}
    return json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode()


def ours(body: bytes, points: int) -> tuple[float, int, float]:
    """Processor seconds, number of values and their sum."""
    from loomtriage.model import Scope, Window
    from loomtriage.sources.metrics.promql_answer import read_matrix
    from loomtriage.sources.metrics.series import metric_table

    window = Window(START, START + timedelta(seconds=STEP_S * (points + 1)))
    begun = time.process_time()
    series, _ = read_matrix(body)
    table, _ = metric_table(series, window=window, scope=Scope())
    took = time.process_time() - begun
    values = table.to_numpy()
    return took, int(np.isfinite(values).sum()), float(np.nansum(values))


def theirs(body: bytes, _: int) -> tuple[float, int, float]:
    """The same with the client's own frame builder."""
    from prometheus_api_client import MetricRangeDataFrame

    begun = time.process_time()
    table = MetricRangeDataFrame(json.loads(body)["data"]["result"])
    took = time.process_time() - begun
    return took, len(table), float(table["value"].sum())


SIDES = {"ours": ours, "theirs": theirs}


def alone(side: str, path: Path, points: int) -> None:
    """What a child process does: warm up on a small answer, then measure the large one.

    The parent stays small, since the peak of a parent counts as that of its children.
    """
    build = SIDES[side]
    build(document(2, 3), 3)
    body = path.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, count, total = build(body, points)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps([took, count, total, grown * 1024]))


def measured(
    side: str, path: Path, *, points: int, repeats: int
) -> tuple[float, int, float, float]:
    """The fastest of several child processes, and the smallest peak."""
    command = (sys.executable, __file__, "--alone", side, str(path), str(points))
    runs = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(repeats)
    ]
    took, count, total, _ = min(runs)
    return took, count, total, max(1.0, min(run[3] for run in runs))


def main() -> None:
    """Measure both and see that both read the same values."""
    if sys.argv[1:2] == ["--write"]:
        Path(sys.argv[2]).write_bytes(document(int(sys.argv[3]), int(sys.argv[4])))
        return
    if sys.argv[1:2] == ["--alone"]:
        alone(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    series, points, repeats = (int(text) for text in (sys.argv[1:] or ("1000", "1000", "5")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        written = (sys.executable, __file__, "--write", str(path), str(series), str(points))
        subprocess.run(written, check=True)
        slow, fast = (
            measured(side, path, points=points, repeats=repeats) for side in ("theirs", "ours")
        )
        size = path.stat().st_size
    assert slow[1] == fast[1] == series * points
    assert abs(slow[2] - fast[2]) <= 1e-9 * abs(slow[2])
    print(f"{series} series x {points} points, {size / 1e6:.1f} MB of JSON")
    for name, (took, _, _, grown) in (("MetricRangeDataFrame", slow), ("frame", fast)):
        print(f"{name}: {took:.3f} s, {grown / 1e6:.0f} MB more at its peak")
    print(f"memory_ratio={slow[3] / fast[3]:.1f}")
    print(f"ratio={slow[0] / fast[0]:.1f}")


if __name__ == "__main__":
    main()
