"""A secret that the process knows reaches no artifact, however it is spelled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.sources.redact import HIDDEN
from loomtriage.sources.secret_forms import Secrets, password_of, secrets_in, without_userinfo
from loomtriage.sources.tape import RawAnswer
from tests.sources.canary import CANARY, ENCODINGS, PLACES, holds, is_json

KNOWN = Secrets((CANARY,))
CELLS = [(place, name) for place in PLACES for name in ENCODINGS]


def said(place, name):
    """What a source would say with the canary in it."""
    return PLACES[place].replace(b"%s", ENCODINGS[name](CANARY))


@pytest.mark.parametrize(("place", "name"), CELLS)
def test_no_place_and_no_encoding_gets_through(place, name):
    """After redaction nothing of the canary can be read, and JSON is JSON still."""
    raw = said(place, name)
    kept = RawAnswer(body=raw).redacted(KNOWN).body
    assert not holds(kept)
    assert is_json(kept) == is_json(raw)


@pytest.mark.parametrize(("place", "name"), CELLS)
def test_the_searcher_sees_it_without_redaction(place, name):
    """The negative control: the same bytes unredacted do hold the canary."""
    assert holds(said(place, name))


def test_hints_and_caveats_are_cut_too():
    """Words around an answer are artifacts like its body."""
    answer = RawAnswer(hint=f"as {CANARY}", caveats=(f"partial: {CANARY}",)).redacted(KNOWN)
    assert CANARY not in answer.hint
    assert CANARY not in answer.caveats[0]


@given(st.binary(max_size=400))
def test_other_bytes_stay(content):
    """What holds no secret comes back as it was."""
    assert KNOWN.cut(content) == content
    assert KNOWN.found(content) == ""


@given(st.text(min_size=8, max_size=40), st.sampled_from(sorted(ENCODINGS)))
def test_any_secret_is_cut(secret, name):
    """Not only the canary of these tests: the value itself is gone from every form."""
    form = ENCODINGS[name]
    try:
        written = form(secret)
    except UnicodeEncodeError:
        return
    if HIDDEN in secret:
        return
    assert written not in Secrets((secret,)).cut(written)


def test_secrets_come_from_names_and_addresses():
    """Variables that say so, and passwords inside URLs; short words and public names do not."""
    env = {
        "GRAFANA_TOKEN": "0123456789abcdef",
        "PGPASSWORD": "long enough",
        "OTHER_PASSWORD": "short",
        "PATH": "/usr/bin:/bin",
    }
    urls = ("postgresql://u:in%2Fside-it@h/d", "postgresql://wordloom:wordloom@h/wordloom")
    assert secrets_in(env, urls=urls).values == ("0123456789abcdef", "long enough", "in/side-it")
    assert password_of("not a url") == ""
    assert password_of("http://[broken") == ""


def test_secrets_do_not_show_themselves():
    """The value that carries them prints none."""
    assert CANARY not in repr(KNOWN)


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("http://u:p@h:9090/x@y", "http://h:9090/x@y"),
        ("http://h:9090", "http://h:9090"),
        ("", ""),
    ],
)
def test_an_address_without_its_user(url, bare):
    """What links and manifests show."""
    assert without_userinfo(url) == bare
