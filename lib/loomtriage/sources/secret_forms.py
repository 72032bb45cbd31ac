"""In which forms may a secret that we know stand in bytes, and how is it cut out of them?

Patterns (`redact`) find what looks like a secret; this finds the very secrets that this process
was given, however a log line, a URL or a document spells them.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote, urlsplit

from loomtriage.sources.redact import HIDDEN

SHORTEST = 8
"""Characters below which a value is too common a word to be searched for."""

_SECRET_NAME = re.compile(
    r"PASS(WORD|WD)?$|PWD$|TOKEN$|SECRET|API_?KEY$|ACCESS_?KEY", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Values that must not reach an artifact.

    Attributes:
        values: the secrets in the clear; never shown (`repr` leaves them out).
    """

    values: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.values)

    def found(self, content: bytes) -> str:
        """Name of the form in which some secret stands in these bytes, empty when in none."""
        return next((form for form, pattern in self._near(content) if pattern.search(content)), "")

    def cut(self, content: bytes) -> bytes:
        """The bytes with every secret in every form replaced; JSON stays JSON."""
        for form, pattern in self._near(content):
            hidden = HIDDEN.encode(form) if form.startswith("utf-16") else HIDDEN.encode()
            content = pattern.sub(hidden, content)
        return content

    def _near(self, content: bytes) -> Iterator[tuple[str, re.Pattern[bytes]]]:
        """The forms that these bytes may hold: a plain search says so far sooner than a pattern."""
        lowered = content.lower()
        for value in self.values:
            for form, written in forms(value):
                part = max(written.split(b"\\"), key=len)
                if part.lower() not in lowered:
                    continue
                # Each text inside a text doubles the backslashes of the one before.
                pattern = re.escape(written).replace(rb"\\", rb"\\+")
                yield form, re.compile(pattern, re.IGNORECASE if form in _ANY_CASE else re.NOFLAG)


_ANY_CASE = frozenset({"percent", "percent, twice", "every byte percent", "hex", "json \\u"})


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every form in which one secret is searched for, the plainest first."""
    raw, escaped = value.encode(), quote(value, safe="")
    every = "".join(f"%{byte:02x}" for byte in raw)
    spelled = {
        "plain": (value, json.dumps(value)[1:-1], html.escape(value)),
        "percent": (escaped, quote(value), quote_plus(value)),
        "percent, twice": (quote(escaped, safe=""), quote(every, safe="")),
        "every byte percent": (every,),
        "hex": (raw.hex(), raw.hex(" "), raw.hex(":"), "".join(f"\\x{byte:02x}" for byte in raw)),
        "json \\u": ("".join(f"\\u{ord(letter):04x}" for letter in value),),
        "html decimal": ("".join(f"&#{ord(letter)};" for letter in value),),
        "html hex": ("".join(f"&#x{ord(letter):x};" for letter in value),),
        "base64": tuple(_inside_base64(raw)),
    }
    for name, texts in spelled.items():
        for text in dict.fromkeys(texts):
            yield name, text.encode()
    for text in _inside_base64(raw):
        yield "base64, url", text.translate(str.maketrans("+/", "-_")).encode()
    for codec in ("utf-16-le", "utf-16-be"):
        yield codec, value.encode(codec)


def _inside_base64(raw: bytes) -> Iterator[str]:
    """What the base64 of any text around the secret must hold, for each of three alignments."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        whole = (before + len(raw)) // 3 * 4
        # Letters that also depend on the neighbours say nothing of the secret.
        yield text[(before * 8 + 5) // 6 : whole]


def password_of(url: str) -> str:
    """The password in a URL or DSN when it is worth searching for, else empty.

    One that is also the user's, the host's or the database's name is an ordinary word of the
    evidence; the pattern for DSNs still cuts it where it is a password.
    """
    try:
        parts = urlsplit(url)
        password = unquote(parts.password or "")
        words = {parts.username, parts.hostname, parts.path.strip("/")}
    except ValueError:
        return ""
    return "" if password in words else password


def without_userinfo(url: str) -> str:
    """The address alone, for links and manifests."""
    scheme, slashes, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"


def secrets_in(env: Mapping[str, str], *, urls: Iterable[str] = ()) -> Secrets:
    """The secrets that an environment names as such, and those inside URLs."""
    named = (value for name, value in env.items() if _SECRET_NAME.search(name))
    inside = (password_of(url) for url in urls)
    return Secrets(tuple(dict.fromkeys(v for v in (*named, *inside) if len(v) >= SHORTEST)))
