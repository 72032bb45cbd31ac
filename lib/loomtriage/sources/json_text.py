"""Is a JSON text whole, cut off, or something else? Linear scans, and the one reader of bodies."""

from __future__ import annotations

import json
import re

from loomtriage.sources.redact import safe
from loomtriage.sources.tape import Unreadable

_MARKS = re.compile(r'["\\{}\[\]]')
_OPENING = "{["
_CLOSING = "}]"
_PIECE = 4096


class Brackets:
    """Depth of a JSON text that comes in pieces."""

    def __init__(self) -> None:
        self.depth = 0
        self.deepest = 0
        self._quoted = False
        self._escaped = False

    def feed(self, piece: str) -> bool:
        """Take the next piece; whether all brackets are closed after it."""
        skipped = 0 if self._escaped else -1
        self._escaped = self._escaped and not piece
        for match in _MARKS.finditer(piece):
            place, mark = match.start(), match[0]
            if place == skipped:
                continue
            if mark == "\\":
                if self._quoted:
                    skipped = place + 1
                    self._escaped = skipped == len(piece)
            elif mark == '"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._step(mark)
        return self.depth <= 0 and not self._quoted

    def _step(self, mark: str) -> None:
        if mark in _OPENING:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif mark in _CLOSING:
            self.depth -= 1


def is_open(text: str) -> bool:
    """Whether the text ends inside a string or with brackets unclosed."""
    return not Brackets().feed(text)


def is_deeper(text: str, limit: int) -> bool:
    """Whether the text nests deeper than `limit`; nothing behind the first such place is read."""
    brackets = Brackets()
    for at in range(0, len(text), _PIECE):
        brackets.feed(text[at : at + _PIECE])
        if brackets.deepest > limit:
            return True
    return False


def read_json(body: bytes) -> object:
    """Parse a JSON body.

    Raises:
        Unreadable: `truncated` when the document breaks off, `wrong_content` when it is no JSON.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    try:
        return json.loads(text)
    except RecursionError:
        raise Unreadable("wrong_content", "The answer is nested too deeply.") from None
    except ValueError:
        pass
    shown = safe(body[:400].decode("utf-8", "replace"))
    if not body or (text.lstrip()[:1] in ("{", "[") and is_open(text)):
        raise Unreadable("truncated", f"The answer breaks off after {len(body)} bytes. Ask again.")
    raise Unreadable("wrong_content", f"The answer is no JSON: {shown}")
