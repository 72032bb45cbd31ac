"""A real PostgreSQL with the lab's tables, shared by a file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.closeout.failed import replayer
from tests.lab.pipeline import database, skip_without_server


@pytest.fixture(scope="package")
def dsn() -> Iterator[str]:
    """The owner's DSN."""
    with skip_without_server(), database() as found:
        yield found


@pytest.fixture(scope="package")
def replayer_dsn(dsn: str) -> str:
    """The DSN of the role that may only replay."""
    return replayer(dsn)
