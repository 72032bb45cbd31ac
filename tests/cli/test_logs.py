"""`logs count` and `logs find` answer from files, and say what they could not read."""

from __future__ import annotations

import json

import pytest

from loomtriage.cli import main
from loomtriage.settings import settings

ID = "4bf92f3577b34da6a3ce929d0e0e4736"


def row(reason, trace_id="a" * 32):
    return json.dumps({"ts": "2026-02-14T14:00:00Z", "reason": reason, "trace_id": trace_id})


@pytest.fixture
def file(tmp_path):
    """Three log lines, one with the id, and one plain line that holds it too."""
    path = tmp_path / "w.jsonl"
    path.write_text("\n".join([row("es_429"), row("es_5xx", ID), f"see {ID}", row("es_429"), ""]))
    return path


def ask(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(["logs", *map(str, words)])
    return stopped.value.code, capsys.readouterr()


def test_count_by_reason(capsys, file):
    """Most lines come first, and what is no log line is accounted for."""
    code, told = ask(capsys, "count", file, "--by", "reason")
    assert (code, told.err) == (0, "")
    first, second, *rest = [text.split() for text in told.out.splitlines()]
    assert (first, second) == (["2", "es_429"], ["1", "es_5xx"])
    assert "plain: 1 lines" in " ".join(rest[-1])


def test_count_in_a_window_as_json(capsys, file):
    """JSON carries every value, lines outside the window count as parsed, not under a value."""
    window = ("--start", "2026-02-14T14:00:00Z", "--end", "2026-02-14T14:00:01Z")
    code, told = ask(capsys, "count", file, "--json", *window)
    answer = json.loads(told.out)
    assert (code, answer["lines"], answer["parsed"]) == (0, {"es_429": 2, "es_5xx": 1}, 3)
    late = ("--start", "2026-02-14T14:00:01Z", "--end", "2026-02-14T14:00:02Z")
    code, told = ask(capsys, "count", file, "--json", *late)
    answer = json.loads(told.out)
    assert (code, answer["lines"], answer["parsed"]) == (3, {}, 3)


@pytest.mark.parametrize(
    ("by_index", "seen"),
    [
        ((), "2 of 4 lines hold it; no log line of that trace_id: plain 1."),
        (("--index",), "1 of 4 lines have it, by index."),
    ],
)
def test_find_an_id(capsys, file, tmp_path, monkeypatch, by_index, seen):
    """The line stands under its number, and how many lines were looked at is said, index or not."""
    monkeypatch.setenv("LOOMTRIAGE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    for _ in range(2):
        code, told = ask(capsys, "find", file, ID, *by_index)
        assert (code, told.err) == (0, "")
        line, account = told.out.splitlines()
        assert line.startswith("w.jsonl:2: {")
        assert account == f"w.jsonl: {seen}"
    code, told = ask(capsys, "find", file, "b" * 32, "--json", *by_index)
    assert (code, json.loads(told.out)["lines"]) == (3, [])
    settings.cache_clear()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("count", "/no/such.log"), 3, "such.log: No such file"),
        (("find", "/no/such*.log", ID), 3, "/no/such*.log"),
        (("count", "-"), 2, "Give a file"),
        (("count", "FILE", "--by", "ts"), 2, "by their time"),
        (("find", "FILE", 'a"b'), 2, "is no id"),
        (("count", "FILE", "--last", "soon"), 2, "not a duration"),
    ],
)
def test_bad_input_is_one_line(capsys, file, words, code, says):
    """What cannot be asked or read is one clear line and its exit code."""
    got, told = ask(capsys, *(file if word == "FILE" else word for word in words))
    assert (got, told.out) == (code, "")
    assert says in told.err
    assert len(told.err.splitlines()) == 1
