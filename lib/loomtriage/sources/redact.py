"""What must not leave a source: passwords, tokens and userinfo, cut out of text before it is kept.

Every pattern is a linear scan, capped or possessive, so that a hostile line cannot stall it. No
pattern takes a lone quote or half an escape away: redacted JSON stays JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HIDDEN = "[redacted]"

_DATABASES = r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|redis|amqps?)(?:\+[a-z0-9]{1,20})?"
_NAMES = (
    r"(?:pass(?:word|wd)?|pwd|pgpassword|secret|client_secret|api[_-]?key|access[_-]?key"
    r"|(?:access|refresh|auth|id|lab|bearer)[_-]?token|token)"
)
_URL_END = r"\s\"'<>\\"
# `\/` is how some writers escape a slash inside JSON.
_SLASHES = r":(?:\\?/){2}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One form of a secret.

    Attributes:
        near: lower-case words, one of which every match holds within its first letters.
        reach: how far before such a word a match may begin.
        pattern, hidden: what is cut, and what stands there afterwards.
    """

    near: tuple[str, ...]
    reach: int = 0
    pattern: re.Pattern[str]
    hidden: str

    def cut(self, text: str, lowered: str) -> str:
        """All matches replaced, as `pattern.sub` would: looking only near the words saves most."""
        parts, done = [], 0
        for place in self._places(lowered):
            for start in range(max(done, place - self.reach), place + 1):
                match = self.pattern.match(text, start)
                if match:
                    parts += [text[done:start], match.expand(self.hidden)]
                    done = match.end()
                    break
        return "".join([*parts, text[done:]]) if parts else text

    def _places(self, lowered: str) -> list[int]:
        places = []
        for word in self.near:
            place = lowered.find(word)
            while place >= 0:
                places.append(place)
                place = lowered.find(word, place + 1)
        return sorted(places)


def _lowered(text: str) -> str:
    """Lower case, letter for letter: a few letters grow when they are lowered."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower()[0] for c in text)


_DATABASE_WORDS = ("postgres", "mysql", "mariadb", "mongodb", "redis", "amqp")
_KEY_WORDS = tuple(f"{a}{b}key" for a in ("api", "access") for b in ("", "_", "-"))
_NAME_WORDS = ("pass", "pwd", "secret", "token", *_KEY_WORDS)
_BEFORE_WORD = len("refresh_")


def _named(pattern: str, hidden: str) -> _Rule:
    compiled = re.compile(rf"(?<![A-Za-z0-9]){pattern}", re.IGNORECASE)
    return _Rule(near=_NAME_WORDS, reach=_BEFORE_WORD, pattern=compiled, hidden=hidden)


RULES: tuple[_Rule, ...] = (
    # A raw password may hold `/` or `@`; only database URLs are searched for that far.
    _Rule(
        near=_DATABASE_WORDS,
        pattern=re.compile(rf"({_DATABASES}{_SLASHES})[^{_URL_END}]{{1,256}}@", re.IGNORECASE),
        hidden=rf"\1{HIDDEN}@",
    ),
    _Rule(
        near=("://", ":\\/"),
        pattern=re.compile(rf"({_SLASHES})[^{_URL_END}/?#]{{1,256}}@"),
        hidden=rf"\1{HIDDEN}@",
    ),
    _Rule(
        near=("bearer", "basic"),
        pattern=re.compile(r"\b(bearer|basic)(\s{1,4})[A-Za-z0-9._~+/=-]{8,4096}", re.IGNORECASE),
        hidden=rf"\1\2{HIDDEN}",
    ),
    _Rule(
        near=("eyj",),
        pattern=re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_.-]{4,8192}"),
        hidden=HIDDEN,
    ),
    # "key": "value", up to the closing quote; a bare number gets quotes, so that JSON stays JSON.
    _named(
        rf"({_NAMES}\"\s{{0,3}}:\s{{0,3}}\")(?!\[redacted\]\")(?:[^\"\\]|\\.)++",
        rf"\1{HIDDEN}",
    ),
    _named(rf"({_NAMES}\"\s{{0,3}}:\s{{0,3}})-?[0-9][0-9.eE+-]*+", rf'\1"{HIDDEN}"'),
    # The same inside a JSON string, \"key\": \"value\", however often it was escaped.
    _named(
        rf"({_NAMES}(\\(?:\\\\){{0,3}}\")\s{{0,3}}:\s{{0,3}}\2)"
        rf"(?!\[redacted\]\\{{1,7}}\")(?:[^\"\\]|\\++(?!\"))++",
        rf"\1{HIDDEN}",
    ),
    _named(
        rf"({_NAMES}(\\(?:\\\\){{0,3}}\")\s{{0,3}}:\s{{0,3}})-?[0-9][0-9.eE+-]*+",
        rf"\1\2{HIDDEN}\2",
    ),
    # key=value, key: value, 'key': 'value'; a backslash is touched only as part of a quote.
    _named(
        rf"({_NAMES}'?\s{{0,3}}[=:](?:\s|\\[nrt]){{0,3}}(?:\\{{0,7}}[\"'])?)"
        rf"(?!\[redacted\]|:)[^\s\"'\\,;&<>{{}}\[\]()]{{1,1024}}",
        rf"\1{HIDDEN}",
    ),
)
_NEAR = [(word, near) for near in {rule.near for rule in RULES} for word in near]
PASSES = 8
"""One rule may uncover work for another; text of real programs is settled after the first."""


def redact(text: str) -> str:
    """The text without passwords, tokens and URL userinfo; applying it twice changes nothing."""
    for _ in range(PASSES):
        before, lowered = text, _lowered(text)
        near = {words for word, words in _NEAR if word in lowered}
        for rule in RULES:
            if rule.near not in near:
                continue
            shorter = rule.cut(text, lowered)
            if shorter is not text:
                text, lowered = shorter, _lowered(shorter)
        if text is before:
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
