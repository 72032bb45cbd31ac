"""What `text` and `md` promise about words from outside."""

from __future__ import annotations

import unicodedata

import mistune
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from loomtriage.report.text import LABEL, clean, clip, label, md, md_code, text
from tests.report.payloads import LABELS, SCRIPTS, SPOOFS

HOSTILE = (*SCRIPTS, *LABELS, *SPOOFS)
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("a\x00b", "a␀b"),
        ("a\x7fb", "a␡b"),
        ("a\nb", "a␤b"),
        ("\x85", "⟨U+0085⟩"),
        ("\u202eKO", "⟨U+202E⟩KO"),
        ("O\u200bK", "O⟨U+200B⟩K"),
        ("\ud800", "⟨U+D800⟩"),
        ("\u3164", "⟨U+3164⟩"),
        ("a\u00a0b", "a b"),
        ("e\u0301", "e\u0301"),
        ("x" + "\u0336" * 5, "x\u0336\u0336⟨+3 marks⟩"),
        ("漢字 naïve мир", "漢字 naïve мир"),
        (None, ""),
        (b"\xff\x00", "\\xff␀"),
        ("", ""),
    ],
)
def test_what_is_invisible_is_shown(given_, shown):
    """Controls, direction marks, zero widths, surrogates show; honest words stay as they are."""
    assert text(given_) == shown


def test_newlines_stay_only_where_asked():
    """A command may have lines; a carriage return never hides what stands before it."""
    assert text("a\r\nb\rc", lines=True) == "a\nb␍c"


def test_a_long_text_is_cut_and_says_so():
    """100 000 characters become the limit and a count of the rest."""
    assert text("a" * 100_000, limit=10) == "a" * 10 + "… (99990 more characters)"


def test_markup_is_no_way_around():
    """What somebody calls safe HTML comes out as a plain string, to be escaped like any other."""
    assert type(text(Markup("<b>x</b>"))) is str


@given(st.text(st.characters()))
def test_nothing_invisible_gets_through(raw):
    """Whatever goes in, what comes out can be encoded, seen, and cleaned again without change."""
    shown = text(raw, limit=200)
    shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & INVISIBLE
    assert clean(shown) == shown


@pytest.mark.parametrize("raw", HOSTILE)
def test_a_label_fits_a_chart(raw):
    """No label is longer than a chart can draw, or holds anything but visible characters."""
    assert len(label(raw)) <= LABEL
    assert clean(label(raw)) == label(raw)


def rendered(source: str) -> str:
    """The Markdown as a chat would show it, raw HTML allowed, links and tables on."""
    return mistune.create_markdown(escape=False, plugins=["table", "url", "strikethrough"])(source)


@pytest.mark.parametrize(
    "raw", [*HOSTILE, "**b** _i_ ~~s~~", "# h", "- x", "1. x", "> q", "```\nx"]
)
@pytest.mark.parametrize("frame", ["{}", "- {}", "| a | b |\n| --- | --- |\n| {} | c |"])
def test_markdown_of_foreign_text_is_only_text(raw, frame):
    """No markup, link, picture or second cell comes out of foreign text, in prose or in a table."""
    twin = rendered(frame.format("benign"))
    words = md(raw)
    if words:
        assert tags(rendered(frame.format(words))) == tags(twin)


def tags(page: str) -> list[str]:
    """The tags of a page in order, without text."""
    return [part.split(">")[0] for part in page.split("<")[1:]]


@pytest.mark.parametrize("raw", [*SCRIPTS, "a | b", "``x`", "`", "x`"])
def test_markdown_code_is_only_code(raw):
    """A code span cannot be left, in a table cell too."""
    frame = "| a | b |\n| --- | --- |\n| {} | c |"
    twin = tags(rendered(frame.format("`benign`")))
    assert tags(rendered(frame.format(md_code(raw, in_table=True)))) == twin


def test_nobody_is_called_and_no_emoji_appears():
    """`@team` notifies nobody, `:white_check_mark:` does not turn into a green tick."""
    shown = md("@team :white_check_mark: at 14:21:34")
    assert "@team" not in shown
    assert ":white" not in shown
    assert "14:21:34" in shown


@pytest.mark.parametrize(
    ("words", "limit", "kept"),
    [
        ("short", 10, "short"),
        ("start it, then restart", 16, "start it, then…"),
        ("start it, then restart", 10, "start it…"),
        ("w" * 50, 10, "w" * 9 + "…"),
    ],
)
def test_what_is_cut_is_seen_to_be_cut(words, limit, kept):
    """Between two words where there are two, and always with a mark."""
    assert clip(words, limit) == kept
    assert len(clip(words, limit)) <= limit
