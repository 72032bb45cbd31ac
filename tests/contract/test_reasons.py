"""The closed enum of reasons, and how old names map onto it."""

from __future__ import annotations

import pytest

from loomtriage.contract import catalogue, causes, reasons, spans
from loomtriage.contract.keys import canonical_projection, read_key
from loomtriage.contract.reasons import canonical

TABLE = [
    ("es_connect", None, "es_unreachable"),
    ("connect", None, "es_unreachable"),
    ("es_429", None, "rate_limited"),
    ("es_4xx", 400, "mapping_conflict"),
    ("es_4xx", 403, "es_write_blocked"),
    ("es_4xx", 404, "es_4xx"),
    ("es_4xx", None, "es_4xx"),
    ("owner_mismatch", None, "db_contention"),
    ("mapping_conflict", None, "mapping_conflict"),
    ("none", None, "none"),
]


@pytest.mark.parametrize(("written", "status", "expected"), TABLE)
def test_old_names_map_onto_canonical_ones(written, status, expected):
    """Aliases resolve, with the HTTP status where only it can tell."""
    assert canonical(written, status=status) == expected


def test_an_unknown_reason_stays_as_written():
    """It is reported, never guessed."""
    assert canonical("es_weird") == "es_weird"
    assert not reasons.is_known("es_weird")


@pytest.mark.parametrize("name", sorted(reasons.BY_NAME))
def test_a_canonical_name_maps_onto_itself(name):
    """Mapping twice changes nothing."""
    assert canonical(name) == name


@pytest.mark.parametrize(
    "ids",
    [
        [r.name for r in reasons.REASONS],
        [c.id for c in causes.CAUSES],
        [m.id for m in catalogue.METRICS],
        [m.name for m in catalogue.METRICS],
        [s.operation for s in spans.SPANS],
    ],
)
def test_no_name_stands_twice(ids):
    """Two entries of one name would make a look-up depend on order."""
    assert len(ids) == len(set(ids))


def test_the_contract_spelling_wins_over_older_ones():
    """A span that carries both families is read by the contract's."""
    attributes = {"wordloom.projection": "search_index_to_elastic", "projection": "chronicle"}
    assert read_key("projection", attributes) == "search_index_to_elastic"
    assert read_key("projection", {"projection": "search"}) == "search_index_to_elastic"
    assert canonical_projection("other") == "other"
    assert read_key("reason", {}) == ""
