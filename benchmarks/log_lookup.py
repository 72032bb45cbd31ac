"""All lines of one trace id in a JSON log file of 1 GB, against `grep -F`.

Ours also counts the file's lines and parses what it finds. Prints the seconds of both, how fast
an index is built, how long a look-up by it takes and, last, grep's time by ours: `ratio=0.67` is
half as long again as grep.

Argument: size of the file in MB, 1024 when not given.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from loomtriage.sources.lines.lookup import index_files, lookup

ROUNDS = 5
LINES = 50_000
"""In one block; the file is many blocks."""
WANTED = "4bf92f3577b34da6a3ce929d0e0e4736"
Answer = TypeVar("Answer")


def block() -> bytes:
    """Lines of a worker, each of another trace."""
    chance = random.Random(7)  # noqa: S311 a seed, no secret
    return "".join(line(f"{chance.getrandbits(128):032x}", n) for n in range(LINES)).encode()


def line(trace_id: str, number: int) -> str:
    """One line, about as wide as a real one."""
    record = {
        "ts": f"2026-02-14T14:{number // 1000 % 60:02d}:00.{number % 1000:03d}000+00:00",
        "level": "INFO",
        "logger": "wordloom.search_outbox_worker",
        "event": "projection.process_batch",
        "projection": "search_index_to_elastic",
        "worker_id": "host:1234",
        "batch_size": number % 500,
        "op": "upsert",
        "attempt": number % 5,
        "result": "retry",
        "reason": "es_429",
        "trace_id": trace_id,
        "span_id": trace_id[::-2],
    }
    return json.dumps(record) + "\n"


def write(path: Path, megabytes: int) -> None:
    """The wanted trace has one line in the middle of every hundred blocks, ten at least."""
    piece = block()
    times = max(1, megabytes * 1_000_000 // len(piece))
    with path.open("wb") as file:
        for number in range(times):
            file.write(piece)
            if number % max(1, times // 20) == 0:
                file.write(line(WANTED, number).encode())


def timed(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """Seconds and the answer."""
    begun = time.perf_counter()
    answer = work()
    return time.perf_counter() - begun, answer


def best(work: Callable[[], Answer]) -> tuple[float, Answer]:
    """The shortest of some rounds, in seconds, and the answer."""
    return min((timed(work) for _ in range(ROUNDS)), key=lambda run: run[0])


def grep(path: Path) -> list[str]:
    """The lines, as grep prints them."""
    command = ("grep", "-F", WANTED, str(path))
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def index(path: Path, cache: Path) -> None:
    """Make the index, whether there is one or not."""
    shutil.rmtree(cache, ignore_errors=True)
    index_files(path, cache=cache)


def main(megabytes: int) -> None:
    """Measure both sides and see that they find the same lines."""
    with tempfile.TemporaryDirectory() as folder:
        path, cache = Path(folder) / "worker.jsonl", Path(folder) / "cache"
        write(path, megabytes)
        size = path.stat().st_size
        grep(path)  # nobody waits for the disk
        # They take turns, so that both see the same machine.
        turns = [
            (timed(lambda: grep(path)), timed(lambda: lookup(path, WANTED))) for _ in range(ROUNDS)
        ]
        grep_seconds, seconds = (min(turn[n][0] for turn in turns) for n in (0, 1))
        (_, theirs), (_, ours) = turns[-1]
        build_seconds, _ = best(lambda: index(path, cache))
        again_seconds, again = best(lambda: lookup(path, WANTED, cache=cache))
    assert [one.raw for one in ours.lines] == theirs
    assert again.lines == ours.lines
    seen, by_index = ours.accounts["worker.jsonl"], again.accounts["worker.jsonl"]
    assert (by_index.by_index, by_index.lines_seen) == (True, seen.lines_seen)
    print(f"grep -F: {grep_seconds:.3f} s for {size / 1e6:.0f} MB, {len(theirs)} lines")
    print(f"look-up: {seconds:.3f} s, {seen.hits} of {seen.lines_seen} lines, parsed")
    print(f"index built in {build_seconds:.2f} s, {size / 1e9 / build_seconds:.2f} GB/s")
    print(f"look-up by index: {again_seconds * 1000:.1f} ms")
    print(f"ratio={grep_seconds / seconds:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024)
