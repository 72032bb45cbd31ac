"""How long does Alertmanager wait for its answer while the receiver's runs take both cores?

The real receiver, a process of its own, starts the real path on a recorded run for each accepted
alert, two at once. Meanwhile distinct alerts arrive, each with 99 copies behind it and each on a
connection of its own: first 100 a second, far more than any Alertmanager sends, then as fast as
16 senders can. Prints the answers by status and how long they took; last, how much of the allowed
200 ms is left over at the 99th percentile of the paced ones: `ratio=4.0`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.watch.receiver import TOKEN, payload

ALLOWED_S = 0.2
COPIES = 100
PACED, PER_S = 2000, 100
STORM, SENDERS = 1400, 16
TAKEN, MOST_TAKEN = frozenset({"200", "202"}), 0.99


async def delivered(port: int, body: bytes) -> tuple[str, float]:
    """Status and seconds of one delivery, connection included."""
    head = (
        f"POST /alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return answer[9:12].decode(), time.perf_counter() - begun


def bodies(name: str, count: int) -> list[bytes]:
    """Alerts, each with its copies behind it."""
    names = (f"{name}{n // COPIES}" for n in range(count))
    return [json.dumps(payload(name, group=name)).encode() for name in names]


async def paced(port: int) -> list[tuple[str, float]]:
    """One delivery after the other is sent off at a steady rate, answered or not."""
    sent = []
    begun = time.perf_counter()
    for n, body in enumerate(bodies("paced", PACED)):
        await asyncio.sleep(begun + n / PER_S - time.perf_counter())
        sent.append(asyncio.create_task(delivered(port, body)))
    return await asyncio.gather(*sent)


async def storm(port: int) -> list[tuple[str, float]]:
    """Some senders, each of which posts the next as soon as it was answered."""
    left, answers = iter(bodies("storm", STORM)), []

    async def sender() -> None:
        answers.extend([await delivered(port, body) for body in left])

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return answers


def told(name: str, answers: list[tuple[str, float]], *, within_s: float) -> float:
    """Print what the answers were; seconds at the 99th percentile of those that took the alert.

    A refusal is a fast answer, and no figure of ours.
    """
    taken = [(status, seconds) for status, seconds in answers if status in TAKEN]
    assert len(taken) >= MOST_TAKEN * len(answers), Counter(status for status, _ in answers)
    statuses = dict(sorted(Counter(status for status, _ in answers).items()))
    waits = sorted(seconds for _, seconds in taken)
    p50, p99 = (waits[int(len(waits) * share)] for share in (0.5, 0.99))
    print(
        f"{name}, {len(waits) / within_s:.0f}/s, answered {statuses}: p50 {p50 * 1000:.0f} ms, "
        f"p99 {p99 * 1000:.0f} ms, longest {waits[-1] * 1000:.0f} ms"
    )
    return p99


def main() -> None:
    """Start a receiver, give its workers something to do, and measure."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ("--listen", "127.0.0.1:0", "--source", "example:es_429")
        places = ("--inbox", str(Path(folder) / "room"), "--out", str(Path(folder) / "runs"))
        command = (sys.executable, "-m", "loomtriage.cli", "watch-alerts", *options, *places)
        with subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LOOMTRIAGE_WATCH_TOKEN": TOKEN},
        ) as receiver:
            try:
                assert receiver.stderr
                port = next(
                    int(line.rpartition(":")[2].partition("/")[0])
                    for line in receiver.stderr
                    if "alerts are taken at" in line
                )
                for n in range(4):
                    asyncio.run(delivered(port, json.dumps(payload(f"busy{n}")).encode()))
                time.sleep(3)  # until both runs are under way
                begun = time.perf_counter()
                usual = told(
                    "paced", asyncio.run(paced(port)), within_s=time.perf_counter() - begun
                )
                begun = time.perf_counter()
                answers = asyncio.run(storm(port))
                told(f"{SENDERS} senders", answers, within_s=time.perf_counter() - begun)
            finally:
                receiver.kill()
    print(f"ratio={ALLOWED_S / usual:.1f}")


if __name__ == "__main__":
    main()
