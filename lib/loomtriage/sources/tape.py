"""The tape: raw answers as they came, recorded into a run folder and played back from it.

Everything that a source says passes through here and is redacted first, so that a live pull and
its play-back parse the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from loomtriage.sources.files import read_file
from loomtriage.sources.packing import MAX_MEMBER_BYTES, SUFFIX, damaged, pack, unpack
from loomtriage.sources.redact import redact, redact_bytes
from loomtriage.sources.secret_forms import Secrets

Media = Literal["json", "jsonl", "txt"]
INDEX = "index.jsonl"
_MEMBER = re.compile(rf"^\d{{1,6}}-[0-9a-f]{{12}}\.(json|jsonl|txt){re.escape(SUFFIX)}$")


class Unreadable(Exception):
    """The body is not what the source should say; carries the missing word and a hint."""

    def __init__(self, missing: str, hint: str) -> None:
        super().__init__(f"{missing}: {hint}")
        self.missing, self.hint = missing, hint


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What a source said.

    Attributes:
        body: the bytes; kept even when they are damaged.
        fetched_at: when the answer came (aware UTC).
        media: how the body is written.
        missing: empty when the source answered, else one word of `Frame.missing`.
        hint: what to do about it.
        caveats: stated limits, one sentence each.
    """

    body: bytes = b""
    fetched_at: datetime = field(default_factory=_now)
    media: Media = "json"
    missing: str = ""
    hint: str = ""
    caveats: tuple[str, ...] = ()

    def redacted(self, secrets: Secrets) -> RawAnswer:
        """The same answer without what looks like a secret, nor any of these."""
        return replace(
            self,
            body=secrets.cut(redact_bytes(self.body)),
            hint=_cut(self.hint, secrets),
            caveats=tuple(_cut(text, secrets) for text in self.caveats),
        )


def _cut(text: str, secrets: Secrets) -> str:
    return secrets.cut(redact(text).encode(errors="surrogatepass")).decode(errors="surrogatepass")


NO_SECRETS = Secrets()


class Tape(Protocol):
    """Something that answers a key, by asking or from what it holds."""

    def fetch(self, key: str, ask: Callable[[], RawAnswer]) -> RawAnswer:
        """The raw answer for that key."""
        ...


class Live:
    """Just asks."""

    def __init__(self, *, secrets: Secrets = NO_SECRETS) -> None:
        self._secrets = secrets

    def fetch(self, key: str, ask: Callable[[], RawAnswer]) -> RawAnswer:
        """Ask; nothing is kept."""
        return ask().redacted(self._secrets)


class Playback:
    """Answers from a recorded folder, after checking every hash; never asks.

    Raises:
        BundleDamaged: (from `fetch`) index or member is not what was recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._entries: dict[str, dict[str, object]] | None = None

    def fetch(self, key: str, ask: Callable[[], RawAnswer]) -> RawAnswer:
        """The recorded answer; a key that was never asked is `not_recorded`."""
        if self._entries is None:
            self._entries = dict(_read_index(self._folder))
        entry = self._entries.get(key)
        if entry is None:
            return RawAnswer(
                fetched_at=datetime.fromtimestamp(0, UTC),
                missing="not_recorded",
                hint="The recording does not hold this question; ask a live source instead.",
            )
        return _play(self._folder, entry)


class Recording:
    """Asks, redacts, and keeps the answer; a question that is recorded already is not asked again.

    Answers stand in `<n>-<sha12>.<ext>.xz`, their list in `index.jsonl`; files are private. They
    are packed because spans and lines repeat themselves: about a twentieth remains. The hash is
    that of the packed bytes, so that it is checked before anything unpacks them.
    """

    def __init__(self, folder: Path, *, secrets: Secrets = NO_SECRETS) -> None:
        self._folder, self._secrets = folder, secrets
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._entries = dict(_read_index(folder))
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Lock] = {}

    def fetch(self, key: str, ask: Callable[[], RawAnswer]) -> RawAnswer:
        """Ask and record; a missing answer is recorded too.

        Different questions may be asked at the same time, one question is asked once.
        """
        with self._lock:
            asking = self._asking.setdefault(key, threading.Lock())
        with asking:
            known = self._entries.get(key)
            if known is not None:
                return _play(self._folder, known)
            answer = ask().redacted(self._secrets)
            self._keep(key, answer)
            return answer

    def _keep(self, key: str, answer: RawAnswer) -> None:
        with self._lock:
            packed = pack(answer.body)
            digest = hashlib.sha256(packed).hexdigest()
            name = f"{len(self._entries) + 1:04d}-{digest[:12]}.{answer.media}{SUFFIX}"
            entry: dict[str, object] = {
                "key": key,
                "file": name,
                "sha256": digest,
                "fetched_at": answer.fetched_at.isoformat(),
                "missing": answer.missing,
                "hint": answer.hint,
                "caveats": list(answer.caveats),
            }
            # Body first: an index line never names a file that is not there.
            _append(self._folder / name, packed, flags=os.O_EXCL)
            line = json.dumps(entry, sort_keys=True) + "\n"
            _append(self._folder / INDEX, line.encode(), flags=os.O_APPEND)
            self._entries[key] = entry


class Again:
    """Answers from a recording and keeps what was used on another tape."""

    def __init__(self, recorded: Playback, onto: Tape) -> None:
        self._recorded, self._onto = recorded, onto

    def fetch(self, key: str, ask: Callable[[], RawAnswer]) -> RawAnswer:
        """The recorded answer."""
        return self._onto.fetch(key, lambda: self._recorded.fetch(key, ask))


def _append(path: Path, data: bytes, *, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _read_index(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    try:
        text = read_file(folder / INDEX, max_bytes=MAX_MEMBER_BYTES).data.decode()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(f"{INDEX} cannot be read ({type(error).__name__})") from None
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            entry = json.loads(line)
            yield str(entry["key"]), entry
        except (ValueError, KeyError, TypeError, RecursionError):
            raise damaged(f"{INDEX} line {number} is no entry") from None


def _play(folder: Path, entry: dict[str, object]) -> RawAnswer:
    name, expected = str(entry.get("file", "")), str(entry.get("sha256", ""))
    if not _MEMBER.match(name):
        raise damaged(f"{INDEX} names the file {name[:60]!r}")
    try:
        packed = read_file(folder / name, max_bytes=MAX_MEMBER_BYTES).data
    except OSError as error:
        raise damaged(f"{name} cannot be read ({type(error).__name__})") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != expected:
        raise damaged(f"{name} has SHA-256 {found}, recorded was {expected[:64]}")
    body = unpack(packed, name)
    caveats = entry.get("caveats", [])
    try:
        fetched_at = datetime.fromisoformat(str(entry["fetched_at"]))
    except (KeyError, ValueError):
        raise damaged(f"{INDEX} has no time for {name}") from None
    return RawAnswer(
        body=body,
        fetched_at=fetched_at,
        media=_media(name),
        missing=str(entry.get("missing", "")),
        hint=str(entry.get("hint", "")),
        caveats=tuple(str(text) for text in caveats) if isinstance(caveats, list) else (),
    )


def _media(name: str) -> Media:
    ending = name.removesuffix(SUFFIX).rpartition(".")[2]
    return "jsonl" if ending == "jsonl" else "txt" if ending == "txt" else "json"
