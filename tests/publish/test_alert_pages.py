"""Alert pages: every alert has one, every page has an alert, and every link leads somewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from loomtriage.contract.alerts import ALERTS
from loomtriage.drills.book import DRILLS
from loomtriage.publish import files
from loomtriage.publish.alert_pages import alert_page, alerts_reference

ROOT = Path(__file__).resolve().parents[2]
BOOK = DRILLS.all(noun="drill")
PAGES = sorted((ROOT / files.ALERT_PAGES).glob("*.md"))


def test_alerts_and_pages_match_both_ways():
    """No alert without a page, no page without an alert."""
    assert [page.stem for page in PAGES] == sorted(alert.name for alert in ALERTS)


@pytest.fixture
def tree(tmp_path):
    """A checkout with all that is published."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    files.publish(tmp_path, files.published(tmp_path))
    return tmp_path


def test_a_missing_page_is_noticed(tree):
    """A page that somebody removed is drift."""
    (tree / ALERTS[0].page).unlink()
    found = files.drift(tree, files.published(tree))
    assert [str(one) for one in found] == [f"{ALERTS[0].page}: is not written yet"]


def test_a_page_without_alert_is_noticed(tree):
    """A page that no alert calls for is drift, and so is a dashboard; publishing takes it away."""
    stray = tree / files.ALERT_PAGES / "OutboxOnFire.md"
    stray.write_text("# OutboxOnFire\n", encoding="utf-8")
    wanted = files.published(tree)
    assert [one.says for one in files.drift(tree, wanted)] == ["no alert publishes it"]
    files.publish(tree, wanted)
    assert not stray.exists()


def test_an_edited_rule_is_noticed(tree):
    """A threshold that was changed by hand is drift."""
    rules = tree / files.PROMETHEUS / "rules.yml"
    rules.write_text(rules.read_text("utf-8").replace("> 300", "> 900"), encoding="utf-8")
    found = files.drift(tree, files.published(tree))
    assert [one.path for one in found] == ["docker/prometheus/rules.yml"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_a_page_has_what_a_tired_person_needs(alert):
    """Meaning, impact, the exact command, and what to do about each cause; in this order."""
    page = alert_page(alert, BOOK)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == [
        "Meaning",
        "Impact",
        "Diagnosis",
        "Mitigation",
        "Drills",
    ]
    assert "$ loomtriage path --source live " in page
    assert alert.do in page
    assert alert.do or all(f"`{cause}`" in page for cause in alert.causes)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs/reference/alerts.md"], ids=lambda p: p.stem)
def test_links_lead_to_files(page):
    """Every relative link of an alert page, and of the list of alerts, leads to a file."""
    targets = re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [name for name in targets if not (page.parent / name).resolve().is_file()] == []


def test_the_list_holds_every_alert_and_drill():
    """The reference shows each alert once, and what each drill must and may raise."""
    text = alerts_reference(BOOK)
    assert all(f"[{alert.name}]" in text for alert in ALERTS)
    row = next(line for line in text.splitlines() if line.startswith("| `es_down`"))
    cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
    raised = {alert.name for alert, cell in zip(ALERTS, cells, strict=True) if cell == "**must**"}
    assert raised == {alert.name for alert in ALERTS if "es_down" in alert.fires_in}
