"""What a table does with words: none of ours is cut in two, on screens and on paper."""

from __future__ import annotations

import re

import pytest

from loomtriage.model import State, judge
from loomtriage.report import Page, Section, html
from loomtriage.report.tables import Table
from tests.report.make import START
from tests.report.test_browser import Visit, chromium

pytestmark = pytest.mark.browser
__all__ = ["chromium"]

WORDS = ("es_down", "WARNING", "outbox.process", "fix_data", "search_index_to_elastic")
A4_PX = 695
"""Width of A4 within the margins of the page."""
CUT = """() => {
  const cut = [];
  for (const cell of document.querySelectorAll('td, th')) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let node; (node = walk.nextNode());)
      for (const word of node.data.matchAll(/\\S+/g)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        const tops = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
        if (tops.size > 1) cut.push(word[0]);
      }
  }
  return cut;
}"""


def crowded(last: str) -> str:
    """A page with one table that is fuller than a page is wide."""
    table = Table(
        id="t",
        title="t",
        columns=("cause", "level", "step", "do", "projection", "why", "error"),
        rows=((*WORDS, "one sentence of many short words " * 6, last),),
    )
    section = Section(id="s", title="s", verdict=judge([]), tables=(table,))
    verdict = {"state": str(State.OK), "headline": "h"}
    return html(Page(title="t", verdict_json=verdict, sections=(section,), generated_at=START))


@pytest.fixture
def cut(chromium, tmp_path):
    """Words that stand on two lines, in a medium."""

    def seen(source: str, media: str) -> list[str]:
        file = tmp_path / f"{media}.html"
        file.write_text(source, encoding="utf-8")
        visit = Visit(chromium, file, viewport={"width": A4_PX, "height": 900})
        visit.page.emulate_media(media=media)
        found = visit.page.evaluate(CUT)
        visit.page.close()
        return found

    return seen


@pytest.mark.parametrize("media", ["screen", "print"])
def test_no_name_is_cut_however_full_the_table(cut, media):
    """Columns stay as wide as their words; sentences give way."""
    assert cut(crowded("mapping_conflict"), media) == []


@pytest.mark.parametrize("media", ["screen", "print"])
def test_only_what_no_column_can_hold_is_cut(cut, media):
    """Control: a word wider than any name is cut, so that the table stays on its page."""
    assert cut(crowded("w" * 200), media) == ["w" * 200]


def test_a_hash_stands_once_and_a_trace_id_whole():
    """What people compare by eye is short, what they must copy is not, and nothing comes twice."""
    trace, digest = "ab" * 16, f"sha256:{'cd' * 32}"
    evidence = [{"kind": k, "ref": r, "says": "s"} for k, r in (("trace", trace), ("line", digest))]
    verdict = {"state": "BAD", "headline": "h", "evidence": evidence}
    words = re.sub(r"<[^>]*>", " ", html(Page(title="t", verdict_json=verdict, generated_at=START)))
    assert words.count(trace) == 1
    assert digest not in words
    assert f"{digest[:19]}…" in words
