"""A look-up finds the lines of an id, by bytes or by index, and a stale index finds nothing."""

from __future__ import annotations

import json
import os

import pytest

from loomtriage.errors import UsageError
from loomtriage.sources.lines import parts as log_parts
from loomtriage.sources.lines.lookup import index_files, lookup
from loomtriage.sources.lines.reader import read_lines
from loomtriage.sources.lines.runs import value_of
from tests.sources.hostile import hostile_file

ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def line(trace_id, **more):
    return json.dumps({"ts": "2026-02-14T14:00:00Z", "event": "e", "trace_id": trace_id, **more})


@pytest.fixture
def path(tmp_path):
    """A file with the id in lines, beside lines, and in another key's value."""
    rows = [line("a" * 32), line(ID), "plain " + ID, line("b" * 32, x=ID), line(ID, x=1), "end"]
    path = tmp_path / "f.log"
    path.write_text("\n".join(rows * 3))
    return path


def test_every_hit_is_accounted_for(path):
    """Rows have their line numbers; hits that are no rows are counted by class."""
    found = lookup(path, ID)
    assert [one.line for one in found.lines] == [2, 5, 8, 11, 14, 17]
    account = found.accounts["f.log"]
    assert (account.lines_seen, account.hits) == (18, 12)
    assert account.no_rows == {"plain": 3, "other_key": 3}
    assert list(found.table()["trace_id"]) == [ID] * 6


def test_index_finds_the_same(path, tmp_path):
    """By index the rows are the same; nothing is written beside the logs."""
    cache = tmp_path / "cache"
    before = sorted(path.parent.iterdir())
    index_files(path, cache=cache)
    found = lookup(path, ID, cache=cache)
    assert found.accounts["f.log"].by_index
    assert found.lines == lookup(path, ID).lines
    assert sorted(path.parent.iterdir()) == sorted([*before, cache])
    assert lookup(path, "c" * 32, cache=cache).lines == ()


@pytest.mark.parametrize("change", ["append", "same size", "damage", "other key", "gone"])
def test_stale_index_is_ignored(path, tmp_path, change):
    """An index of a file that changed, or that is damaged, is not used; the rows are right."""
    cache = tmp_path / "cache"
    index_files(path, cache=cache, key="event" if change == "other key" else "trace_id")
    (index,) = cache.iterdir()
    if change == "append":
        path.write_text(path.read_text() + "\n" + line(ID))
    elif change == "same size":
        status = path.stat()
        path.write_text(path.read_text().replace("a" * 32, ID, 1))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "damage":
        index.write_bytes(index.read_bytes()[:-1])
    elif change == "gone":
        index.unlink()
    found = lookup(path, ID, cache=cache)
    assert not found.accounts["f.log"].by_index
    assert found.lines == lookup(path, ID).lines


@pytest.mark.parametrize("key", ["reason", "n", "level"])
def test_rows_are_those_of_the_reader(tmp_path, key):
    """Of hostile files the rows, by bytes and by index, are those that reading all lines finds."""
    path, cache = tmp_path / "f.log", tmp_path / "cache"
    for seed in range(100):
        data = hostile_file(seed)
        path.write_bytes(data)
        index_files(path, cache=cache, key=key)
        for value in ("r1", "7", "INFO"):
            wanted = [
                (one.line, one.sha256)
                for one in read_lines(data, file="f.log").lines
                if value_of(one, key) == value and value in one.raw and "joined" not in one.flags
            ]
            for found in (lookup(path, value, key=key), lookup(path, value, key=key, cache=cache)):
                rows = [(one.line, one.sha256) for one in found.lines if "joined" not in one.flags]
                assert rows == wanted or key == "n", (seed, value)


def test_parts_find_what_the_whole_has(path, monkeypatch):
    """A value that lies across two pieces or parts is found once, with its line number."""
    long = "".join(f"{line(ID, pad='x' * n)}\n" for n in range(0, 4000, 3))
    path.write_text(long)
    whole = lookup(path, ID)
    monkeypatch.setattr(log_parts, "PART_FROM_BYTES", 1 << 20)
    assert lookup(path, ID).lines == whole.lines
    assert [one.line for one in whole.lines] == list(range(1, 1335))


def test_wrapped_and_two_byte_text(tmp_path):
    """An object that a console wrapped is found as one row, in UTF-8 and in UTF-16."""
    text = line(ID, pad="x" * 200)
    for codec, width in (("utf-8", 100), ("utf-16", 79)):  # at 79 the id itself is cut
        wrapped = "\n".join(text[at : at + width] for at in range(0, len(text), width))
        path = tmp_path / f"{codec}.log"
        rows = [line("a" * 32), line(ID), wrapped, line(ID), ""]
        path.write_text("\n".join(rows), encoding=codec)
        assert [one.line for one in lookup(path, ID).lines] == [2, 3, 3 + -(-len(text) // width)], (
            codec
        )


def test_name_with_stars_is_that_file(tmp_path):
    """A look-up in a file whose name is a pattern reads that file; a missing one is named."""
    (tmp_path / "a*.log").write_text(line(ID))
    (tmp_path / "ab.log").write_text(line(ID) + "\n" + line(ID))
    assert list(lookup(tmp_path / "a*.log", ID).accounts) == ["a*.log"]
    assert list(lookup(tmp_path / "gone.log", ID).unread) == ["gone.log"]


@pytest.mark.parametrize("value", ["", 'a"b', "a\\b", "é", "a\nb"])
def test_no_id_is_refused(path, value):
    """What cannot stand in a line as it is typed is refused."""
    with pytest.raises(UsageError, match="is no id"):
        lookup(path, value)
