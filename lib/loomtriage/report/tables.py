"""Tables: rows of plain text under a title, shown in a page, a notebook or Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape

from loomtriage.report.text import md, text

_NUMBER = re.compile(r"[+\-−]?[\d.,]{1,20}([eE][+-]?\d{1,3})?( ?[%A-Za-zµ/²]{1,12})?")

LONG_WORD = 28
"""Characters up to which no word of a cell is cut; the names of Wordloom are shorter."""

NOTHING = "nothing to list."
"""What stands for a table without rows and without a note."""

MAX_ROWS = 200
"""Rows shown; the rest is counted. A page is for reading, the run folder keeps everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A small table whose cells are text and nothing but text.

    Attributes:
        id: stable id, unique in a page.
        title: caption.
        columns: column heads.
        rows: cells, one per column; short rows are filled up, long ones cut.
        note: one sentence below, empty when there is nothing to add.
    """

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def trimmed(self) -> Table:
        """The table without the columns in which no row says anything."""
        rows = self._even(len(self.rows))
        kept = [n for n in range(len(self.columns)) if not rows or any(row[n] for row in rows)]
        return replace(
            self,
            columns=tuple(self.columns[n] for n in kept),
            rows=tuple(tuple(row[n] for n in kept) for row in rows),
        )

    def shown(self, max_rows: int = MAX_ROWS) -> tuple[tuple[str, ...], ...]:
        """The first rows, every cell cleaned and every row as wide as the head."""
        return tuple(tuple(text(cell) for cell in row) for row in self._even(max_rows))

    def notes(self, max_rows: int = MAX_ROWS) -> str:
        """The note, and how many rows are not shown."""
        hidden = len(self.rows) - max_rows
        more = f"{hidden} more rows are not shown." if hidden > 0 else ""
        return " ".join(part for part in (text(self.note), more) if part)

    def numeric(self) -> tuple[bool, ...]:
        """Per column, whether it holds numbers only and so aligns right."""
        columns = zip(*self.shown(), strict=True) if self.rows else [()] * len(self.columns)
        return tuple(
            any(cells) and all(is_number(cell) for cell in cells if cell) for cells in columns
        )

    def absence(self) -> str:
        """What stands for the table where it has no rows."""
        return self.notes() or NOTHING

    @staticmethod
    def is_long(cell: str) -> bool:
        """Whether a cell holds a word that its column need not be as wide as."""
        return any(len(word) > LONG_WORD for word in cell.split())

    def markdown(self, max_rows: int = MAX_ROWS) -> str:
        """The table in Markdown; foreign text is escaped."""
        if not self.columns:
            return ""
        if not self.rows:
            return f"**{md(self.title)}**: {md(self.absence())}"
        head = [md(name) or " " for name in self.columns]
        rule = ["---:" if numeric else "---" for numeric in self.numeric()]
        rows = [[md(cell) for cell in row] for row in self._even(max_rows)]
        body = [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]
        parts = [f"**{md(self.title)}**", "\n".join(body)]
        note = self.notes(max_rows)
        return "\n\n".join([*parts, md(note)] if note else parts)

    def plain(self, max_rows: int = MAX_ROWS) -> str:
        """The table for a terminal: columns padded with spaces, numbers to the right."""
        cells = (tuple(map(text, self.columns)), *self.shown(max_rows))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        right = self.numeric()
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, right, strict=True)
            ).rstrip()
            for row in cells
        ]
        return "\n".join([text(self.title), *lines, self.notes(max_rows)]).rstrip()

    def _even(self, max_rows: int) -> tuple[tuple[str, ...], ...]:
        width = len(self.columns)
        return tuple((*row[:width], *[""] * (width - len(row))) for row in self.rows[:max_rows])

    def _repr_html_(self) -> str:
        # JupyterLab aligns every cell right, which suits numbers only.
        side = [f' style="text-align:{"right" if n else "left"}"' for n in self.numeric()]
        head = "".join(
            f'<th scope="col"{at}>{escape(text(name))}</th>'
            for name, at in zip(self.columns, side, strict=True)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{at}>{escape(cell)}</td>" for cell, at in zip(row, side, strict=True))
            + "</tr>"
            for row in self.shown()
        )
        note = f"<p>{escape(self.notes())}</p>" if self.notes() else ""
        return (
            f"<table><caption>{escape(text(self.title))}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{note}"
        )


def is_number(cell: str) -> bool:
    """Whether a cell is a number, perhaps with a short unit behind it."""
    return _NUMBER.fullmatch(cell) is not None
