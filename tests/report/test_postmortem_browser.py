"""The incident report in a real browser: it only shows itself, and is readable everywhere."""

from __future__ import annotations

import pytest

from loomtriage.report.postmortem import html
from tests.report.make_incident import incident
from tests.report.payloads import SCRIPTS
from tests.report.test_browser import (  # noqa: F401  (fixtures are found by name)
    CONTRAST,
    chromium,
    visit,
    without_policy,
)

pytestmark = pytest.mark.browser


def test_the_draft_asks_for_nothing(visit):  # noqa: F811  (the fixture)
    """No request, no complaint, its picture is drawn."""
    seen = visit(html(incident()))
    assert (seen.outside(), seen.messages) == ([], [])
    assert seen.page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")


@pytest.mark.parametrize("words", SCRIPTS[::4])
def test_no_payload_runs_in_the_draft(visit, words):  # noqa: F811
    """A payload in every text at once runs nothing, even without the policy."""
    seen = visit(without_policy(html(incident(lambda _: words, url=words))))
    assert (seen.poked(), seen.outside(), seen.messages) == (0, [], [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_draft_is_readable(visit, scheme):  # noqa: F811
    """Every text has a contrast of 4.5 or more, on screens and on paper."""
    seen = visit(html(incident()), color_scheme=scheme)
    assert seen.page.evaluate(CONTRAST)[0] >= 4.5
    seen.page.emulate_media(media="print", color_scheme=scheme)
    assert seen.page.evaluate(CONTRAST)[0] >= 4.5


@pytest.mark.parametrize("words", ["plain", "w" * 20_000])
def test_the_draft_fits_a_phone(visit, words):  # noqa: F811
    """No words make it wider than a phone."""
    source = html(incident()) if words == "plain" else html(incident(lambda _: words, url=words))
    seen = visit(source, viewport={"width": 390, "height": 800})
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390
