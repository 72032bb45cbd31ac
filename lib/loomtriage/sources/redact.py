"""What must not leave a source: passwords, tokens and userinfo, cut out of text before it is kept.

Every pattern is a linear scan, capped or possessive, so that a hostile line cannot stall it. No
pattern takes a lone quote or half an escape away: redacted JSON stays JSON.
"""

from __future__ import annotations

import re

HIDDEN = "[redacted]"

_DATABASES = r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|redis|amqps?)(?:\+[a-z0-9]{1,20})?"
_NAMES = (
    r"(?:pass(?:word|wd)?|pwd|pgpassword|secret|client_secret|api[_-]?key|access[_-]?key"
    r"|(?:access|refresh|auth|id|lab|bearer)[_-]?token|token)"
)
_URL_END = r"\s\"'<>\\"
# `\/` is how some writers escape a slash inside JSON.
_SLASHES = r":(?:\\?/){2}"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A raw password may hold `/` or `@`; only database URLs are searched for that far.
    (
        re.compile(rf"({_DATABASES}{_SLASHES})[^{_URL_END}]{{1,256}}@", re.IGNORECASE),
        rf"\1{HIDDEN}@",
    ),
    (re.compile(rf"({_SLASHES})[^{_URL_END}/?#]{{1,256}}@"), rf"\1{HIDDEN}@"),
    (
        re.compile(r"\b(bearer|basic)(\s{1,4})[A-Za-z0-9._~+/=-]{8,4096}", re.IGNORECASE),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_.-]{4,8192}"), HIDDEN),
    # "key": "value", up to the closing quote; a bare number gets quotes, so that JSON stays JSON.
    (
        re.compile(
            rf"\b({_NAMES}\"\s{{0,3}}:\s{{0,3}}\")(?!\[redacted\]\")(?:[^\"\\]|\\.)++",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(rf"\b({_NAMES}\"\s{{0,3}}:\s{{0,3}})-?[0-9][0-9.eE+-]*+", re.IGNORECASE),
        rf'\1"{HIDDEN}"',
    ),
    # The same inside a JSON string, \"key\": \"value\", however often it was escaped.
    (
        re.compile(
            rf"\b({_NAMES}(\\(?:\\\\){{0,3}}\")\s{{0,3}}:\s{{0,3}}\2)"
            rf"(?!\[redacted\]\\{{1,7}}\")(?:[^\"\\]|\\++(?!\"))++",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            rf"\b({_NAMES}(\\(?:\\\\){{0,3}}\")\s{{0,3}}:\s{{0,3}})-?[0-9][0-9.eE+-]*+",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}\2",
    ),
    # key=value, key: value, 'key': 'value'; a backslash is touched only as part of a quote.
    (
        re.compile(
            rf"\b({_NAMES}'?\s{{0,3}}[=:](?:\s|\\[nrt]){{0,3}}(?:\\{{0,7}}[\"'])?)"
            rf"(?!\[redacted\]|:)[^\s\"'\\,;&<>{{}}\[\]()]{{1,1024}}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)
_PASSES = 8
"""One rule may uncover work for another; text of real programs is settled after the first."""
_HINTS = ("://", ":\\/\\/", "eyJ")
_WORDS = ("pass", "pwd", "secret", "token", "bearer", "basic", "key")


def redact(text: str) -> str:
    """The text without passwords, tokens and URL userinfo; applying it twice changes nothing."""
    lowered = text.lower()
    if not any(hint in text for hint in _HINTS) and not any(word in lowered for word in _WORDS):
        return text
    for _ in range(_PASSES):
        before = text
        for pattern, replacement in _RULES:
            text = pattern.sub(replacement, text)
        if text == before:
            break
    return text


def redact_bytes(body: bytes) -> bytes:
    """The same for a body; bytes that are no UTF-8 come back as they are.

    Latin-1 maps every byte to one character and back, so nothing else changes, and the ASCII
    patterns still match.
    """
    return redact(body.decode("latin-1")).encode("latin-1")


def safe(text: str, *, limit: int = 80) -> str:
    """The first characters of foreign text for a message: redacted, on one line, no controls."""
    head = redact(text[: limit * 8])
    shown = "".join(letter if letter.isprintable() else " " for letter in head)
    return " ".join(shown.split())[:limit]
