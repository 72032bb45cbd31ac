"""The log reader accounts for every byte, invents nothing and survives everything."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.model import Window
from loomtriage.sources.lines import reader as lines_module
from loomtriage.sources.lines.reader import read_lines

GOOD = '{"ts": "2026-02-14T14:00:00.5+00:00", "level": "INFO", "event": "e", "n": 1}'
TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    main()
ConnectionError: first

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "x.py", line 2, in <module>
RuntimeError: second
"""


def read(data, **more):
    reading = read_lines(data if isinstance(data, bytes) else data.encode(), file="f", **more)
    assert reading.parsed_bytes + reading.skipped_bytes == reading.size
    return reading


def kinds(data):
    return [(skip.kind, skip.line) for skip in read(data).skipped]


ODD = {
    "blank": "\n",
    "zero_bytes": "\x00" * 40 + "\n",
    "plain": "[OK] Database: up\n",
    "traceback": TRACEBACK,
    "broken_json": '{"ts": nonsense}\n',
    "bad_number": '{"ts": ' + "9" * 5000 + "}\n",
    "too_deep": '{"a": ' * 100_000 + "\n",
    "no_time": '{"event": "e"}\n',
    "naive_time": '{"ts": "2026-02-14T14:00:00"}\n',
    "bad_time": '{"ts": "yesterday"}\n',
    "oversize": '{"ts": "' + "x" * 1_100_000 + '"}\n',
}


@pytest.mark.parametrize("kind", ODD)
def test_oddity_is_skipped_with_its_class(kind):
    """Each oddity between two good lines costs neither of them, and has class and line number."""
    data = f"{GOOD}\n{ODD[kind]}{GOOD}\n"
    reading = read(data)
    assert [(s.kind, s.line) for s in reading.skipped] == [(kind, 2)]
    assert len(reading.lines) == 2
    skip = reading.skipped[0]
    assert data.encode()[skip.start : skip.end] == ODD[kind].encode()


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z", 17, [], {}],
)
def test_impossible_time_is_bad_time(time):
    """A time outside the calendar, or of another type, is skipped."""
    assert kinds(json.dumps({"ts": time})) == [("bad_time", 1)]


def test_truncated_last_line_is_told_from_broken():
    """Only the last line, without its newline, can be called truncated."""
    assert kinds(GOOD[:30]) == [("truncated", 1)]
    assert kinds(GOOD[:30] + "\n" + GOOD) == [("broken_json", 1)]


def test_traceback_says_how_it_ended():
    """A raw traceback is one skip that names the last exception, chained ones included."""
    (skip,) = read(TRACEBACK).skipped
    assert (skip.kind, skip.says, skip.lines) == ("traceback", "RuntimeError: second", 10)


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        (GOOD.replace('"n": 1', '"n": NaN'), "nan"),
        (GOOD.replace('"n": 1', '"n": -Infinity'), "nan"),
        (GOOD.replace('"n": 1', '"n": 1, "n": 2'), "duplicate_keys"),
        ("\x1b[32m" + GOOD + "\x1b[0m", "ansi"),
        (GOOD.replace('"n": 1', '"n": "\\ud800"'), "surrogate"),
        (GOOD.replace('"e"', '"\udcff"'), "undecodable"),
    ],
)
def test_odd_but_whole_line_is_kept_and_flagged(text, flag):
    """A line that can be read is kept; its oddity is counted."""
    reading = read(text.encode("utf-8", "surrogateescape"))
    assert (len(reading.lines), reading.flags) == (1, {flag: 1})


def test_nan_is_never_a_number():
    """NaN and Infinity stay text, so that nobody calculates with them."""
    (line,) = read(GOOD.replace('"n": 1', '"n": NaN')).lines
    assert line.fields == {"n": "NaN"}


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [0, 79])
def test_encodings_and_hard_wraps(codec, end, width):
    """Objects come back whole from wrapped two-byte text with and without a byte order mark."""
    records = [{"ts": "2026-02-14T14:00:00Z", "message": "ü€" * n, "n": n} for n in range(30)]
    whole = [json.dumps(record, ensure_ascii=False) for record in records]
    pieces = (
        [one[at : at + width] for one in whole for at in range(0, len(one), width)]
        if width
        else whole
    )
    reading = read("".join(piece + end for piece in pieces).encode(codec))
    assert [(line.message, line.fields["n"]) for line in reading.lines] == [
        (record["message"], record["n"]) for record in records
    ]
    assert reading.skipped == ()


