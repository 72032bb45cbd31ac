"""How does foreign text become text that can be shown anywhere without deceiving anybody?

Whatever a log line, label, tag or database error says passes through `text` before it reaches a
page, a chart, a table or a terminal. Escaping for HTML is the template's work (autoescape), for
Markdown `md`; both start from what `text` leaves.
"""

from __future__ import annotations

import re
import unicodedata

CELL = 2000
"""Characters kept of a sentence or table cell."""

LABEL = 120
"""Characters kept of a chart label; longer ones cost seconds to draw."""

MARKS_KEPT = 2
"""Combining marks kept per character; stacks of them paint over the lines around."""

# Blank although Unicode calls them letters or symbols: they hide what stands between them.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Marks that mean something anywhere, at the start of a line, and in the middle of an address.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~]|^[#+=:-]|^\d{1,9}[.)](?=\s|$)|(?i:(?<=www)\.|:(?=//))")
# What chats act upon after the Markdown is done: `@somebody`, `:white_check_mark:`.
_CHAT = re.compile(r"@(?=[0-9A-Za-z])|:(?=[A-Za-z+-][\w+-]{0,60}:)")


def text(value: object, *, limit: int = CELL, lines: bool = False) -> str:
    """The value as visible text, at most `limit` characters of it.

    Control characters show as their pictures (`␛[31m`), and everything invisible, reordering or
    unassigned, lone surrogates included, as its number (`⟨U+202E⟩`). What was cut is counted.
    With `lines` newlines stay newlines; without, they show as `␤`.
    """
    raw = _string(value)
    more = len(raw) - limit
    kept = clean(raw[:limit], lines=lines)
    return f"{kept}… ({more} more characters)" if more > 0 else kept


def clean(raw: str, *, lines: bool = False) -> str:
    """All of the text, made visible; text that is clean stays as it is."""
    return raw if raw.isascii() and raw.isprintable() else _visible(raw, lines=lines)


def label(value: object) -> str:
    """The value as a chart label: one line, at most `LABEL` characters, the end marked if cut."""
    raw = _string(value)
    kept = text(raw[: LABEL - 1] if len(raw) > LABEL else raw)
    if len(kept) > LABEL or len(raw) > LABEL:
        kept = kept[: LABEL - 1] + "…"
    return kept


def clip(words: str, limit: int) -> str:
    """The words, at most `limit` characters of them: cut between two of them, and marked so."""
    if len(words) <= limit:
        return words
    kept = words[: limit - 1]
    whole = kept.rpartition(" ")[0]
    # A single long word is cut where it must be.
    return f"{(whole if len(whole) > limit // 2 else kept).rstrip(' ,;:')}…"


def md(value: object, *, limit: int = CELL) -> str:
    """The value as one line of Markdown that means only itself: no markup, link or mention."""
    # A backslash does not stop a chat from notifying whoever the log line names; a joiner does.
    quiet = _CHAT.sub(lambda mark: f"{mark[0]}\u2060", text(value, limit=limit).strip())
    escaped = _MARKDOWN.sub(_backslash, quiet)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def md_code(value: object, *, limit: int = CELL, in_table: bool = False) -> str:
    """The value as a Markdown code span; a table cell wants its bars escaped, others must not."""
    shown = text(value, limit=limit)
    shown = shown.replace("|", "\\|") if in_table else shown
    if not shown.strip():
        return ""
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown[0] == "`" or shown[-1] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _backslash(mark: re.Match[str]) -> str:
    """A backslash before the last character: Markdown escapes marks, not digits."""
    return f"{mark[0][:-1]}\\{mark[0][-1]}"


def _string(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    # A plain str comes out of markup types too: what somebody calls safe HTML is text here.
    return str(value)


def _visible(raw: str, *, lines: bool) -> str:
    out: list[str] = []
    marks = 0
    for char in raw.replace("\r\n", "\n") if lines else raw:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
            if marks > MARKS_KEPT:
                continue
        else:
            if marks > MARKS_KEPT:
                out.append(f"⟨+{marks - MARKS_KEPT} marks⟩")
            marks = 0
        out.append(_show(char, lines=lines))
    if marks > MARKS_KEPT:
        out.append(f"⟨+{marks - MARKS_KEPT} marks⟩")
    return "".join(out)


def _show(char: str, *, lines: bool) -> str:
    code = ord(char)
    if lines and char == "\n":
        return char
    if char == "\n":
        return "␤"
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    if category in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp") or char in _BLANK:
        return f"⟨U+{code:04X}⟩"
    # Selectors change a glyph without showing, and can carry a hidden message.
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF:
        return "" if code == 0xFE0F else f"⟨U+{code:04X}⟩"
    return char
