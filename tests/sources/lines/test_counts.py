"""Counting by pattern says what the exact reader says, in constant memory."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.sources.lines import counts as log_counts
from loomtriage.sources.lines.counts import Tally, counts
from loomtriage.sources.lines.reader import read_apart, read_lines
from loomtriage.sources.lines.runs import RowReader, value_of
from tests.sources.hostile import GOOD, hostile_file

START = datetime(2026, 2, 14, 14, tzinfo=UTC)
ONE_SECOND = Window(START, START + timedelta(seconds=1))


def exactly(data, by, *, window=None):
    reading, tally = read_lines(data, file="f"), Tally()
    tally.parsed, tally.parsed_bytes = len(reading.lines), reading.parsed_bytes
    inside = [line for line in reading.lines if window is None or line.ts in window]
    tally.per_value = Counter(value_of(line, by) for line in inside)
    for skip in reading.skipped:
        tally.skipped[skip.kind] += skip.end - skip.start
        tally.skipped_lines[skip.kind] += skip.lines
    return tally


def counted(path, by="reason", **more):
    return counts(path, by, **more).tallies[path.name]


@pytest.fixture
def small_pieces(monkeypatch):
    """A file is read in pieces and parts of a few lines, so that a small one has every seam."""

    def cut(piece, parts):
        monkeypatch.setattr(log_counts, "PIECE_BYTES", piece)
        monkeypatch.setattr(log_counts, "EXACT_PIECE_BYTES", 1 << 20)
        monkeypatch.setattr(log_counts, "part_count", lambda size: parts)
        monkeypatch.setattr(log_counts, "in_parts", lambda work, parts: [work(*p) for p in parts])

    return cut


@pytest.mark.parametrize("block", range(8))
def test_fast_is_exact_on_hostile_files(tmp_path, small_pieces, block):
    """Of generated hostile files every count, byte and class is that of the exact reader."""
    path, chance = tmp_path / "f.log", random.Random(block)
    start = datetime(2026, 2, 14, 14, 0, 20, 500_000, tzinfo=UTC)
    for seed in range(block * 150, block * 150 + 150):
        data = hostile_file(seed)
        path.write_bytes(data)
        small_pieces(chance.choice([64, 200, 1000, 1 << 20]), chance.choice([1, 2, 3]))
        by = chance.choice(["reason", "reason", "n", "level", "message"])
        window = chance.choice([None, Window(start, start + timedelta(seconds=20))])
        found = counted(path, by, window=window)
        assert found == exactly(data, by, window=window), seed
        assert found.parsed_bytes + sum(found.skipped.values()) == len(data)


DEEP = "[" * 64 + "]" * 64
TWISTED = {
    "no such day": '{"ts": "2026-02-30T14:00:00Z"}',
    "no time zone": '{"ts": "2026-02-14T14:00:00"}',
    "leading zero": '{"ts": "2026-02-14T14:00:00Z", "a": 01}',
    "no escape": '{"ts": "2026-02-14T14:00:00Z", "a": "\\x"}',
    "nan": '{"ts": "2026-02-14T14:00:00Z", "a": NaN}',
    "first time is none": '{"ts": "x", "ts": "2026-02-14T14:00:00Z"}',
    "control character": '{"ts": "2026-02-14T14:00:00Z", "a": "\t"}',
    "lone surrogate": '{"ts": "2026-02-14T14:00:00Z", "a": "\\ud800"}',
    "too deep": '{"ts": "2026-02-14T14:00:00Z", "a": ' + DEEP + "}",
    "too long a number": '{"ts": "2026-02-14T14:00:00Z", "a": ' + "9" * 5000 + "}",
    "blank behind": '{"ts": "2026-02-14T14:00:00Z"} ',
    "byte order mark": '\ufeff{"ts": "2026-02-14T14:00:00Z"}',
    "two in one": '{"ts": "2026-02-14T14:00:00Z"}{"ts": "2026-02-14T14:00:00Z"}',
    "truth": '{"ts": "2026-02-14T14:00:00Z", "reason": true}',
    "fraction": '{"ts": "2026-02-14T14:00:00Z", "reason": 1.0}',
    "list": '{"ts": "2026-02-14T14:00:00Z", "reason": [1]}',
    "secret": '{"ts": "2026-02-14T14:00:00Z", "reason": "token=abc"}',
    "quote": '{"ts": "2026-02-14T14:00:00Z", "reason": "a\\"b"}',
}


@pytest.mark.parametrize("text", TWISTED.values(), ids=TWISTED.keys())
def test_decoder_leaves_doubt_to_the_reader(text):
    """What the decoder and the exact reader may see differently is left; a good line is not."""
    body = "\n".join([text, GOOD % (1, 2, 3, 4), ""]).encode()
    doubtful, decoded = RowReader("reason").judge(body).rows
    assert doubtful is None
    assert decoded.value == "r3"


@pytest.mark.parametrize(
    "text",
    [
        '{"ts": "2026-02-14t14:00:00z", "reason": "a"}',
        '{"ts": "2026-02-14 14:00:00+08:00", "reason": null}\r',
        '{"a": {"reason": "x"}, "ts": "2026-02-14T14:00:00Z", "reason": "a", "reason": "b"}',
        '{"re\\u0061son": -0, "ts": "x", "ts": "2026-02-14T14:00:00Z"}',
        '{"ts": "2026-02-14T14:00:00Z", "reason": 18446744073709551616, "a": "\\ud83d\\ude00"}',
        '{"ts": "2026-02-14T14:00:00Z", "reason": "caf\\u00e9 \\/", "a": 1e999}',
        '{"ts": "2026-02-14T13:59:59.9999999Z", "reason": "a"}',
        '{"ts": "2026-02-14T14:00:00.9999999Z", "reason": "a"}',
    ],
)
@pytest.mark.parametrize("window", [None, ONE_SECOND])
def test_what_is_decoded_is_counted_as_read(tmp_path, text, window):
    """Odd but good lines come to the same count, at an edge of the window too."""
    path = tmp_path / "f.log"
    path.write_text("\n".join([text, GOOD % (1, 2, 3, 4), ""]), newline="")
    assert counted(path, window=window) == exactly(path.read_bytes(), "reason", window=window)


def test_long_things_between_lines(tmp_path, small_pieces):
    """An endless line, a long traceback and a wrapped object keep their class."""
    small_pieces(100_000, 1)
    good = GOOD % (1, 2, 3, 4)
    wide = json.dumps({"ts": "2026-02-14T14:00:00Z", "reason": "wide", "x": "y" * 50_000})
    wrapped = "\n".join(re.findall(".{1,79}", wide))
    trace = "Traceback (most recent call last):\n" + "  File\n" * 50_000 + "E: x\n"
    data = (
        f"{good}\n{trace}{good}\n{'z' * 5_000_000}\n{wrapped}\n{good}\n{'{' * 2_000_000}".encode()
    )
    path = tmp_path / "f.log"
    path.write_bytes(data)
    assert counted(path) == exactly(data, "reason")
    assert counted(path).per_value == {"r3": 3, "wide": 1}


def test_answer_is_a_small_table(tmp_path):
    """Counts come most first, skipped bytes by class; a file that cannot be read is named."""
    path = tmp_path / "f.log"
    path.write_text("\n".join([GOOD % (1, 1, 1, 1), GOOD % (2, 2, 2, 2), GOOD % (3, 3, 2, 3), "x"]))
    answer = counts([path, tmp_path / "gone.log"])
    assert answer.table().to_numpy().tolist() == [["r2", 2], ["r1", 1]]
    assert answer.skipped().to_numpy().tolist() == [["f.log", "plain", 1, 1]]
    assert list(answer.unread) == ["gone.log"]


def test_too_many_values_are_refused(tmp_path, monkeypatch):
    """A key that has another value on every line is refused, not gathered in memory."""
    monkeypatch.setattr(log_counts, "MAX_VALUES", 10)
    path = tmp_path / "f.log"
    path.write_text("\n".join(GOOD % (1, 1, 1, n) for n in range(20)))
    with pytest.raises(UsageError, match="more than 10 values"):
        counts(path, "n")
    with pytest.raises(UsageError, match="by their time"):
        counts(path, "ts")


def test_texts_read_apart_have_nothing_to_do_with_each_other():
    """A traceback, a cut object and a wrapped one end with their text, whatever follows it."""
    good = json.dumps({"ts": "2026-02-14T14:00:00Z", "reason": "x" * 80})
    trace = "Traceback (most recent call last):\n  File\n"
    texts = [trace, "plain\n", f"{good[:70]}\n", f"{good[70:]}\n", f"{good}\n", good[:50]]
    data = [text.encode() for text in texts]
    apart, whole = read_apart(data, head=data[0]), read_lines(b"".join(data), file="")
    assert [s.kind for s in apart.skipped] == [
        "traceback",
        "plain",
        "broken_json",
        "plain",
        "truncated",
    ]
    assert (len(apart.lines), apart.parsed_bytes) == (1, len(good) + 1)
    assert apart.parsed_bytes + apart.skipped_bytes == apart.size == whole.size
    # Negative control: as one text they are something else.
    assert [skip.kind for skip in whole.skipped] == ["traceback", "truncated"]
    assert len(whole.lines) == 2
