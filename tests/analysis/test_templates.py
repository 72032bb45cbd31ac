"""Log templates: what is new, what is gone, and what a short baseline cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomtriage.analysis.templates import MOST_KEYS, SKELETON_CAP, compare, poisson_tail, skeleton
from tests.make import line, lines


def many(event: str, count: int, *, level: str = "INFO"):
    return [line(event, event=event, level=level) for _ in range(count)]


def test_a_new_kind_is_claimed_with_its_chance_and_bound():
    """Nine lines where the baseline had none in 300: its rate was below 1 %."""
    found = compare(
        lines(*many("a", 300), *many("b", 9, level="ERROR")), lines(*many("a", 300)), exposure=1.0
    )
    assert (found[0].key, found[0].new, found[0].passes) == ("b", True, True)
    assert found[0].rate_below == pytest.approx(0.01)
    assert found[0].chance == pytest.approx(poisson_tail(9, 0.5))


def test_a_short_baseline_claims_no_novelty():
    """Below 100 lines nobody can say that a kind was absent."""
    found = compare(lines(*many("b", 9)), lines(*many("a", 99)), exposure=1.0)
    assert not any(t.new for t in found)


def test_a_kind_that_is_gone_counts_too():
    """Silence of a line that was there is a change with a negative sign."""
    found = compare(lines(*many("a", 200)), lines(*many("a", 200), *many("b", 50)), exposure=1.0)
    (gone,) = [t for t in found if t.gone]
    assert (gone.key, gone.passes, gone.rows) == ("b", True, ())
    assert gone.g2 < 0


def test_kinds_are_capped_and_the_rest_is_counted():
    """A line whose text never repeats does not make endless kinds."""
    found = compare(
        lines(*(line(f"{chr(97 + i % 26)}{'x' * (i // 26)}") for i in range(MOST_KEYS + 40))),
        lines(),
        exposure=1.0,
    )
    assert len(found) == MOST_KEYS + 1
    assert sum(t.lines for t in found) == MOST_KEYS + 40


def test_logger_and_level_tell_kinds_apart():
    """The same text as INFO and as ERROR is two kinds."""
    found = compare(lines(line("gone"), line("gone", level="ERROR")), lines(), exposure=1.0)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("row 7 of 12.5", "row <n> of <n>"),
        ("id 44555173-16b8-49d5-b9fa-201f7de3afd4 x", "id <uuid> x"),
        ("trace 9b9026676d1eac4e0db7e31f3684590c", "trace <hex>"),
        ("no key 'abc' in \"def\"", "no key <text> in <text>"),
        ("a\nb", "a"),
    ],
)
def test_ids_numbers_and_quotes_are_masked(message, masked):
    """What differs between two lines of a kind is masked."""
    assert skeleton(message) == masked


@given(st.text())
def test_any_text_becomes_a_short_skeleton(text):
    """No text is too long or too strange."""
    assert len(skeleton(text)) <= SKELETON_CAP


@pytest.mark.parametrize(("count", "mean", "tail"), [(0, 2, 1.0), (1, 1, 0.6321), (3, 1, 0.0803)])
def test_the_poisson_tail_is_the_textbook_one(count, mean, tail):
    """P(N ≥ 1) of mean 1 is 1 - 1/e."""
    assert poisson_tail(count, mean) == pytest.approx(tail, abs=1e-4)
