"""DSN: can this text be one, and which server does it name? Nothing else of it is ever told."""

from __future__ import annotations

import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from loomtriage.errors import UsageError

_DRIVER = re.compile(r"^(postgres(?:ql)?)\+[a-z0-9]+://")
_HINT = (
    "Write postgresql://ROLE:PASSWORD@HOST:5432/NAME; other characters of a password than "
    "letters and digits as %XX."
)


def read_dsn(text: str, *, name: str = "The DSN") -> str:
    """The DSN as the driver takes it, an SQLAlchemy driver name left out.

    A password with `/`, `@` or `:` in it splits in the wrong place, and parts of it would be
    shown as a host or a port; so such a text is refused before anybody connects.

    Args:
        name: where it stands, for the message.

    Raises:
        UsageError: it is none; its text is not quoted.
    """
    dsn = _DRIVER.sub(r"\1://", text.strip())
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise UsageError(f"{name} cannot be read as a DSN.", hint=_HINT) from None
    ports = str(parts.get("port") or "5432").split(",")
    if not all(port == "" or (port.isdecimal() and int(port) < 65536) for port in ports):
        raise UsageError(f"{name} has something else than a number as its port.", hint=_HINT)
    if any("@" in str(parts.get(part) or "") for part in ("host", "dbname")):
        raise UsageError(f"{name} has an @ in its host or database.", hint=_HINT)
    return dsn


def server_of(dsn: str) -> str:
    """Host and port of a DSN that `read_dsn` took.

    A DSN that names no host leaves it to a service file, to PGHOST, or to the local socket.
    """
    parts = conninfo_to_dict(dsn)
    host = parts.get("host") or parts.get("hostaddr")
    return f"{host}:{parts.get('port') or '5432'}" if host else "the server of your environment"
