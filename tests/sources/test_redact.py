"""Redaction cuts secrets out, leaves everything else, and cannot be stalled."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.sources.redact import PASSES, RULES, redact, redact_bytes, safe

SECRET = "S3cr3t-Pa55"


@pytest.mark.parametrize(
    "text",
    [
        f"[OK] Database: postgresql+psycopg://wordloom:{SECRET}@localhost:5435/wordloom_test",
        f"postgres://w:a/b@{SECRET}@h/d",
        f"http://bob:{SECRET}@h:9090/api?q=1",
        f"https:\\/\\/bob:{SECRET}@h\\/x",
        f"Authorization: Bearer {SECRET}",
        f"authorization: basic {SECRET}=",
        f'{{"password": "{SECRET}"}}',
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f"host=h password={SECRET} dbname=d",
        f"PGPASSWORD={SECRET} psql",
        f"POSTGRES_PASSWORD={SECRET}",
        f'{{"SEARCH_API_TOKEN": "{SECRET}"}}',
        f"/x?token={SECRET}&a=1",
        f"api_key: '{SECRET}'",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}",
    ],
)
def test_secret_is_gone(text):
    """Every usual way to write a secret is cut."""
    assert SECRET not in redact(text)
    assert SECRET.encode() not in redact_bytes(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:9200/wordloom-test-search-index/_doc/tag:1aa8",
        "GET /x?mail=a@example.com",
        'outbox_failed_total{op="upsert",reason="none"} 1.0',
        "the token bucket is empty; the key is missing; basic auth is off",
        '{"key": "value", "trace_id": "892b66de38d74835df996fb24e6b5a9a"}',
    ],
)
def test_evidence_stays(text):
    """What is no secret comes back unchanged."""
    assert redact(text) == text


@given(st.text() | st.from_regex(r'("password": "|://|bearer |token=|@|\\|/){1,12}[a-z"]{0,9}'))
def test_twice_is_once(text):
    """Redacting what is redacted changes nothing, so live and played-back text agree."""
    assert redact(redact(text)) == redact(text)


@given(st.dictionaries(st.sampled_from(["password", "token", "url", "a"]), st.text(), max_size=3))
def test_json_stays_json(record):
    """A redacted JSON document still parses, with the same keys."""
    assert set(json.loads(redact(json.dumps(record)))) == set(record)


def test_bytes_that_are_no_text_stay():
    """A body that is no UTF-8 keeps every byte but the secret's."""
    body = bytes(range(256)) + b"://u:" + SECRET.encode() + b"@h" + bytes(range(256))
    assert redact_bytes(body) == bytes(range(256)) + b"://[redacted]@h" + bytes(range(256))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "pump",
    [
        "://",
        "postgres://",
        "a@",
        "password",
        "password=",
        "bearer ",
        "eyJ",
        '\\"',
        "://a",
        "token:",
    ],
)
def test_hostile_line_cannot_stall(pump):
    """Half a megabyte of anything is read in a moment, not in an hour."""
    assert redact(pump * (500_000 // len(pump)))


def test_message_text_is_one_safe_line():
    """Foreign text in a message has no controls, no secrets and a limit."""
    shown = safe(f"<b>\x1b[31m\n\x00 \u202e postgres://u:{SECRET}@h" + "x" * 999)
    assert len(shown) <= 80
    assert shown.isprintable()
    assert SECRET not in shown


@pytest.mark.parametrize(
    "record",
    [
        {"password": "a,b;c<d>"},
        {"password": f'quoted " and \\ {SECRET}'},
        {"auth_token": 4711},
        {"message": f"password:\n{SECRET}"},
        {"message": json.dumps({"token": 4711, "password": f"x{SECRET}, y"})},
        {"message": json.dumps({"m": json.dumps({"password": f"\\{SECRET}"})})},
        {"password\\": 0, "token": "=:"},
    ],
)
def test_member_is_cut_whole_and_json_stays(record):
    """The whole value of a secret member goes, numbers too, however often it was escaped."""
    text = json.dumps(record)
    assert SECRET not in redact(text)
    assert "4711" not in redact(text)
    assert list(json.loads(redact(text))) == list(record)
    assert redact(redact(text)) == redact(text)


WORDS = st.sampled_from(
    [*"=:\"\\\n\t ',{}x5é", "password", "token", "://", "@", "bearer ", "[redacted]", "\ud800"]
)
TEXTS = st.lists(WORDS, max_size=14).map("".join)


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=4), st.integers(0, 2))
def test_hostile_json_stays_json(record, times):
    """Whatever quotes and escapes stand around a secret, the document still parses."""
    text = json.dumps(record)
    for _ in range(times):
        text = json.dumps({"message": text})
    assert json.loads(redact(text)) is not None


@given(
    st.text()
    | st.from_regex(
        r'(PG_?|[a-zİ]|api[-_]?|refresh_)?(("?(pass(word)?|token|secret|key)[\\]{0,3}"?\s?[=:]\s?["\']?)'
        r'|postgres://|http://|bearer |eyJhbGciOi.|@|\\|/|[a-z"0-9,]){1,14}'
    )
)
def test_looking_near_words_finds_what_looking_everywhere_finds(text):
    """The short cut is one: each rule tried at every letter gives the same."""
    slow = text
    for _ in range(PASSES):
        for rule in RULES:
            slow = rule.pattern.sub(rule.hidden, slow)
    assert redact(text) == slow
