"""Rounds: a pool of one recorded run, an order, and what somebody could see while it runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from loomtriage.settings import shipped
from loomtriage.train.pool import Level
from loomtriage.train.rounds import Mode, Order
from loomtriage.train.truth import Truth

EXAMPLES = shipped("runbooks/examples")
TRUTH = Truth(
    drill="es_down",
    run="a run",
    causes=("es_down",),
    scope={"projection": "search_index_to_elastic", "reason": "es_unreachable"},
    operation="PUT",
    actions=("wait",),
    replay=False,
)
RIGHT = {
    "wrong": "yes",
    "scope": "projection=search_index_to_elastic reason=es_unreachable op=upsert result=retry",
    "step": "PUT",
    "cause": "es_down",
    "do": "wait",
    "sure": 0.9,
    "because": "retry_scheduled",
}


def pool_of(folder: Path, *drills: str) -> Path:
    """A folder that holds the recorded runs of these drills and nothing else."""
    for name in drills:
        shutil.copytree(EXAMPLES / name, folder / name)
    return folder


def order(folder: Path, pool: Path, *, limit_s: float = 60.0) -> Order:
    """An offline round of that pool, everything below one folder."""
    return Order(
        mode=Mode.OFFLINE,
        level=Level.BASIC,
        who="ada",
        board=folder / "board",
        out=folder / "runs",
        pool=pool,
        limit_s=limit_s,
    )


def start(
    folder: Path, pool: Path, *, mode: Mode = Mode.OFFLINE, limit_s: int = 60
) -> tuple[subprocess.Popen[str], dict]:
    """A round in a process of its own, and what it told when its clock started."""
    words = ["--offline", f"--source={pool}"] if mode is Mode.OFFLINE else []
    words += [
        f"--board={folder / 'board'}",
        "--json",
        f"--out={folder / 'runs'}",
        f"--limit={limit_s}",
        "--who=ada",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "loomtriage.cli", "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return process, json.loads(line)


def seen(pid: int) -> Iterator[tuple[str, str]]:
    """What the system tells of a process and its children: command, environment, open files."""
    for one in [pid, *_children(pid)]:
        proc = Path(f"/proc/{one}")
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            for name in ("cmdline", "environ", "comm", "maps"):
                yield f"{one} {name}", (proc / name).read_bytes().decode(errors="replace")
            for file in (proc / "fd").iterdir():
                yield f"{one} fd", str(file.readlink()) if file.is_symlink() else ""


def told(folder: Path) -> Iterator[tuple[str, str]]:
    """Names, moments and contents of every file below a folder, answers unpacked."""
    import lzma

    for path in sorted(folder.rglob("*")):
        yield "name", path.relative_to(folder).as_posix()
        if path.is_file():
            data = path.read_bytes()
            data = lzma.decompress(data) if path.suffix == ".xz" else data
            yield path.name, data.decode(errors="replace")


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    direct = [int(one) for one in found]
    return direct + [deeper for one in direct for deeper in _children(one)]
