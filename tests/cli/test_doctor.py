"""Doctor says in one line each what is silent and what would fix it."""

from __future__ import annotations

import pytest

from loomtriage.cli import main
from loomtriage.settings import settings
from tests.lab.services import free_ports


@pytest.fixture
def _nothing_runs(monkeypatch):
    for name, port in zip(("PROMETHEUS", "JAEGER"), free_ports(2), strict=True):
        monkeypatch.setenv(f"LOOMTRIAGE_{name}_URL", f"http://127.0.0.1:{port}")
    for name in ("LOOMTRIAGE_LOGS", "LOOMTRIAGE_TRACES", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def _doctor(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", *words])
    return stopped.value.code, capsys.readouterr()


@pytest.mark.usefixtures("_nothing_runs")
def test_where_nothing_runs_each_source_has_its_line_and_fix(capsys):
    """Four sources, four lines under one scheme of names, exit code 3, no traceback."""
    code, told = _doctor(capsys)
    head, *rest = told.out.splitlines()
    assert (code, told.err) == (3, "")
    assert "0 of 4 sources answer" in head
    assert [text.split()[1] for text in rest] == [
        f"doctor.{name}:" for name in ("metrics", "traces", "logs", "rows")
    ]
    for text, fix in zip(
        rest, ("Start it", "Start it", "LOOMTRIAGE_LOGS", "DATABASE_URL"), strict=True
    ):
        assert fix in text


def test_a_recording_is_no_patient(capsys):
    """Doctor looks at what runs now; a recording is refused with what to run instead."""
    code, told = _doctor(capsys, "--source", "example:es_down")
    assert code == 2
    assert "loomtriage run conform" in told.err
