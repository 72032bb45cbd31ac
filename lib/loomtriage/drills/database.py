"""Database: how does a drill reach the lab's database, as its owner, with bounds?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from loomtriage.errors import SourceUnavailable

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

Connection = psycopg.Connection[tuple[object, ...]]


@contextmanager
def owner_session(
    lab: LabState, *, name: str = "", lock_timeout_s: float = 2.0
) -> Iterator[Connection]:
    """One session in autocommit mode.

    Args:
        lab: the lab.
        name: what the server shows as the session's application name.
        lock_timeout_s: how long a statement waits for a lock.

    Raises:
        SourceUnavailable: the database does not answer, or a lock was not granted in time.
    """
    options = f"-c statement_timeout=5000 -c lock_timeout={int(lock_timeout_s * 1000)}"
    try:
        with psycopg.connect(
            lab.dsn, connect_timeout=3, autocommit=True, application_name=name, options=options
        ) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise SourceUnavailable(
            f"The lab's database on port {lab.ports['postgres']} did not answer: "
            f"{type(error).__name__}.",
            hint="Look at `loomtriage lab status`.",
        ) from error
