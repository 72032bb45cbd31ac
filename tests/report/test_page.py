"""What the page promises to its reader, read as a file."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from loomtriage.model import State
from loomtriage.report import Page, html, markdown
from loomtriage.report.page import CSP
from tests.report.make import START, plain_charts
from tests.report.make_page import page

VOID = {"meta", "link", "img", "source", "br", "path", "circle"}


class Reader(HTMLParser):
    """Start tags with attributes and depth-checked nesting, and the words in between."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data

    def named(self, *names):
        """Attributes of the tags with these names."""
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(scope="module")
def whole() -> Reader:
    """The page of the invented incident."""
    return Reader(html(page()))


def test_the_policy_comes_first():
    """The CSP is the first child of head and says exactly what it must, before any other tag."""
    source = html(page())
    start = source.index("<head>") + len("<head>")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{CSP}">'
    assert source[start:].lstrip().replace("&#39;", "'").startswith(policy)
    assert source.lower().index("charset") < 1024
    assert CSP == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_the_page_needs_nothing_else(whole):
    """No script, no foreign subresource, no event handler: pictures are data, links are allowed."""
    assert not whole.named("script", "iframe", "object", "embed", "form", "base", "video", "audio")
    for tag, attrs in whole.tags:
        assert not [name for name in attrs if name.startswith("on")], tag
        for name in ("src", "srcset", "poster", "background"):
            assert (attrs.get(name) or "data:").startswith("data:"), tag
    assert [attrs["href"] for attrs in whole.named("link")] == ["data:,"]
    assert "url(" not in html(page())
    assert "@import" not in html(page())


def test_the_verdict_comes_first(whole):
    """State, headline, cause, scope, step, window, what to do and what is missing stand on top."""
    words = re.sub(r"\s+", " ", whole.words)
    order = (
        "BADElasticsearch is down: no connection",
        "es_down",
        "confidence 97 %",
        "env=sandbox",
        "wordloom-search-outbox-worker › PUT",
        "2026-02-14 14:21:30 to 14:27:30 UTC (6 min)",
        "compared with 2026-02-14 14:15:30 to 14:21:30 UTC (6 min)",
        "What to do",
        "curl -fsS",
        "What is missing",
        "refused",
        "Evidence",
        "98 % (130 of 133)",
        "took 1.31 s",
        "Drill: Elasticsearch goes away",
        "restored, digests equal",
        "Sources and versions",
    )
    body = words[words.index("Triage of OutboxRetrying") :]
    places = [body.find(part) for part in order]
    assert -1 not in places
    assert places == sorted(places)


