"""Files in every condition: trace files, log files and stored scrapes, healthy or damaged."""

from __future__ import annotations

import gzip
import os
import random
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loomtriage.sources import Logs, Source, SpanFiles, Tape, Traces, labs
from tests.matrix import healthy
from tests.matrix.healthy import DAY_S
from tests.matrix.servers import PAGE
from tests.sources import runs

NOBODY = 65534
MAX_BYTES = 20_000
Write = Callable[[Path], None]
"""Puts one file, in its condition, under that name."""


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, whom no file mode stops."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


class Unprivileged:
    """A tape whose source is asked without the rights of root."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def fetch(self, key, ask):
        """What the other tape says."""

        def meekly():
            with as_nobody():
                return ask()

        return self._tape.fetch(key, meekly)


def _text(data: bytes | str) -> Write:
    return lambda path: path.write_bytes(data.encode() if isinstance(data, str) else data)


def _denied(good: bytes) -> Write:
    def write(path: Path) -> None:
        path.write_bytes(good)
        path.chmod(0)

    return write


def _denied_folder(good: bytes) -> Write:
    def write(path: Path) -> None:
        path.write_bytes(good)
        path.parent.chmod(0o700 if os.geteuid() == 0 else 0)

    return write


def _old(data: str) -> Write:
    def write(path: Path) -> None:
        path.write_text(data)
        before = healthy.T0 - DAY_S
        os.utime(path, (before, before))

    return write


def _shuffled(lines: list[str]) -> str:
    mixed = list(lines)
    random.Random(7).shuffle(mixed)
    return "".join(mixed)


def _shared(good: bytes) -> dict[str, Write]:
    """The conditions that are about the file, not about what stands in it."""
    return {
        "good": _text(good),
        "absent": lambda path: None,
        "denied": _denied(good),
        "denied_folder": _denied_folder(good),
        "pipe": os.mkfifo,
        "growing": _text(good),
        "folder": lambda path: path.mkdir(),
        "link": lambda path: path.symlink_to("elsewhere"),
        "login_page": _text(PAGE),
        "empty": _text(b""),
    }


def _traces() -> dict[str, Write]:
    good = healthy.newer()
    two = healthy.newer() + b"\n"
    return {
        **_shared(good + b"\n"),
        "cut": _text(good[:-9]),
        "cut_line": _text(two + good[:-9]),
        "cut_packed": _text(gzip.compress(two * 3)[:-30]),
        "damaged_packed": _text(gzip.compress(two)[:40] + b"\xff" * 99),
        "utf16": _text(good.decode().encode("utf-16")),
        "old": _old(healthy.newer(since=-DAY_S).decode()),
        "behind_8h": _text(healthy.newer(since=35 - DAY_S / 3)),
        "ahead_1d": _text(healthy.newer(since=35 + DAY_S)),
        "bomb": _text(gzip.compress(two * 3 + b"\n" * 8_000_000)),
        "large": _text(b"\n" * 8_000_000 + two),
        "bad_span": _text(healthy.newer(extra=({"name": "x"},)) + b"\n"),
        "repeated": _text(two * 2),
        "shuffled": _text(healthy.shuffled_newer() + b"\n"),
    }


def _logs() -> dict[str, Write]:
    lines = healthy.log_lines()
    good = "".join(lines)
    return {
        **_shared(good.encode()),
        "cut": _text(good[:-30]),
        "utf16": _text(good.encode("utf-16")),
        "shell_error": _text("worker : The term 'worker' is not recognized as a cmdlet\n"),
        "old": _old("".join(healthy.log_lines(since=-DAY_S))),
        "behind_8h": _text("".join(healthy.log_lines(since=31 - DAY_S / 3))),
        "ahead_1d": _text("".join(healthy.log_lines(since=31 + DAY_S))),
        "large": _text("x" * 8_000_000 + "\n" + good),
        "shuffled": _text(_shuffled(lines)),
    }


def _scrapes() -> dict[str, Write]:
    good = runs.scrape(processed=5.0)
    day_off = good.replace(f"{runs.START + 1:.3f}", f"{runs.START + 1 - DAY_S / 3:.3f}")
    lines = good.splitlines(keepends=True)
    return {
        **_shared(good.encode()),
        "cut": _text(good[:-4]),
        "utf16": _text(good.encode("utf-16")),
        "scrape_failed": _text("scrape_failed: URLError refused"),
        "old": _text(good.replace(f"{runs.START + 1:.3f}", f"{runs.START - DAY_S:.3f}")),
        "behind_8h": _text(day_off),
        "large": _text(good + "# x\n" * 2_200_000),
        "repeated": _text(good + good),
        "shuffled": _text("".join(lines[4:] + lines[2:4] + lines[:2])),
    }


WRITES = {"O1": _traces(), "L1": _logs(), "P4": _scrapes()}
NAMES = {"O1": "traces.jsonl", "L1": "worker.log"}


@contextmanager
def standing(name: str, variant: str, tape: Tape) -> Iterator[Source]:
    """The source over a folder of its own, in that condition."""
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        folder.chmod(0o755)
        if name == "P4":
            yield _run(folder, variant, tape)
            return
        if variant.startswith("denied"):
            tape = Unprivileged(tape)
        inner = folder / "inner"
        inner.mkdir()
        paths = _put(inner, name, variant)
        if variant == "growing":
            stack.enter_context(_growing(paths[0]))
        kept = 8_000 if variant == "large" else MAX_BYTES
        if name == "L1":
            yield Logs(paths, tape=tape, max_bytes=kept)
        else:
            files = SpanFiles(paths, max_bytes=kept)
            yield Traces("", tape=tape, ask=files.ask, look=files.look)
        if inner.exists():
            inner.chmod(0o755)


def _put(folder: Path, name: str, variant: str) -> list[Path]:
    writes, path = WRITES[name], folder / NAMES[name]
    packed = name == "O1" and "packed" in variant
    if variant in ("one_unreadable", "copied"):
        more = path.with_stem("other")
        writes["good"](path)
        writes["link" if variant == "one_unreadable" else "good"](more)
        return [path, more]
    path = path.with_name("traces.jsonl.gz") if packed else path
    writes[variant](path)
    return [folder if variant == "folder" else path]


@contextmanager
def _growing(path: Path) -> Iterator[None]:
    """Somebody keeps writing half lines at its end."""
    done = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.wait(0.001):
                file.write(b"\n")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


def _run(folder: Path, variant: str, tape: Tape) -> Source:
    """The metrics of a Wordloom run, both of its scrapes in that condition."""
    silent = {"log": "plain\n"} if variant == "old" else {}
    run = runs.run(folder, **silent)
    scrapes = [run / "_metrics" / f"metrics-{when}.txt" for when in ("before", "after")]
    bad = scrapes[1:] if variant == "one_failed" else scrapes
    for path in bad:
        path.unlink()
        WRITES["P4"]["scrape_failed" if variant == "one_failed" else variant](path)
    with ExitStack() as stack:
        if variant == "growing":
            stack.enter_context(_growing(scrapes[0]))
        if variant.startswith("denied"):
            for path in (run.parent, run):
                path.chmod(0o755)
            stack.enter_context(as_nobody())
        return labs(run, tape=tape).sources.metrics
