"""Stripped: how does a recorded run become a folder that holds its telemetry and tells no more?

The folder has what a play-back needs: the tape, and a manifest with two windows. Names, verdict,
handover, report and the drill's own record stay behind. All moments are moved by the same whole
seconds and the answers are packed anew, so that neither times, names nor hashes lead back to the
run; what a line or span says is not touched.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NoReturn

from loomtriage.errors import BundleDamaged
from loomtriage.model import Window
from loomtriage.runner.folder import windows_json
from loomtriage.sources.manifest import NAME, SCHEMA, Manifest, digest, read_manifest
from loomtriage.sources.tape import INDEX, Playback, RawAnswer, Recording

EPOCH = re.compile(rb"(?<![0-9A-Za-z_.-])(1[5-9]\d{8})((?:\d{3}){0,3})(?![0-9A-Za-z])")
"""Seconds since the epoch, or milli-, micro- and nanoseconds, as a number of its own."""
STAMP = re.compile(rb"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d")


def strip_run(run: Path, target: Path, *, name: str, move_s: int) -> Window:
    """Write the telemetry of a recorded run into a new folder; its incident window there.

    Args:
        run: a run folder; it is verified first.
        target: must not exist.
        name: what the manifest calls it.
        move_s: whole seconds by which every moment is moved.

    Raises:
        BundleDamaged: the run does not match its manifest.
    """
    manifest = read_manifest(run)
    manifest.verify(run)
    target.mkdir(mode=0o700, parents=True)
    played, kept = Playback(run / "tape"), Recording(target / "tape")
    for key in _keys(run / "tape"):
        answer = played.fetch(key, _never)
        moment = answer.fetched_at + timedelta(seconds=move_s)
        fresh = replace(answer, body=moved(answer.body, move_s), fetched_at=moment)
        kept.fetch(moved(key.encode(), move_s).decode(), partial(_same, fresh))
    window = _moved_window(manifest.window_value, move_s)
    before = manifest.baseline_value
    baseline = _moved_window(before, move_s) if before else None
    files = {
        path.relative_to(target).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": digest(path),
        }
        for path in sorted((target / "tape").iterdir())
    }
    content = {
        "schema": SCHEMA,
        "id": name,
        "what": "round",
        "created_at": window.as_json()["end"],
        "parameters": {},
        "sources": {},
        "versions": {},
        "files": files,
        **windows_json(window, baseline),
    }
    text = json.dumps(Manifest.model_validate(content).model_dump(by_alias=True), indent=1)
    _write(target / NAME, text.encode() + b"\n")
    return window


def moved(body: bytes, seconds: int) -> bytes:
    """The same text with every moment moved; numbers of any other size stay."""

    def epoch(found: re.Match[bytes]) -> bytes:
        return b"%d%s" % (int(found[1]) + seconds, found[2])

    def stamp(found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.fromisoformat(found[0].decode()) + timedelta(seconds=seconds)
        except (ValueError, OverflowError):
            return found[0]
        return moment.isoformat(sep=found[1].decode(), timespec="seconds").encode()

    return STAMP.sub(stamp, EPOCH.sub(epoch, body))


def _keys(tape: Path) -> Iterator[str]:
    """Each question that the tape holds an answer to."""
    for line in (tape / INDEX).read_bytes().splitlines():
        try:
            yield str(json.loads(line)["key"])
        except (ValueError, TypeError, KeyError):
            raise BundleDamaged(
                f"{tape.parent.name}: {INDEX} holds what is no entry.",
                hint="Use an untouched copy of the run.",
            ) from None


def _same(answer: RawAnswer) -> RawAnswer:
    return answer


def _never() -> NoReturn:
    raise AssertionError("a play-back asks nobody")


def _moved_window(window: Window, seconds: int) -> Window:
    by = timedelta(seconds=seconds)
    return Window(window.start + by, window.end + by)


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
