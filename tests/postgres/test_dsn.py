"""A DSN is checked before anybody connects, and only its server is ever named."""

from __future__ import annotations

import pytest

from loomtriage.errors import UsageError
from loomtriage.postgres.dsn import read_dsn, server_of


@pytest.mark.parametrize(
    ("text", "server"),
    [
        (" postgresql+psycopg://u:p%40ss@db.example:5433/d ", "db.example:5433"),
        ("host=db dbname=d password='a@b'", "db:5432"),
        ("postgresql://u@[::1]/d", "::1:5432"),
        ("hostaddr=192.0.2.7 port=6432 dbname=d", "192.0.2.7:6432"),
        ("postgresql:///d", "the server of your environment"),
        ("service=wordloom", "the server of your environment"),
    ],
)
def test_a_dsn_is_taken_in_each_of_its_forms(text, server):
    """URL with or without a driver, and pairs; a password that is quoted may hold anything."""
    assert server_of(read_dsn(text)) == server


@pytest.mark.parametrize("text", ["nonsense", "postgres://u:hunter2@[", "host=h port=70000"])
def test_what_is_no_dsn_is_refused_without_a_quote(text):
    """The message says where it stands, and nothing of what stands there."""
    with pytest.raises(UsageError) as refused:
        read_dsn(text, name="THAT_URL")
    assert "THAT_URL" in str(refused.value)
    assert text not in str(refused.value)
