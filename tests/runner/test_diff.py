"""Two runs side by side: what changed, and nothing that did not."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from loomtriage.cli import main
from loomtriage.errors import BundleDamaged
from loomtriage.model.window import iso
from loomtriage.runner.diff import FAILING, diff
from loomtriage.settings import shipped
from loomtriage.sources.manifest import read_manifest

EXAMPLES = shipped("runbooks/examples")
GONE = "It was es_429; the second run finds no fault"


def test_a_fault_that_went_away():
    """Cause, state and scope changed, the failing rows are gone, and one sentence says it."""
    found = diff(EXAMPLES / "es_429", EXAMPLES / "placebo")
    assert found.says == f"{GONE}, judged by the time just before it."
    changed = {c.what: (c.before, c.after) for c in found.verdict}
    assert changed["cause"] == ("es_429", "none")
    assert changed["state"] == ("BAD", "OK")
    assert changed["scope reason"] == ("rate_limited", "")
    assert {c.what: c.after for c in found.figures}[FAILING] == "0 rows"
    assert "explain.cause" in {c.what for c in found.findings}


def test_a_baseline_before_the_incident_needs_no_limit(tmp_path):
    """Only a baseline that began after the first run's window may be the incident itself."""
    after = _copy(tmp_path, "placebo")
    manifest = json.loads((after / "manifest.json").read_bytes())
    early = {"start": "2026-01-01T00:00:00.000Z", "end": "2026-01-01T00:15:00.000Z"}
    (after / "manifest.json").write_text(json.dumps(manifest | {"baseline": early}), "utf-8")
    found = diff(EXAMPLES / "es_429", after)
    assert (found.says, found.is_after) == (f"{GONE}.", False)
    assert found.baselines[1] == f"{early['start']} to {early['end']}"


def test_a_baseline_that_reaches_into_the_incident_is_no_usual_time(tmp_path):
    """A quarter of an hour that begins before a short incident and ends in it holds trouble."""
    after = _copy(tmp_path, "placebo")
    began = read_manifest(EXAMPLES / "es_429").window_value.start
    across = {"start": iso(began - timedelta(minutes=6)), "end": iso(began + timedelta(minutes=9))}
    manifest = json.loads((after / "manifest.json").read_bytes())
    (after / "manifest.json").write_text(json.dumps(manifest | {"baseline": across}), "utf-8")
    assert diff(EXAMPLES / "es_429", after).is_after


def test_another_fault_is_named():
    """One fault in the place of another is said so."""
    found = diff(EXAMPLES / "es_429", EXAMPLES / "es_down")
    assert found.says == "It was es_429; now it is es_down."


@pytest.mark.parametrize("drill", ["es_429", "placebo"])
def test_a_run_does_not_differ_from_itself(drill):
    """The control: nothing changed, though the figures are shown."""
    found = diff(EXAMPLES / drill, EXAMPLES / drill)
    assert (found.verdict, found.findings) == ((), ())
    assert all(c.before == c.after for c in found.figures)


def test_a_run_that_cannot_tell_is_no_recovery(tmp_path):
    """NO_DATA afterwards is never told as healthy."""
    before, after = _copy(tmp_path, "es_429"), _copy(tmp_path, "placebo")
    verdict = json.loads((after / "verdict.json").read_bytes()) | {"state": "NO_DATA"}
    _rewrite(after, verdict)
    assert diff(before, after).says == "It was es_429; the second run cannot tell (NO_DATA)."


def test_a_changed_verdict_is_not_compared(tmp_path):
    """A run that does not match its manifest is refused."""
    run = _copy(tmp_path, "es_429")
    (run / "verdict.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BundleDamaged, match=r"verdict\.json"):
        diff(run, EXAMPLES / "placebo")


def test_the_command_shows_it_and_ends_well(capsys):
    """A difference is an answer: exit code 0, as text and as JSON."""
    assert _exit("diff", "example:es_429", "example:placebo") == 0
    told = capsys.readouterr().out
    assert told.startswith(GONE)
    assert max(map(len, told.splitlines())) < 260
    assert _exit("diff", "example:es_429", "example:placebo", "--json") == 0
    assert json.loads(capsys.readouterr().out)["after"].startswith("20")
    assert _exit("diff", "example:es_429", "example:no_such") == 2


def _exit(*words: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    return int(stopped.value.code or 0)


def _copy(folder, drill):
    shutil.copytree(EXAMPLES / drill, folder / drill)
    return folder / drill


def _rewrite(run, verdict):
    """Another verdict, as if the run had come to it."""
    import hashlib

    text = json.dumps(verdict).encode()
    (run / "verdict.json").write_bytes(text)
    manifest = json.loads((run / "manifest.json").read_bytes())
    manifest["files"]["verdict.json"] = {
        "bytes": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
