"""What the terminal shows: results on stdout, progress and failures on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from loomtriage.errors import Exit

_BEGUN = time.monotonic()


def say(line: str) -> None:
    """One progress line on stderr, with the time since the command started.

    When nobody reads any more, what runs is still brought to its end, and its lab given back.
    """
    with suppress(OSError):
        print(f"[{time.monotonic() - _BEGUN:6.1f}s] {printable(line)}", file=sys.stderr, flush=True)


def show(folder: Path | None, verdict: Mapping[str, object], *, source: str, as_json: bool) -> None:
    """Print the verdict strip, its commands fitted to the source (or JSON as stored)."""
    if as_json:
        told = {"folder": folder.name if folder else None, "verdict": verdict, "drill": None}
        print(json.dumps(told, indent=1))
        return
    from loomtriage.runner.verdict import fitted

    print(shown(folder, fitted(verdict, source)))


def shown(
    folder: Path | None,
    verdict: Mapping[str, object],
    *,
    drill: Mapping[str, object] | None = None,
) -> str:
    """The verdict strip, and where the report is."""
    from loomtriage.runner.strip import strip

    told = printable(strip(verdict, drill=drill))
    return told if folder is None else f"{told}\nreport    {relative(folder / 'report.html')}"


def relative(where: Path) -> str:
    """A path as seen from the current folder, where it lies below it."""
    here = Path.cwd()
    return str(where.relative_to(here)) if where.is_relative_to(here) else str(where)


def fail(text: str, code: Exit) -> NoReturn:
    """One line on stderr, then the exit code."""
    print(f"loomtriage: {printable(text)}", file=sys.stderr)
    sys.exit(int(code))


def printable(text: str) -> str:
    """Control characters made visible, so that hostile text cannot drive the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
