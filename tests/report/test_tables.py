"""What a table promises wherever it is shown."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from loomtriage.report import Table
from tests.report.payloads import LABELS, SCRIPTS, SPOOFS


def table(words: str, rows: int = 1) -> Table:
    """A table that says the same in every place."""
    return Table(
        id="t", title=words, columns=(words, words), rows=((words, words),) * rows, note=words
    )


class Shape(HTMLParser):
    """Tags and attribute names of a page, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, tuple(name for name, _ in attrs)))


def shape(page: str) -> list[tuple[str, tuple[str, ...]]]:
    """Feed and read."""
    parser = Shape()
    parser.feed(page)
    parser.close()
    return parser.seen


@pytest.mark.parametrize("words", [*SCRIPTS, *LABELS, *SPOOFS])
def test_a_notebook_shows_text_only(words):
    """Title, heads, cells and note are escaped: the markup equals that of a harmless twin."""
    twin = shape(table("benign")._repr_html_())
    assert [entry for entry in shape(table(words)._repr_html_()) if entry[0] != "p"] == [
        entry for entry in twin if entry[0] != "p"
    ]


def test_rows_of_any_width_fit_the_head():
    """Short rows are filled up and long ones cut, so that no cell stands under a wrong head."""
    odd = Table(id="t", title="t", columns=("a", "b"), rows=(("1",), ("1", "2", "3"), ()))
    assert odd.shown() == (("1", ""), ("1", "2"), ("", ""))


def test_hidden_rows_are_counted():
    """Rows beyond the limit are not shown, and said."""
    long = table("x", rows=250)
    assert len(long.shown()) == 200
    assert "50 more rows are not shown." in long._repr_html_()
    assert "240 more rows" in long.markdown(10)


def test_numbers_align_right():
    """A column of numbers, with units or holes, is numeric; one with a word in it is not."""
    mixed = Table(
        id="t",
        title="t",
        columns=("a", "b", "c"),
        rows=(("1.5 ms", "7", ""), ("-3", "x7", ""), ("", "1e3", "")),
    )
    assert mixed.numeric() == (True, False, False)


def test_an_empty_table_is_no_accident():
    """No rows and no columns are both shown without fuss."""
    empty = Table(id="t", title="t", columns=(), rows=((),))
    assert empty.markdown() == ""
    assert "<table>" in empty._repr_html_()
    assert Table(id="t", title="t", columns=("a",), rows=()).numeric() == (False,)


def test_a_table_without_rows_is_one_line_and_an_empty_column_none():
    """No head without a body: what there is to say stands in its note."""
    empty = Table(id="t", title="Loops", columns=("kind", "do"), rows=(), note="None was found.")
    assert empty.markdown() == "**Loops**: None was found."
    half = Table(id="t", title="t", columns=("a", "why", "b"), rows=(("1", "", "2"), ("3", "", "")))
    assert half.trimmed().columns == ("a", "b")
    assert half.trimmed().rows == (("1", "2"), ("3", ""))


def test_names_of_ours_are_never_long():
    """Only a word that no column should be as wide as may be cut."""
    assert not Table.is_long("chronicle_events_to_entries projection.process_batch " * 9)
    assert Table.is_long(f"see {'w' * 60}")
