"""Alert rules: what promtool says of them, what they may ask for, and how the lab's differ."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from loomtriage.contract.alerts import ALERTS, rules_data
from loomtriage.contract.board import PANELS
from loomtriage.contract.catalogue import BY_WIRE
from loomtriage.contract.causes import BY_ID
from loomtriage.contract.recordings import RECORDINGS
from loomtriage.contract.rules import FLOOR_S, LAB, expression, scaled_s
from loomtriage.drills.book import DRILLS
from loomtriage.lab.servers import prometheus

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "docker/prometheus/rules.yml"
CASES = ROOT / "tests/rules/alerts.yml"
BOOK = DRILLS.all(noun="drill")
NAMES = [alert.name for alert in ALERTS]
TESTED = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]


def run(promtool: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run promtool on a file."""
    command = [str(word) for word in (promtool, *words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", ["rules.yml", "lab-rules.yml"])
def test_promtool_accepts_the_rules(promtool, name):
    """Prometheus loads both forms of the rules."""
    told = run(promtool, "check", "rules", RULES.with_name(name))
    assert told.returncode == 0, told.stderr


def test_promtool_accepts_the_configuration(promtool):
    """Prometheus starts with what is published."""
    told = run(promtool, "check", "config", RULES.with_name("prometheus.yml"))
    assert told.returncode == 0, told.stderr


def test_every_alert_says_what_is_pinned(promtool):
    """Labels and annotations to the letter, when it fires and when it is silent."""
    told = run(promtool, "test", "rules", CASES)
    assert told.returncode == 0, told.stdout


MUTATIONS = {
    "a threshold that is too high": ("OutboxTerminalBurst", "increase5m > 5", "increase5m > 5000"),
    "a threshold that is too low": ("OutboxRetryStorm", "group_left ()", "group_left () 0 *"),
    "no patience": ("OutboxOldestAgeHigh", "for: 120s", "for: 5s"),
    "another summary": ("OutboxTerminalBurst", "failed for good with", "failed with"),
    "another severity": ("OutboxTerminalBurst", "severity: critical", "severity: warning"),
    "dead letters counted": (
        "Health",
        "max by (env, projection) (outbox_oldest_age_seconds) > 300",
        "max by (env, projection) (outbox_dead_letter_events) > 3",
    ),
    "drills not left out": ("WordloomTargetDown", ', job!="wordloom-drill"', ""),
    "the past taken for news": (
        "OutboxTerminalBurst",
        " and on (job, instance) (up offset 5m == 1)",
        "",
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_rule_is_noticed(promtool, tmp_path, mutation):
    """The pinned cases fail when a rule is not what it was."""
    about, old, new = MUTATIONS[mutation]
    text = RULES.read_text(encoding="utf-8")
    assert old in text
    cases = [test for test in TESTED if test["name"].startswith(about)]
    (tmp_path / "rules.yml").write_text(text.replace(old, new), encoding="utf-8")
    content = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "cases.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    told = run(promtool, "test", "rules", tmp_path / "cases.yml")
    assert told.returncode != 0
    assert "exp:" in told.stdout + told.stderr, "it failed for another reason"


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_pinned_firing_and_silent(name):
    """No alert is without a case in which it fires and one in which it does not."""
    checks = [c for test in TESTED for c in test["alert_rule_test"] if c["alertname"] == name]
    assert {bool(check["exp_alerts"]) for check in checks} == {True, False}


def test_three_healthy_windows_are_silent():
    """Work, residue of dead letters, and a night without work call nobody."""
    healthy = [test for test in TESTED if test["name"].startswith("Health")]
    assert len(healthy) == 3
    for test in healthy:
        checked = {check["alertname"] for check in test["alert_rule_test"]}
        assert checked == set(NAMES)
        assert not any(check["exp_alerts"] for check in test["alert_rule_test"])


_NO_NAME = {
    "sum", "max", "avg", "by", "on", "or", "and", "unless", "offset", "bool", "increase", "rate",
    "group_left", "avg_over_time", "max_over_time", "time", "histogram_quantile",
}  # fmt: skip


def asked_for(expr: str) -> set[str]:
    """Names of the series that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]|\b(by|on|group_left) \([^)]*\)|\b\d[\w.]*', " ", expr)
    bare = re.sub(r"\{[^}]*\}", " ", bare)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", bare)) - _NO_NAME


@pytest.mark.parametrize(
    "rule",
    [*RECORDINGS, *ALERTS, *(q for p in PANELS for q in p.queries)],
    ids=lambda r: r.expr[:40],
)
def test_only_known_series_are_asked_for(rule):
    """Rules and panels ask for metrics of the contract and for recorded series, nothing else."""
    known = set(BY_WIRE) | {one.name for one in RECORDINGS}
    known |= {f"{name}_bucket" for name in BY_WIRE}
    text = rule.expr.replace("$bound", "0").replace("$__rate_interval", "1m")
    assert asked_for(text)
    assert asked_for(text) <= known


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_points_to_what_exists(alert):
    """Its causes, drills, panel and notebook are there."""
    assert set(alert.causes) <= set(BY_ID)
    assert {*alert.fires_in, *alert.may_fire_in} <= set(BOOK)
    assert not set(alert.fires_in) & set(alert.may_fire_in)
    assert alert.panel in {panel.title for panel in PANELS}
    assert (ROOT / "notebooks" / f"{alert.stage}.ipynb").is_file()
    assert alert.severity in {"critical", "warning", "info"}


def test_the_lab_evaluates_the_published_rules():
    """What the lab's Prometheus loads is what `lab-rules.yml` shows."""
    shown = yaml.safe_load(RULES.with_name("lab-rules.yml").read_text(encoding="utf-8"))
    assert json.loads(prometheus.rules()) == shown


def test_the_lab_changes_time_and_nothing_else():
    """Same names, labels, annotations and order; durations a sixtieth, rows and shares the same."""
    pairs = list(zip(_rules(rules_data()), _rules(rules_data(LAB)), strict=True))
    for ours, labs in pairs:
        for key in ("alert", "record", "labels", "annotations"):
            assert ours.get(key) == labs.get(key)
    burst = next(alert for alert in ALERTS if alert.name == "OutboxTerminalBurst")
    assert expression(burst, LAB) == expression(burst)
    age = next(alert for alert in ALERTS if alert.name == "OutboxOldestAgeHigh")
    assert expression(age, LAB).endswith("> 5")


@pytest.mark.parametrize(
    ("seconds", "lab"), [(0, 0), (30, FLOOR_S), (120, 2), (300, 5), (3600, 60), (86_400, 1440)]
)
def test_a_minute_becomes_a_second(seconds, lab):
    """Durations are divided by sixty, and none but zero is below the floor."""
    assert scaled_s(seconds, LAB) == lab


def _rules(data) -> list[dict]:
    return [rule for group in data["groups"] for rule in group["rules"]]
