"""One log line's text -> a line with its time, or the class of why it is none."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from loomtriage.sources.json_text import is_deeper

MAX_DEPTH = 64

ANSI = re.compile(
    r"\x1b(?:\[[0-9;?]{0,20}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\-_])"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_OWN = frozenset(
    "ts timestamp level logger event message trace_id span_id taskName".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One log line.

    Attributes:
        ts: when (aware UTC).
        level, logger, event, message, trace_id, span_id: empty text where absent.
        fields: everything else that the line says.
        file: name of the file, without its folder.
        line: number of its first physical line, from 1.
        raw: its text, redacted, hard wraps taken out.
        sha256: of `raw` in UTF-8.
        flags: oddities (`ansi`, `duplicate_keys`, `joined`, `nan`, `surrogate`, `undecodable`).
    """

    ts: datetime
    level: str
    logger: str
    event: str
    message: str
    trace_id: str
    span_id: str
    fields: Mapping[str, object]
    file: str
    line: int
    raw: str
    sha256: str
    flags: tuple[str, ...] = ()


def read_line(raw: str, *, file: str, line: int) -> Line | str:
    """Read one line's text, redacted before; the class of the skip when it is no log line."""
    flags: set[str] = set()
    record = _record(raw, flags)
    if isinstance(record, str):
        return record
    ts = _time(record.get("ts", record.get("timestamp")))
    if isinstance(ts, str):
        return ts
    event = _word(record, "event")
    return Line(
        ts=ts,
        level=_word(record, "level"),
        logger=_word(record, "logger"),
        event=event,
        message=_word(record, "message") or event,
        trace_id=_word(record, "trace_id").lower(),
        span_id=_word(record, "span_id").lower(),
        fields={key: value for key, value in record.items() if key not in _OWN},
        file=file,
        line=line,
        raw=raw,
        sha256=hashlib.sha256(raw.encode("utf-8", "replace")).hexdigest(),
        flags=tuple(sorted(flags)),
    )


def _record(raw: str, flags: set[str]) -> dict[str, object] | str:
    text = raw
    if "\x1b" in text:
        text = ANSI.sub("", text)
        flags.add("ansi")
    if "\ufffd" in text:
        flags.add("undecodable")
    if text.count("{") + text.count("[") > MAX_DEPTH and is_deeper(text, MAX_DEPTH):
        return "too_deep"
    try:
        record = _decoded(text, flags)
    except RecursionError:
        return "too_deep"
    except ValueError as error:
        return "broken_json" if isinstance(error, json.JSONDecodeError) else "bad_number"
    if not isinstance(record, dict):
        return "broken_json"
    return _without_surrogates(record, flags) if "\\ud" in text.lower() else record


def _word(record: Mapping[str, object], key: str) -> str:
    value = record.get(key)
    text = "" if value is None else str(value)
    return ANSI.sub("", text) if "\x1b" in text else text


def _decoded(text: str, flags: set[str]) -> object:
    """The document; the few odd ones are read twice, since a decoder for one line costs much."""
    try:
        return _DECODER.decode(text)
    except _Odd:
        return json.loads(
            text,
            object_pairs_hook=lambda pairs: _dict(pairs, flags),
            parse_constant=lambda name: _constant(name, flags),
        )


class _Odd(Exception):
    """What Python's decoder takes, and JSON forbids or leaves open."""


def _plain_dict(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _Odd
    return record


def _no_constant(_name: str) -> NoReturn:
    raise _Odd


_DECODER = json.JSONDecoder(object_pairs_hook=_plain_dict, parse_constant=_no_constant)


def _dict(pairs: list[tuple[str, object]], flags: set[str]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        flags.add("duplicate_keys")
    return record


def _constant(name: str, flags: set[str]) -> str:
    """NaN and Infinity are no JSON; they stay text, so that nobody calculates with them."""
    flags.add("nan")
    return name


def _time(value: object) -> datetime | str:
    if value is None:
        return "no_time"
    try:
        # RFC 3339 lets a writer spell T and Z in lower case.
        moment = datetime.fromisoformat(str(value).upper())
        return "naive_time" if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return "bad_time"


def _without_surrogates(record: dict[str, object], flags: set[str]) -> dict[str, object]:
    clean, count = _SURROGATE.subn("\ufffd", json.dumps(record, ensure_ascii=False))
    if not count:
        return record
    flags.add("surrogate")
    return dict(json.loads(clean))
