"""Hostile files, ten thousand in the soak: every byte is accounted for, and nothing stalls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from loomtriage.model import Window
from loomtriage.sources.lines.reader import Skip, read_lines
from tests.sources.hostile import GOOD, hostile_file

CLASSES = set(str(Skip.__doc__).split("`")[5::2])


SOAK = (pytest.param(block, marks=pytest.mark.soak) for block in range(2, 10))


@pytest.mark.parametrize("block", [0, 1, *SOAK])
def test_every_byte_of_hostile_files_has_its_place(block):
    """No crash; parsed and skipped bytes make the size; skips have line, range and class."""
    for seed in range(block * 1000, block * 1000 + 1000):
        data = hostile_file(seed, pieces=6)
        reading = read_lines(data, file="f")
        assert reading.parsed_bytes + reading.skipped_bytes == len(data), seed
        end = 0
        for skip in reading.skipped:
            assert end <= skip.start < skip.end <= len(data), seed
            assert skip.kind in CLASSES, skip.kind
            assert skip.line >= 1
            assert skip.lines >= 1
            end = skip.end


def test_line_of_twenty_megabytes():
    """It is skipped as oversize; its neighbours are read."""
    good = GOOD % (1, 2, 3, 4)
    reading = read_lines(f"{good}\n{'{' * 20_000_000}\n{good}\n".encode(), file="f")
    assert [(skip.kind, skip.line) for skip in reading.skipped] == [("oversize", 2)]
    assert [line.line for line in reading.lines] == [1, 3]


def test_line_that_never_ends():
    """A file without a newline is one oversize skip."""
    reading = read_lines(b'{"ts": "' + b"x" * 3_000_000, file="f")
    assert [(skip.kind, skip.line) for skip in reading.skipped] == [("oversize", 1)]


def test_window_changes_no_account():
    """Whether a line is parsed or only seen to be outside the window, its bytes count as parsed."""
    start = datetime(2026, 2, 14, 14, 0, 30, tzinfo=UTC)
    window = Window(start, start + timedelta(seconds=5))
    for seed in range(200):
        data = hostile_file(seed)
        whole, part = read_lines(data, file="f"), read_lines(data, file="f", window=window)
        assert part.lines == tuple(line for line in whole.lines if line.ts in window), seed
        assert part.skipped == whole.skipped
        assert (part.parsed_bytes, part.first, part.last) == (
            whole.parsed_bytes,
            whole.first,
            whole.last,
        )


PUMPS = (
    '{"',
    "{" * 79 + "\n",
    '{"a": "' + "}" * 72 + "\n",
    "[{",
    "Traceback (most recent call last)\nA: " + "x" * 70 + "\n",
    "\x1b[",
    "\x1b]",
    "\\",
    '\\"',
    '"',
    "\x00",
    "://",
    "postgres://a@",
    "password=",
    'password": "',
    'password\\": \\"',
    "token:\\n",
    "bearer ",
    "eyJ",
    '{"ts": "2026-02-14T14:00:00Z", "a": ',
)


@pytest.mark.timeout(100)
@pytest.mark.parametrize("size", [250_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("pump", PUMPS)
def test_much_of_anything_is_read(pump, size):
    """Twenty repeated strings, each up to a megabyte, on one line and on many, end."""
    text = pump * (size // len(pump))
    for data in (text[:999_000].encode(), (text + "\n").encode()):
        reading = read_lines(data, file="f")
        assert reading.parsed_bytes + reading.skipped_bytes == len(data)