def test_nothing_is_joined_across_a_cut_line():
    """A line that was cut off never grows together with what follows it."""
    cut = '{"ts": "2026-02-14T14:00:00Z", "message": "this line was cut'
    reading = read(f'{cut}\nplain text\n", "x": 1}}\n{GOOD}\n')
    assert [line.event for line in reading.lines] == ["e"]


def test_secret_is_cut_before_hashing():
    """Text and hash of a line are those of the redacted line."""
    leaky = GOOD.replace('"n": 1', '"db": "postgresql+psycopg://w:hunter2@h/d"')
    (line,) = read(leaky).lines
    assert "hunter2" not in repr(line)
    assert line.fields["db"] == "postgresql+psycopg://[redacted]@h/d"


def test_window_keeps_lines_not_the_account():
    """Lines outside the window are left out, and still count as parsed."""
    start = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
    texts = [GOOD.replace("00.5", f"0{n}.0") for n in range(5)]
    reading = read(
        "\n".join(texts), window=Window(start + timedelta(seconds=1), start + timedelta(seconds=3))
    )
    assert [line.line for line in reading.lines] == [2, 3]
    assert (reading.first, reading.last) == (start, start + timedelta(seconds=4))
    assert reading.skipped == ()


def test_too_many_lines_are_not_read(monkeypatch):
    """Beyond the cap on lines the rest is one skip."""
    monkeypatch.setattr(lines_module, "MAX_LINES", 3)
    assert [s.kind for s in read(f"{GOOD}\n" * 5).skipped] == ["not_read"]
    assert len(read(f"{GOOD}\n" * 3).lines) == 3


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pump",
    [
        '{"\n',
        "{" + "x" * 78 + "\n",
        "{" * 79 + "\n",
        '{"a": "' + "}" * 72 + "\n",
        "\n",
        "[{",
        "Traceback (most recent call last)\n",
        "Traceback (most recent call last)\nA: " + "x" * 70 + "\n",
        "\x1b[",
        "\\",
        '"',
        "\x00\n",
    ],
)
def test_hostile_file_is_read_in_linear_time(pump):
    """Very many of the worst repeats end, with every byte accounted for."""
    read(pump * (100_000 // len(pump)))


PIECES = st.sampled_from(
    [
        *list(ODD.values())[:5],
        GOOD,
        "\n",
        "\r\n",
        "{",
        "}",
        '"',
        "\\",
        "\x00",
        "\x1b[3",
        "\ufeff",
        "é",
        TRACEBACK,
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), PIECES.map(str.encode)), max_size=25))
def test_any_file_is_accounted_for(pieces):
    """Whatever bytes a file holds: no crash, all accounted for, skips do not overlap."""
    data = b"".join(pieces)
    reading = read(data)
    ends = 0
    for skip in reading.skipped:
        assert ends <= skip.start < skip.end
        assert skip.line >= 1
        ends = skip.end
    assert reading.size == len(data)


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=15), st.sampled_from(["utf-16", "utf-16-le", "utf-16-be"]))
def test_any_two_byte_file_is_accounted_for(pieces, codec):
    """The same for text of two bytes a character, cut anywhere."""
    data = "".join(pieces).encode(codec)
    read(data)
    read(data[:-1])


@pytest.mark.parametrize(("levels", "kind"), [(63, []), (64, ["too_deep"])])
def test_depth_is_seen_behind_much_text(levels, kind):
    """One level too many is refused wherever it begins; brackets inside text are no levels."""
    much = '"' + "[{" * 5_000 + '\\""'
    text = GOOD.replace('"n": 1', f'"a": {much}, "n": ' + "[" * levels + "]" * levels)
    assert [skip.kind for skip in read(text).skipped] == kind
