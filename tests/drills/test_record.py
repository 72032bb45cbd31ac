"""Reading a fault journal's bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.drills.record import POINTS, Position, Record, Step, _hash, parse, parse_point
from loomtriage.errors import UsageError

STEPS = (Step.LOCK, Step.PREFLIGHT, Step.INTENT, Step.APPLIED, Step.REVERTED, Step.CLOSE)
AT = "2026-03-01T12:00:00.000Z"


def lines(*steps: Step, lab_id: str = "a1", detail: object = "é") -> list[bytes]:
    """The lines of a good journal."""
    found: list[bytes] = []
    before: Record | None = None
    for seq, step in enumerate(steps, start=1):
        before = Record(
            seq=seq,
            at=AT,
            step=step,
            lab_id=lab_id,
            detail={"x": detail, "n": [1, 2.5, None, True]},
            prev=before.sha if before else "",
        )
        found.append(before.line())
    return found


WHOLE = b"".join(lines(*STEPS))


def test_points_are_the_24_places_where_a_runner_may_die():
    """There is a point before and after each of the 11 steps, and one in the middle of two."""
    assert len(POINTS) == 24
    assert {str(p) for p in POINTS if p.position is Position.MID} == {"applied:mid", "reverted:mid"}
    assert all(parse_point(str(point)) == point for point in POINTS)
    with pytest.raises(UsageError, match="no journal point 'lock:mid'"):
        parse_point("lock:mid")


def test_cut_anywhere_loses_the_last_line_and_nothing_else():
    """A journal cut at any byte reads as its whole lines.

    It is open from its first whole line until `close` is whole.
    """
    ends = [0]
    for line in lines(*STEPS):
        ends.append(ends[-1] + len(line))
    good = parse(WHOLE).records
    for cut in range(len(WHOLE)):
        contents = parse(WHOLE[:cut])
        whole = sum(end <= cut for end in ends) - 1
        assert contents.records == good[:whole]
        assert contents.torn is (cut not in ends)
        assert contents.damage == ""
        assert contents.good_bytes == ends[whole]
        assert contents.is_open is (whole > 0)


def test_every_flipped_bit_is_seen():
    """One bit changed anywhere never changes what is read: the journal counts as open."""
    good = parse(WHOLE).records
    for place in range(len(WHOLE)):
        for bit in range(8):
            changed = bytearray(WHOLE)
            changed[place] ^= 1 << bit
            contents = parse(bytes(changed))
            assert contents.is_open
            assert contents.torn or contents.damage
            assert contents.records == good[: len(contents.records)]
            assert len(contents.records) < len(good)


@pytest.mark.parametrize(
    ("what", "data", "why"),
    [
        ("rubbish", b"\x00" * 40 + b"\n", "a damaged line at byte 0"),
        ("no JSON object", b"[1]\n", "a damaged line at byte 0"),
        ("deep nesting", b"[" * 5000 + b"\n", "a damaged line at byte 0"),
        ("lines swapped", b"".join(reversed(lines(Step.LOCK, Step.INTENT))), "does not follow"),
        ("line missing", lines(*STEPS)[0] + lines(*STEPS)[2], "does not follow"),
        ("line twice", lines(Step.LOCK)[0] * 2, "does not follow"),
        (
            "another lab's line",
            lines(Step.LOCK)[0] + lines(Step.LOCK, Step.INTENT, lab_id="b2")[1],
            "does not follow",
        ),
        ("a line after close", b"".join(lines(Step.LOCK, Step.CLOSE, Step.INTENT)), "not follow"),
        ("no lock first", lines(Step.INTENT)[0], "does not follow"),
    ],
)
def test_damage_is_named_with_its_byte(what, data, why):
    """What is no journal is refused with a reason and the byte where trust ends."""
    contents = parse(data)
    assert why in contents.damage
    assert contents.damage.endswith(f"at byte {contents.good_bytes}")
    assert contents.is_open


def test_journal_of_a_newer_version_is_not_guessed_at():
    """A line of a later schema is named as that, not read half."""
    newer = lines(Step.LOCK)[0].replace(b'"schema":1', b'"schema":2')
    body, _, _ = newer.partition(b',"sha"')
    step = newer[newer.index(b',"step"') : -2]
    unsigned = body + step + b"}"
    sha = _hash(unsigned).encode()
    contents = parse(body + b',"sha":"' + sha + b'"' + step + b"}\n")
    assert contents.damage == "a line of journal schema 2 at byte 0"


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_reader_fall_over(data):
    """Any bytes are read without an exception, and a line of them never as a finished drill."""
    assert parse(data).is_open is (b"\n" in data)
