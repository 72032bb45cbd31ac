"""The incident report has the order of a post-mortem, invents nothing, and trusts no text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from loomtriage.report.page import CSP
from loomtriage.report.postmortem import PEOPLE, TO_FILL, Story, html
from loomtriage.report.postmortem_md import markdown
from tests.report.make_incident import incident
from tests.report.payloads import SCRIPTS, SPOOFS

ORDER = [
    "Summary",
    "Impact",
    "Timeline",
    "Evidence",
    "Cause",
    "Actions",
    "Close-out state",
    "What was missing",
    "For people",
]


class Shape(HTMLParser):
    """The elements of a page with their attributes' names, and its links."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.links: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name == "href"]


def test_the_sections_stand_in_the_order_people_ask():
    """Page and Markdown have the same sections in the same order."""
    heads = re.findall(r'<h2 id="[a-z]+-h">([^<]+)</h2>', html(incident()))
    assert heads == [*ORDER, "Appendix"]
    assert re.findall(r"^## (.+)$", markdown(incident()), re.MULTILINE) == ORDER


def test_what_only_people_know_is_left_to_them():
    """Each such section is there, marked, and holds nothing but the mark and what belongs in."""
    page, text = html(incident()), markdown(incident())
    for name, what in PEOPLE:
        assert re.search(rf"<h3>{name}</h3>\s*<div class=\"blank\"><p><b>{TO_FILL}</b>", page)
        assert f"### {name}\n\n> **{TO_FILL}** {what}".rstrip() in text
    assert page.count('<td class="open"></td>') == 2 * text.count("owner: \\_\\_\\_")


def test_an_empty_story_says_so_everywhere():
    """Nothing seen is nothing told: each section says that it is empty, no table stands bare."""
    empty = Story.from_json({})
    bare = replace(incident(), story=empty, verdict_json={"state": "OK"}, charts=(), closing=())
    for told in (html(bare), markdown(bare)):
        assert "No signal measured an impact." in told
        assert "No moment stands out." in told
        assert "No single trace, line or query is pointed at." in told
        assert "No stage named anything missing." in told
    assert "<tbody>\n</tbody>" not in html(bare)


def test_what_was_missing_is_said_once():
    """Stages that miss the same say it once, the one that knows most; names stay as they are."""
    told = "traces: empty. Set WORDLOOM_TRACING_ENABLED=1."
    missing = [{"signal": "traces", "why": why} for why in (told, f"{told} Then restart.", told)]
    limits = {"caveats": ["traces: empty Set WORDLOOM_TRACING_ENABLED=1.", "logs: partial."]}
    report = replace(
        incident(),
        story=Story.from_json(limits),
        verdict_json={"state": "BAD", "missing": [*missing, {"signal": "rows", "why": "no_data"}]},
    )
    page = html(report)
    assert page.count("WORDLOOM_TRACING_ENABLED=1. Then restart.") == 1
    assert page.count("WORDLOOM_TRACING_ENABLED") == 1
    assert "logs: partial." in page
    assert "no data" in page


def test_a_story_survives_its_file():
    """What the stage wrote is what the report reads."""
    story = incident().story
    assert Story.from_json(json.loads(json.dumps(story.as_json()))) == story


@pytest.mark.parametrize(
    "content",
    [
        {"summary": 7, "timeline": {"at": 1}, "impact": [1, [2]], "rows": None},
        {"timeline": [[], {"at": None}, {"at": "yesterday", "url": "javascript:alert(1)"}]},
    ],
)
def test_an_odd_file_still_makes_a_page(content):
    """A story of another shape is shown as far as it goes; it never becomes a link or a crash."""
    page = html(replace(incident(), story=Story.from_json(content)))
    assert "javascript:alert(1)" not in Shape(page).links


def test_the_day_is_said_once():
    """A timeline over midnight says each day where it begins."""
    days = re.findall(r'<span class="full">(\d{4}-\d\d-\d\d)</span>', html(incident()))
    assert days == ["2026-02-14", "2026-02-15"]


def test_links_lead_to_sources_only():
    """An address of the run's own servers is a link, named by what it leads to; others are not."""
    inside = html(incident(url="http://127.0.0.1:16686/trace/4bf92f35"))
    assert "trace on 127.0.0.1:16686" in inside
    outside = html(incident(url="http://evil.example/trace/4bf92f35"))
    assert [link for link in Shape(outside).links if "evil" in link] == []


@pytest.mark.parametrize("words", [*SCRIPTS[::3], *SPOOFS[::5], "| a | b\n# c", "\ud800"])
def test_hostile_words_change_no_element(words):
    """With a payload in every text the page has the very elements of its harmless twin."""
    page, twin = (html(incident(lambda _, w=w: w)) for w in (words, "benign"))
    assert Shape(page).tags == Shape(twin).tags
    assert page.index(CSP.replace("'", "&#39;")) < page.index("<title>")
    lines = markdown(incident(lambda _: words)).splitlines()
    assert len(lines) == len(markdown(incident(lambda _: "benign")).splitlines())
