"""Drawn: how is the drawn run read so that no time of last reading tells which one it was?

Its owner may read a file and leave no time. Who may not reads all runs, each once and in their
order. Folders keep such a time too, so that all of them are listed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

UNSEEN = getattr(os, "O_NOATIME", 0)
"""The flag that keeps the time of last reading as it was; only Linux has it."""


@contextmanager
def unseen_copy(runs: Sequence[Path], drawn: Path) -> Iterator[Path]:
    """A copy of the drawn run, for as long as it is worked on.

    What cannot be read, or is a link, is not in it.

    Args:
        runs: folders of all runs that might have been drawn.
        drawn: the one of them that was.
    """
    files = {run: _files(run) for run in runs}
    content = _read_unseen(files[drawn]) or _read_all(files, drawn)
    with TemporaryDirectory(prefix="loomtriage-r-") as place:
        copy = Path(place) / drawn.name
        for path, data in content.items():
            target = copy / path.relative_to(drawn)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        yield copy


def _files(run: Path) -> list[Path]:
    return [path for path in sorted(run.rglob("*")) if path.is_file() and not path.is_symlink()]


def _read_unseen(paths: Sequence[Path]) -> Mapping[Path, bytes]:
    """What stands in these files; empty where they cannot be read without a trace."""
    found = {}
    try:
        for path in paths if UNSEEN else ():
            with os.fdopen(os.open(path, os.O_RDONLY | UNSEEN), "rb") as file:
                found[path] = file.read()
    except OSError:
        return {}
    return found


def _read_all(files: Mapping[Path, Sequence[Path]], drawn: Path) -> Mapping[Path, bytes]:
    """What stands in the drawn run's files, while those of the others are read as well."""
    found = {}
    for run, paths in files.items():
        for path in paths:
            # A file of somebody else, in a run that was not drawn, is no reason to end a round.
            with suppress(OSError):
                data = path.read_bytes()
                if run == drawn:
                    found[path] = data
    return found
