"""The tape records what was said, without secrets, and plays back nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from datetime import UTC, datetime

import pytest

from loomtriage.errors import BundleDamaged
from loomtriage.sources.tape import INDEX, Live, Playback, RawAnswer, Recording

WHEN = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
ANSWER = RawAnswer(body=b'{"a": 1}', fetched_at=WHEN, hint="so", caveats=("partial: 1 of 2",))


def never() -> RawAnswer:
    raise AssertionError("a played-back source was asked")


@pytest.fixture
def tape(tmp_path):
    """A folder with one answer and one failure on its tape."""
    recording = Recording(tmp_path / "tape")
    recording.fetch("good", lambda: ANSWER)
    recording.fetch(
        "gone", lambda: RawAnswer(fetched_at=WHEN, missing="timeout", hint="Restart it.")
    )
    return tmp_path / "tape"


def only(tape, ending="json"):
    """The first member of the tape."""
    return min(p for p in tape.iterdir() if p.name.endswith(f".{ending}.xz"))


def test_every_flipped_byte_is_refused(tape):
    """One changed byte in a member stops the play-back before anybody parses it."""
    member = only(tape)
    good = member.read_bytes()
    for place in range(len(good)):
        member.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(BundleDamaged) as caught:
            Playback(tape).fetch("good", never)
        assert member.name in caught.value.message
        assert hashlib.sha256(good).hexdigest() in caught.value.message
        assert hashlib.sha256(member.read_bytes()).hexdigest() in caught.value.message


@pytest.mark.parametrize(
    "file", ["../../secret", "/etc/passwd", "0001-abc.json", "0001-000000000000.ipynb", "", "x\x00"]
)
def test_index_cannot_point_elsewhere(tape, file):
    """A member has a hash name in the tape's own folder, or it is refused."""
    entry = {"key": "good", "file": file, "sha256": "0" * 64, "fetched_at": WHEN.isoformat()}
    (tape / INDEX).write_text(json.dumps(entry) + "\n")
    with pytest.raises(BundleDamaged):
        Playback(tape).fetch("good", never)


def test_link_in_place_of_a_member_is_refused(tape, tmp_path):
    """A symbolic link is no member, whatever it shows."""
    member = only(tape)
    (tmp_path / "elsewhere").write_bytes(member.read_bytes())
    member.unlink()
    member.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleDamaged):
        Playback(tape).fetch("good", never)


@pytest.mark.parametrize("text", ["{", "[]", "5", '{"file": "x"}', "[" * 100_000])
def test_broken_index_is_refused(tape, text):
    """An index that does not read is damage, with the line's number."""
    with (tape / INDEX).open("a") as index:
        index.write(text + "\n")
    with pytest.raises(BundleDamaged, match="line 3"):
        Playback(tape).fetch("good", never)


def test_unknown_question_is_not_recorded(tape, tmp_path):
    """What was never asked is missing, also on a tape that is not there."""
    assert Playback(tape).fetch("other", never).missing == "not_recorded"
    assert Playback(tmp_path / "nowhere").fetch("good", never).missing == "not_recorded"


def test_play_back_is_what_was_recorded(tape):
    """Body, time, hint and caveats come back; a failure comes back as the same failure."""
    assert Playback(tape).fetch("good", never) == ANSWER
    gone = Playback(tape).fetch("gone", never)
    assert (gone.missing, gone.hint, gone.fetched_at) == ("timeout", "Restart it.", WHEN)


def test_same_question_is_asked_once(tape):
    """A recording that goes on answers a known question from itself."""
    assert Recording(tape).fetch("good", never) == ANSWER
    Recording(tape).fetch("new", lambda: ANSWER)
    assert len((tape / INDEX).read_text().splitlines()) == 3


def test_files_are_private(tape):
    """Nobody else may read a recording, whatever the umask."""
    modes = {stat.S_IMODE(p.stat().st_mode) for p in tape.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(tape.stat().st_mode) == 0o700
    assert os.umask(os.umask(0o022)) is not None


def test_secrets_are_gone_before_hashing(tmp_path):
    """A password in body, hint or caveat reaches neither the files nor whoever asked."""
    secret = RawAnswer(
        body=b'{"db": "postgresql+psycopg://w:hunter2@h/d", "t": "Bearer abcdefgh12345678"}',
        hint="postgres://w:hunter2@h",
        caveats=("token=abcdefgh12345678",),
    )
    heard = Recording(tmp_path / "t").fetch("k", lambda: secret)
    written = b"".join(p.read_bytes() for p in (tmp_path / "t").iterdir())
    for text in (written, repr(heard).encode(), repr(Live().fetch("k", lambda: secret)).encode()):
        assert b"hunter2" not in text
        assert b"abcdefgh12345678" not in text
    assert json.loads(heard.body)["db"] == "postgresql+psycopg://[redacted]@h/d"
