"""Alertmanager of a lab: there only when asked for, and telling whom it should."""

from __future__ import annotations

import json

import pytest

from loomtriage.errors import Refused
from loomtriage.lab.servers import alertmanager, prometheus
from loomtriage.lab.supervisor.ports import FIXED

PLACE = b"/usr/share/prometheus/alertmanager"


def test_everything_goes_to_the_one_who_asked():
    """Every alert reaches the webhook, with the token from its file, and so does its end."""
    config = json.loads(alertmanager.configuration("http://127.0.0.1:1/x", token_file="token"))
    (receiver,) = config["receivers"]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == "http://127.0.0.1:1/x"
    assert webhook["send_resolved"] is True
    assert webhook["http_config"] == {"authorization": {"credentials_file": "token"}}
    assert config["route"]["receiver"] == receiver["name"]


def test_prometheus_hears_of_it_only_where_it_runs():
    """A lab that tells nobody has no Alertmanager to look for."""
    without = {name: port for name, port in FIXED.items() if name != alertmanager.PORT}
    assert "alertmanagers" not in prometheus.configuration(without)
    assert f"127.0.0.1:{FIXED['alertmanager']}" in prometheus.configuration(FIXED)


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A cache that holds an unpacked program, and no other program anywhere."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    program = tmp_path / alertmanager.PROGRAM / "bin" / alertmanager.PROGRAM
    program.parent.mkdir(parents=True)
    (tmp_path / alertmanager.PROGRAM / "share/prometheus/alertmanager").mkdir(parents=True)
    program.write_bytes(b"head" + PLACE + b"3552" + PLACE + b"/ui/tail")
    return tmp_path


def test_an_unpacked_program_reads_templates_where_it_runs(cached):
    """The path of its templates leads to its own folder, byte for byte as long; the rest stays."""
    program = alertmanager.find_alertmanager(cached, say=lambda _line: None)
    content = program.read_bytes()
    assert content == b"head" + b"./" * 17 + b"3552" + PLACE + b"/ui/tail"
    folder = alertmanager.templates_of(program)
    assert folder == cached / alertmanager.PROGRAM / "share/prometheus/alertmanager"
    assert alertmanager.find_alertmanager(cached, say=print).read_bytes() == content


def test_without_any_program_it_says_what_to_do(tmp_path, monkeypatch):
    """Nothing found and nothing to fetch with is a refusal with the way out."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused) as refused:
        alertmanager.find_alertmanager(tmp_path, say=lambda _line: None)
    assert "prometheus-alertmanager" in refused.value.hint
