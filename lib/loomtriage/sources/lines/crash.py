"""Crash: does a log file end with an exception that nobody caught?

A process that dies prints it bare, without a time. What follows it in the file is another process,
or a later line of the same one; so only the last thing in a file says that its process ended.
A traceback that was caught and logged stands behind the text that it was logged with, and begins in
the function that caught it; one that nobody caught begins where the program does.
"""

from __future__ import annotations

import json
import re

from loomtriage.contract.events import UNCAUGHT
from loomtriage.sources.lines.line import Line, read_line
from loomtriage.sources.lines.parts import codec_of
from loomtriage.sources.lines.reader import Reading

_STOPPED = "KeyboardInterrupt"
"""Somebody stopped it by hand; that is no crash."""
_NOTHING = ("blank", "zero_bytes")
_TRACEBACK = "Traceback (most recent call last):"
_OUTERMOST = re.compile(r'\s*File "[^"]*", line \d+, in (?:<module>|_run_module_as_main)')
"""The first frame of a traceback that went through the whole program."""


def crash_line(data: bytes, reading: Reading, *, file: str, head: bytes) -> Line | None:
    """The traceback at the end of a file as a line of its own, None when it ends otherwise.

    It has no time; it is told at the latest time of the file, before which it cannot have been.

    Args:
        data: the bytes that were read.
        reading: what they came to.
        file: name of the file.
        head: the file's first bytes.
    """
    ends = [skip for skip in reading.skipped if skip.kind not in _NOTHING]
    last = ends[-1] if ends else None
    if last is None or reading.last is None or last.kind != "traceback":
        return None
    if not last.says or last.says.startswith(_STOPPED):
        return None
    if data[last.end :].strip(b" \t\r\n\x00"):
        return None
    is_behind_text = any(s.kind == "plain" and s.end == last.start for s in ends)
    text = data[last.start : last.end].decode(codec_of(head), "replace")
    if is_behind_text and not _is_outermost(text):
        return None
    told = {
        "ts": reading.last.isoformat(),
        "level": "CRITICAL",
        "event": UNCAUGHT,
        "message": last.says,
        "time_of": "the latest line before",
    }
    line = read_line(json.dumps(told, ensure_ascii=False), file=file, line=last.line)
    return line if isinstance(line, Line) else None


def _is_outermost(text: str) -> bool:
    """Whether it begins where the program does; of a chain the last one is what nobody caught."""
    # A console may have wrapped the frame.
    joined = text.replace("\r", "").replace("\n", "")
    return bool(_OUTERMOST.match(joined.rpartition(_TRACEBACK)[2]))