def test_it_can_be_read_aloud(whole):
    """Language, one first heading, no skipped level, scoped heads, captions, alternative texts."""
    assert whole.named("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in whole.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {attrs.get("scope") for attrs in whole.named("th")} == {"col", "row"}
    assert all(attrs["alt"] and attrs["width"] and attrs["height"] for attrs in whole.named("img"))
    drawn = len(plain_charts()) + 1  # the drill's own timeline
    assert len(whole.named("figure")) == len(whole.named("figcaption")) == drawn
    ids = [attrs["id"] for _, attrs in whole.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in whole.tags if "aria-labelledby" in a} <= set(ids)
    assert {a["href"][1:] for a in whole.named("a") if a["href"].startswith("#")} <= set(ids)
    assert not whole.open


def test_every_state_has_a_word_and_a_shape():
    """The five states differ in word and drawing, not in colour alone."""
    drawings = set()
    for state in State:
        source = html(Page(title="t", verdict_json={"state": state.value}, generated_at=START))
        badge = source[source.index('<span class="badge') :].split("</span>")[0]
        assert badge.endswith(state.value.replace("_", " "))
        drawings.add(badge[badge.index("<svg") : badge.index("</svg")])
    assert len(drawings) == len(State)


@pytest.mark.parametrize(
    "verdict",
    [
        {},
        {"state": "FINE"},
        {"state": None, "headline": None, "scope": None, "evidence": None, "coverage": None},
        {"state": "BAD", "scope": "all", "step": "x", "window": "now", "actions": ["a"]},
        {"state": "OK", "evidence": [{}], "missing": [{}, "traces"], "actions": [{}]},
        {"state": "BAD", "confidence": float("nan"), "abstained": ["a", "b"]},
        {"state": "OK", "window": {"start": "2026-02-14T14:21:30Z", "end": "soon"}},
        {"state": "OK", "coverage": [{"edge": "trace→log", "n": 0}], "abstained": True},
        {"state": "WARN", "findings": [{"says": "x", "value": 1e300, "unit": "s"}, {}, 7]},
    ],
)
def test_odd_verdicts_are_shown(verdict):
    """Missing, empty and misshapen parts of verdict.json never stop a report."""
    odd = Page(title="t", verdict_json=verdict, drill={}, generated_at=START)
    assert not Reader(html(odd)).open
    assert markdown(odd).startswith("# ")


def test_an_unknown_state_is_never_good():
    """A state that does not exist shows as ERROR, none at all as NO DATA."""
    shown = [
        markdown(Page(title="t", verdict_json=verdict, generated_at=START))
        for verdict in ({"state": "FINE"}, {})
    ]
    assert [words.split(":")[0] for words in shown] == ["# ERROR", "# NO DATA"]


def test_advice_is_given_once():
    """An action that already says what the cause's advice says is not preceded by it again."""
    do = "Bring Elasticsearch or the way to it back; the rows drain by themselves."
    for actions in ([], [{"kind": "wait", "says": do}]):
        verdict = {"state": "BAD", "cause": "es_down", "actions": actions}
        words = Reader(html(Page(title="t", verdict_json=verdict, generated_at=START))).words
        assert words.count(do) == 1


def test_evidence_left_out_is_counted():
    """What is too much for a page or a summary is counted, never dropped in silence."""
    evidence = [{"kind": "row", "ref": str(i), "says": "x"} for i in range(130)]
    many = Page(title="t", verdict_json={"evidence": evidence}, generated_at=START)
    assert "30 more pieces of evidence" in Reader(html(many)).words
    assert "110 more pieces of evidence" in markdown(many)


def test_a_page_without_stages_shows_the_findings():
    """Findings of the verdict alone are not lost when there is no section to hold them."""
    verdict = {
        "state": "BAD",
        "findings": [{"state": "BAD", "says": "lag", "value": 7, "unit": "s"}],
    }
    alone = Page(title="t", verdict_json=verdict, generated_at=START)
    assert "7 s" in Reader(html(alone)).words
    assert "| BAD | lag | 7 s |" in markdown(alone)


def test_a_chart_that_failed_is_a_caption():
    """A chart without pictures, or with bytes that are no PNG, leaves its reason and no image."""
    base = page()
    broken = [replace(plain_charts()["lag"], png=png, note="why") for png in (b"", b"<svg>")]
    section = replace(base.sections[1], charts=tuple(broken))
    source = html(replace(base, sections=(section,), drill=None))
    assert not Reader(source).named("img")
    assert source.count("why") == 2


def test_the_same_page_gives_the_same_bytes():
    """Nothing in the page depends on the clock or the machine."""
    assert html(page()) == html(page())
    assert "/work" not in html(page())


def test_other_places_stand_beside_the_evidence_that_they_show():
    """Explore, panel and search are links of one row; one that may not be a link is text."""
    base = "http://127.0.0.1:3000"
    told = [
        ("metric_delta", "increase", "http://127.0.0.1:9090/graph"),
        ("explore", "query", f"{base}/explore?x=1"),
        ("panel", "Retries", f"{base}/d/board?viewPanel=2"),
        ("panel", "Elsewhere", "javascript:alert(1)"),
        ("graph", "outbox_lag_events", "http://127.0.0.1:9090/graph?y=2"),
    ]
    evidence = [{"kind": kind, "ref": ref, "says": "", "url": url} for kind, ref, url in told]
    page = Page(title="t", verdict_json={"state": "BAD", "evidence": evidence}, generated_at=START)
    shown = html(page)
    assert f'<span class="also">&nbsp;· <a href="{base}/d/board?viewPanel=2" rel' in shown
    assert 'href="javascript' not in shown
    assert shown.count('<td class="tight">') == 3
    assert f"[explore](<{base}/explore?x=1>) · [panel](<{base}/d/board?" in markdown(page)


def test_a_stage_that_looks_for_no_cause_misses_none():
    """Its report says neither that the cause is unknown nor what to do about that."""
    verdict = {"state": "WARN", "headline": "2 gaps.", "cause": "unknown", "abstained": True}
    aside = html(Page(title="t", verdict_json={**verdict, "actions": []}, generated_at=START))
    assert "unknown" not in aside
    actions = [{"kind": "check", "says": "Look."}]
    lost = html(Page(title="t", verdict_json={**verdict, "actions": actions}, generated_at=START))
    assert "unknown" in lost
