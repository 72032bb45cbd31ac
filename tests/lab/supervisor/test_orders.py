"""An order is understood whole, or refused before anything changes."""

from __future__ import annotations

import json

import pytest

from loomtriage.errors import UsageError
from loomtriage.lab.supervisor.orders import Order, read_order


def test_an_order_is_read():
    """A line holds what is to be done, to whom, and with which variables."""
    line = json.dumps({"do": "restart", "service": "worker", "env": {"LOG_LEVEL": "DEBUG"}})
    assert read_order(line.encode()) == Order(
        do="restart", service="worker", env={"LOG_LEVEL": "DEBUG"}
    )
    assert read_order(b'{"do": "reset"}') == Order(do="reset", service="", env={})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b"[" * 100_000,
        b'{"do": "explode"}',
        b'{"do": ["start"]}',
        b'{"do": "start", "service": 1}',
        b'{"do": "start", "env": []}',
        b'{"do": "start", "env": {"path": "x"}}',
        b'{"do": "start", "env": {"A=B": "x"}}',
        b'{"do": "start", "env": {"A": 1}}',
        b'{"do": "start", "env": {"A": "\\u0000"}}',
    ],
)
def test_what_is_no_order_is_refused(line):
    """A line that is damaged, of another shape or with a strange variable is a usage error."""
    with pytest.raises(UsageError):
        read_order(line)
