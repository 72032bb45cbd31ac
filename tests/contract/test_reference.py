"""The reference pages name everything that the contract holds, and nothing that it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loomtriage.contract.catalogue import METRICS
from loomtriage.contract.demands import DEMANDS
from loomtriage.contract.events import EVENTS
from loomtriage.contract.keys import PIVOTS, SCOPE_KEYS
from loomtriage.contract.reasons import REASONS
from loomtriage.contract.spans import SPANS
from loomtriage.contract.targets import BY_PORT

REFERENCE = Path(__file__).parents[2] / "docs/reference"

FIRST_COLUMN = [
    ("contract", "Keys of the scope", [key.name for key in SCOPE_KEYS]),
    ("contract", "Pivots", [key.name for key in PIVOTS]),
    ("contract", "Reasons", [reason.name for reason in REASONS]),
    ("contract", "Metrics", [metric.name for metric in METRICS]),
    ("contract", "Spans", [kind.operation for kind in SPANS]),
    ("contract", "Structured lines", [kind.event for kind in EVENTS]),
    ("contract", "Targets", [str(port) for port in sorted(BY_PORT)]),
    ("conform", "Demands", [f"conform.{demand.id}" for demand in DEMANDS]),
]


def _first_column(page: str, heading: str) -> list[str]:
    text = (REFERENCE / f"{page}.md").read_text(encoding="utf-8")
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [row.split("|")[1].strip(" `*") for row in part.splitlines() if row.startswith("| ")]
    return [cell for cell in rows[1:] if not re.fullmatch("-+", cell)]


@pytest.mark.parametrize(("page", "heading", "names"), FIRST_COLUMN, ids=lambda v: str(v)[:20])
def test_the_page_lists_the_contract(page, heading, names):
    """Same names, same order; a new entry without its row is noticed."""
    assert _first_column(page, heading) == names
