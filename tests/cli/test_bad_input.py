"""Bad input gets one clear line and the documented exit code, before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loomtriage.cli import main
from loomtriage.sources.manifest import read_manifest

EXAMPLE = Path(__file__).parents[2] / "runbooks/examples/es_down"
RECORDED = read_manifest(EXAMPLE).window_value
TABLE = [
    (["path", "--source", "nonsense"], 2, "no known form"),
    (["path", "--source", "example:nope"], 2, "no example"),
    (["path", "--source", "example:../es_down"], 2, "no example"),
    (["path", "--source", "run:/does/not/exist"], 2, "no run folder"),
    (["path", "--source", "labs:/does/not/exist"], 2, "no evidence folder"),
    (["path", "--source", "lab:../../etc"], 2, "no lab name"),
    (["path", "--source", "example:es_down", "--baseline", "5"], 2, "baseline '5'"),
    (
        [
            "path",
            "--source",
            "live",
            "--start",
            "2026-03-01T00:00:00",
            "--end",
            "2026-03-01T01:00:00Z",
        ],
        2,
        "no time zone",
    ),
    (
        [
            "path",
            "--source",
            "live",
            "--start",
            "2026-03-01T02:00:00Z",
            "--end",
            "2026-03-01T01:00:00Z",
        ],
        2,
        "before its start",
    ),
    (["path", "--source", "live", "--start", "2026-03-01T02:00:00Z"], 2, "one end"),
    (["path", "--source", "live", "--last", "soon"], 2, "not a duration"),
    (
        [
            "path",
            "--last",
            "5m",
            "--start",
            "2026-03-01T02:00:00Z",
            "--end",
            "2026-03-01T03:00:00Z",
        ],
        2,
        "exclude",
    ),
    (["path", "--windw", "5m"], 2, "--windw"),
    (["run", "nostage"], 2, "no stage"),
    (["drill", "nodrill"], 2, "no drill"),
    (["drill"], 2, "Give the id"),
    (["drill", "es_down", "--seed", "-1"], 2, "'--seed': Input should be greater than or equal to"),
    (["drill", "es_down", "--seed", "-1"], 2, " 0. See `loomtriage drill --help`."),
    (["drill", "es_down", "--out", "/proc/nothing/x"], 2, "Cannot write runs"),
    (["drill", "--all", "--labs", "2", "--out", "/proc/nothing/x"], 2, "Cannot write runs"),
    (["verify", "/does/not/exist"], 2, "no folder"),
    (["drill", "es_down", "--worker-cmd", "python 'x"], 2, "No closing quotation"),
    (["drill", "--all", "--labs", "2", "--worker-cmd", "python 'x"], 2, "No closing quotation"),
    (["lab", "up", "--worker-cmd", "python 'x"], 2, "No closing quotation"),
    (["lab", "up", "--ports", "some"], 2, "neither fixed nor auto"),
    (["nocommand"], 2, "nocommand'. See `loomtriage --help`."),
    (["path", "--source", "example:es_down", "--last", "15m"], 2, f"covers {RECORDED}"),
    (["path", "--source", "example:es_down", "--baseline", "5m"], 2, f"covers {RECORDED}"),
    (["path", "--source", "example:es_down", "--env", "prod"], 2, "not of env prod"),
    (["path", "--source", "example:es_down", "--projection", "nope"], 2, "search, chronicle"),
    (["path", "--last", "0s"], 2, "no time at all"),
    (["path", "--last", "999999d"], 2, "too long"),
    (["watch-alerts", "--source", "example:nope"], 2, "no example"),
    (["import", "nope.zip"], 2, "'nope.zip' cannot be read: No such file"),
    (["import", "."], 2, "'.' cannot be read: Is a directory"),
    (["import", __file__], 2, "is no zip"),
    (["close-out", "replay", "nope"], 2, "Make one: loomtriage close-out plan."),
    (["path", "--alert", "far/nope"], 2, "'far/nope' cannot be read"),
    (["run"], 2, "'stage'. See `loomtriage run --help`."),
]


@pytest.fixture(autouse=True)
def _no_strays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(arguments: list[str], capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"), TABLE, ids=[" ".join(r[0])[:60] for r in TABLE]
)
def test_each_kind_of_bad_input_is_one_line(arguments, code, says, capsys, tmp_path):
    """What is wrong and what to do, on one line; nothing on stdout, nothing written."""
    got, out, err = run(arguments, capsys)
    assert got == code
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_empty_sample_is_refused_by_name(capsys, tmp_path):
    """An empty folder is no evidence, and no verdict is made of it."""
    (tmp_path / "empty").mkdir()
    got, _, err = run(["path", "--source", "labs:empty"], capsys)
    assert got == 2
    assert "empty is no Wordloom evidence folder" in err
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_the_folder_above_a_sample_names_the_one_below(capsys, tmp_path):
    """Who gives one folder too few is told which to give."""
    (tmp_path / "labs" / "slow" / "run-1" / "_logs").mkdir(parents=True)
    for above in ("labs", "labs/slow"):
        got, _, err = run(["path", "--source", f"labs:{above}"], capsys)
        assert (got, "such as labs/slow/run-1." in err) == (2, True)


def test_no_command_shows_the_help_alone(capsys):
    """What is shown is the help, not an error about it."""
    got, _, err = run([], capsys)
    assert got == 2
    assert err.startswith("Usage: loomtriage")
    assert "With -v" in err


def test_a_folder_that_is_no_run_is_refused(capsys, tmp_path):
    """A folder without a manifest is no run folder."""
    (tmp_path / "x").mkdir()
    got, _, err = run(["verify", "x"], capsys)
    assert got == 2
    assert "labs:" not in err


def test_hostile_text_cannot_drive_the_terminal(capsys):
    """Control characters in an argument are shown, not sent."""
    _, _, err = run(["path", "--source", "\x1b[2Jlive"], capsys)
    assert "\x1b" not in err


def test_a_manifest_of_a_newer_schema_is_refused(capsys, tmp_path):
    """A newer format is named, not guessed at."""
    (tmp_path / "r").mkdir()
    minute = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-01T00:01:00Z"}
    manifest = {
        "schema": 2, "id": "x", "what": "path", "created_at": minute["start"], "parameters": {},
        "window": minute, "baseline": None, "versions": {}, "sources": {}, "files": {},
    }  # fmt: skip
    Path("r/manifest.json").write_text(json.dumps(manifest))
    got, _, err = run(["verify", "r"], capsys)
    assert got == 4
    assert "schema 2" in err
