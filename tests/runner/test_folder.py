"""Run folders: staged, scanned, sealed, verified."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomtriage.errors import BundleDamaged, ContractBroken, UsageError
from loomtriage.runner.folder import list_runs, staging, windows_json
from loomtriage.runner.scan import refuse_secrets
from loomtriage.sources.manifest import read_manifest
from loomtriage.sources.secret_forms import Secrets
from tests.make import BASELINE, WINDOW


@pytest.fixture
def sealed(tmp_path) -> Path:
    with staging("path", tmp_path) as folder:
        folder.write_json("verdict.json", {"state": "OK", "cause": "none"})
        folder.write("report.html", "<p>x</p>")
        return folder.seal({"parameters": {}, "sources": {}, **windows_json(WINDOW, BASELINE)})


def test_a_sealed_folder_verifies(sealed):
    """Every file is listed with its hash, and the windows come back."""
    manifest = read_manifest(sealed)
    assert manifest.verify(sealed) == 2
    assert (manifest.window_value, manifest.baseline_value) == (WINDOW, BASELINE)


@pytest.mark.parametrize("name", ["verdict.json", "report.html"])
def test_one_changed_byte_is_refused(sealed, name):
    """Evidence that was touched is no evidence; the file is named."""
    path = sealed / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleDamaged, match=name):
        read_manifest(sealed).verify(sealed)


def test_a_missing_and_an_added_file_are_refused(sealed):
    """Neither less nor more than the manifest lists."""
    (sealed / "extra.txt").write_text("x")
    with pytest.raises(BundleDamaged, match=r"extra\.txt"):
        read_manifest(sealed).verify(sealed)
    (sealed / "extra.txt").unlink()
    (sealed / "report.html").unlink()
    with pytest.raises(BundleDamaged, match=r"report\.html"):
        read_manifest(sealed).verify(sealed)


def test_a_link_in_place_of_a_file_is_refused(sealed, tmp_path):
    """The same bytes behind a link are not the recorded file."""
    moved = tmp_path / "elsewhere"
    (sealed / "report.html").rename(moved)
    (sealed / "report.html").symlink_to(moved)
    with pytest.raises(BundleDamaged):
        read_manifest(sealed).verify(sealed)


def test_a_run_that_fails_leaves_nothing(tmp_path):
    """Half a run folder never stands under any name."""

    def fail() -> None:
        with staging("path", tmp_path) as folder:
            folder.write("report.html", "x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_files_are_private(sealed):
    """Evidence may hold personal data: only this user reads it."""
    assert {oct(p.stat().st_mode & 0o077) for p in sealed.rglob("*")} == {"0o0"}


def test_runs_are_listed_newest_first(tmp_path, sealed):
    """What ran, its state and cause."""
    assert list_runs(tmp_path) == [{"id": sealed.name, "state": "OK", "cause": "none"}]


def test_a_drill_without_a_triage_is_listed_with_its_own_state(tmp_path, sealed):
    """An invalid or interrupted drill has no verdict, and can be found all the same."""
    with staging("drill-es_down", tmp_path) as folder:
        folder.write_json("drill.json", {"state": "NO_DATA", "says": "Invalid: x."})
        alone = folder.seal({"parameters": {}, "sources": {}, **windows_json(WINDOW, None)})
    assert {row["id"]: (row["state"], row["cause"]) for row in list_runs(tmp_path)} == {
        sealed.name: ("OK", "none"),
        alone.name: ("NO_DATA", ""),
    }
    assert read_manifest(alone).verify(alone) == 1


def test_the_record_of_a_close_out_is_no_run(tmp_path, sealed):
    """It has a manifest and neither a verdict nor a drill: that is no error."""
    with staging("replay", tmp_path) as folder:
        folder.write_json("outcome.json", {"stopped": ""})
        folder.seal({"parameters": {}, "sources": {}, **windows_json(WINDOW, None)})
    assert [row["id"] for row in list_runs(tmp_path)] == [sealed.name]


def test_a_run_in_the_making_is_not_listed(tmp_path):
    """A run that is not sealed may still come to something else."""
    with staging("path", tmp_path) as folder:
        folder.write_json("verdict.json", {"state": "OK", "cause": "none"})
        assert list_runs(tmp_path) == []


def test_a_damaged_run_is_listed_as_such(tmp_path, sealed):
    """One broken file does not hide the other runs."""
    (tmp_path / "0-broken").mkdir()
    (tmp_path / "0-broken" / "verdict.json").write_text("{", encoding="utf-8")
    states = {row["id"]: row["state"] for row in list_runs(tmp_path)}
    assert states == {sealed.name: "OK", "0-broken": "ERROR"}


def test_an_unwritable_target_is_one_line(tmp_path):
    """A file where the folder should be is a usage error, not a traceback."""
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError), staging("path", tmp_path / "out"):
        pass


SECRETS = [
    "postgresql://wordloom:hunter22@localhost/db",
    "Authorization: Bearer abcdefghijklmnop1234",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_stops_the_run(tmp_path, text):
    """The last look finds what redaction missed, and nothing is sealed."""
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ContractBroken, match=r"x\.json"):
        refuse_secrets(tmp_path, Secrets())


def test_a_redacted_url_and_plain_text_pass(tmp_path):
    """The negative control: no false alarm on what redaction leaves."""
    (tmp_path / "x.json").write_text(
        "postgresql://wordloom:***@localhost/db and http://127.0.0.1:9090/x"
    )
    refuse_secrets(tmp_path, Secrets())


def test_a_machine_path_stops_the_run(tmp_path):
    """A run folder can be shown to anyone; it does not tell where it was made."""
    (tmp_path / "x.md").write_text(f"see {tmp_path}/report.html")
    with pytest.raises(ContractBroken, match="path of this machine"):
        refuse_secrets(tmp_path, Secrets())
