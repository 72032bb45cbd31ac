"""Count by reason over dirty JSON log lines, against pandas on the same lines cleaned.

The file holds what real ones hold: plain lines, tracebacks, cut lines, zero bytes and colours
among the log lines. pandas is given only its whole lines, which ours must find by itself. Prints
the seconds of both, the peak memory of ours for this file and for one of a tenth, and, last, how
many times faster ours is: `ratio=20`.

Argument: size of the file in MB, 1024 when not given.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pandas as pd

from loomtriage.sources.lines.counts import counts

ROUNDS = 3
BLOCK_LINES = 40_000
REASONS = ("es_429", "es_connect", "es_5xx", "es_4xx", "owner_mismatch")
TRACEBACK = (
    "Traceback (most recent call last):\n" + '  File "w.py", line 7, in main\n' * 30 + "E: x"
)


def record(chance: random.Random, number: int) -> dict[str, object]:
    """One line of a worker, as wide as a real one."""
    second, micros = divmod(number * 613, 1_000_000)
    return {
        "ts": f"2026-02-14T14:{second // 60 % 60:02d}:{second % 60:02d}.{micros:06d}+00:00",
        "level": "INFO",
        "logger": "wordloom.search_outbox_worker",
        "event": "projection.process_batch",
        "layer": "worker",
        "projection": "search_index_to_elastic",
        "worker_id": "host:1234",
        "claim_batch_id": str(uuid.UUID(int=chance.getrandbits(128))),
        "obs_schema": "labs-009-v2",
        "batch_size": chance.randrange(500),
        "op": "upsert",
        "attempt": chance.randrange(5),
        "result": "retry",
        "reason": chance.choice(REASONS),
        "duration_s": round(chance.random(), 4),
        "trace_id": f"{chance.getrandbits(128):032x}",
        "span_id": f"{chance.getrandbits(64):016x}",
    }


def block() -> tuple[bytes, bytes]:
    """Dirty lines, and the whole ones among them."""
    chance = random.Random(11)  # noqa: S311 a seed, no secret
    dirty, clean = [], []
    for number in range(BLOCK_LINES):
        text = json.dumps(record(chance, number))
        kind = chance.randrange(250)
        odd = {
            0: TRACEBACK,
            1: text[: chance.randrange(1, len(text))],
            2: "\x00" * 32,
            3: "[OK] Database: postgresql+psycopg://wordloom:wordloom@localhost:5435/wordloom",
        }.get(kind)
        if odd is None:
            clean.append(text)
        dirty.append(odd or (f"\x1b[32m{text}\x1b[0m" if kind == 4 else text))
    return ("\n".join(dirty) + "\n").encode(), ("\n".join(clean) + "\n").encode()


def write(path: Path, piece: bytes, times: int) -> None:
    """A file of that many blocks."""
    with path.open("wb") as file:
        for _ in range(times):
            file.write(piece)


def ours(path: Path) -> dict[str, int]:
    """Lines per reason."""
    return dict(counts(path, "reason").total().per_value)


def theirs(path: Path) -> dict[str, int]:
    """Lines per reason, as one would do it in a notebook."""
    found = pd.read_json(path, lines=True)["reason"].value_counts()
    return {str(reason): int(lines) for reason, lines in found.items()}


def measure(side: str, path: Path) -> None:
    """In a process of its own: seconds, peak memory and the counts, as one JSON line.

    Neither side waits for the disk: the file is read once before the clock starts.
    """
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass
    begun = time.perf_counter()
    found = ours(path) if side == "ours" else theirs(path)
    seconds = time.perf_counter() - begun
    own, child = (resource.getrusage(who).ru_maxrss // 1024 for who in (0, -1))
    print(json.dumps({"seconds": seconds, "peak_mb": max(own, child), "counts": found}))


def asked(side: str, path: Path) -> dict[str, dict[str, int] | float]:
    """Run one side alone."""
    command = (sys.executable, __file__, side, str(path))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, dict[str, int] | float] = json.loads(done.stdout)
    return answer


def best(*sides: tuple[str, Path]) -> list[dict[str, dict[str, int] | float]]:
    """The fastest of some runs of each side, which take turns: both see the same machine."""
    runs = [[asked(*side) for side in sides] for _ in range(ROUNDS)]
    return [
        min(of_one, key=lambda run: float(str(run["seconds"])))
        for of_one in zip(*runs, strict=True)
    ]


def main(megabytes: int) -> None:
    """Measure both sides and see that they count the same."""
    dirty, clean = block()
    times = max(2, megabytes * 1_000_000 // len(dirty))
    with tempfile.TemporaryDirectory() as folder:
        whole, tenth, cleaned = (Path(folder) / f"{name}.jsonl" for name in ("a", "b", "c"))
        write(whole, dirty, times)
        write(tenth, dirty, max(1, times // 10))
        write(cleaned, clean, times)
        small = asked("ours", tenth)
        fast, slow = best(("ours", whole), ("pandas", cleaned))
        size = whole.stat().st_size / 1e6
    assert fast["counts"] == slow["counts"], (fast["counts"], slow["counts"])
    seconds, pandas_seconds = float(str(fast["seconds"])), float(str(slow["seconds"]))
    print(f"pandas, {size:.0f} MB cleaned: {pandas_seconds:.1f} s, peak {slow['peak_mb']} MB")
    print(f"counts, {size:.0f} MB dirty: {seconds:.2f} s, {size / seconds:.0f} MB/s")
    print(f"peak memory: {fast['peak_mb']} MB, {small['peak_mb']} MB for a tenth of the file")
    print(f"ratio={pandas_seconds / seconds:.1f}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
