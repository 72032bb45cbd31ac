"""Stripped: how does a recorded run become a folder that holds its telemetry and tells no more?

The folder has what a play-back needs: the tape, and a manifest with two windows. Names, verdict,
handover, report and the drill's own record stay behind. All moments are moved by the same whole
seconds, ids are replaced by others of the same form, one for one, and the answers are packed anew:
no time, id, name or hash of the round stands in the run. What was measured is not touched; whoever
compares durations or samples with every recording finds it still.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from loomtriage.errors import BundleDamaged
from loomtriage.model import Window
from loomtriage.runner.folder import windows_json
from loomtriage.sources.manifest import NAME, SCHEMA, Manifest, digest, read_manifest
from loomtriage.sources.tape import INDEX, Playback, RawAnswer, Recording

EPOCH = re.compile(rb"(?<![0-9A-Za-z_.-])(1[5-9]\d{8})((?:\d{3}){0,3})(?![0-9A-Za-z])")
"""Seconds since the epoch, or milli-, micro- and nanoseconds, as a number of its own."""
ID = re.compile(
    rb"(?<![0-9A-Za-z.])(?:[0-9a-f]{32}|[0-9a-f]{16}"
    rb"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?![0-9A-Za-z])"
    rb"|(?<=-)[0-9a-f]{8}(?=-\d)"
)
"""Ids of traces, spans, rows, entities and claims, and the middle of a request's id."""
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
    _strip_tape(run / "tape", target / "tape", move_s=move_s)
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


def _strip_tape(tape: Path, target: Path, *, move_s: int) -> None:
    """Every answer under its question, with other moments and other ids in both."""
    secret = secrets.token_bytes(32)

    def told(text: str) -> str:
        return renamed(moved(text.encode(), move_s), secret).decode()

    played, kept = Playback(tape), Recording(target)
    for key in _keys(tape):
        answer = played.fetch(key, _never)
        fresh = replace(
            answer,
            body=renamed(moved(answer.body, move_s), secret),
            fetched_at=answer.fetched_at + timedelta(seconds=move_s),
            hint=told(answer.hint),
            caveats=tuple(told(one) for one in answer.caveats),
        )
        kept.fetch(told(key), partial(_same, fresh))


def renamed(body: bytes, secret: bytes) -> bytes:
    """The same text with every id replaced by one of its form; the same id always by the same."""

    def other(found: re.Match[bytes]) -> bytes:
        plain = found[0].replace(b"-", b"")
        if EPOCH.fullmatch(plain):
            return found[0]
        fresh = hmac.new(secret, plain, hashlib.sha256).hexdigest()[: len(plain)].encode()
        if b"-" not in found[0]:
            return fresh
        cuts = (0, 8, 12, 16, 20, 32)
        return b"-".join(fresh[a:b] for a, b in pairwise(cuts))

    return ID.sub(other, body)


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
