"""Where runs and files are: one folder for a checkout, wherever in it somebody stands."""

from __future__ import annotations

from loomtriage.settings import Settings


def test_a_notebook_means_the_same_runs_as_the_command_line(tmp_path, monkeypatch):
    """Below a checkout the runs are the checkout's; elsewhere, the current folder's."""
    monkeypatch.delenv("LOOMTRIAGE_RUNS", raising=False)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert Settings().runs_dir() == tmp_path / "notebooks" / "runbooks" / "runs"
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "README.md").touch()
    assert Settings().runs_dir() == tmp_path / "runbooks" / "runs"


def test_a_folder_of_runs_that_was_set_is_taken_as_it_is(tmp_path, monkeypatch):
    """A relative one counts from the current folder, as in any command."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "README.md").touch()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.setenv("LOOMTRIAGE_RUNS", "mine")
    assert Settings().runs_dir() == tmp_path / "deep" / "mine"


def test_a_process_in_another_folder_finds_the_same_files(tmp_path, monkeypatch):
    """A stage runs in its run folder; a relative path meant the folder of whoever typed it."""
    monkeypatch.chdir(tmp_path)
    for name in ("TRACES", "LOGS", "RUNS", "HOME"):
        monkeypatch.delenv(f"LOOMTRIAGE_{name}", raising=False)
    assert Settings().from_elsewhere() == {}
    monkeypatch.setenv("LOOMTRIAGE_LOGS", "logs/*.jsonl")
    assert Settings().from_elsewhere() == {"LOOMTRIAGE_LOGS": f"{tmp_path}/logs/*.jsonl"}
    monkeypatch.setenv("LOOMTRIAGE_LOGS", "-")
    assert Settings().from_elsewhere() == {}
