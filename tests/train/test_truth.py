"""A promise can be checked by anybody, and be kept by nobody who changed his mind."""

from __future__ import annotations

import pytest

from loomtriage.drills.book import DRILLS
from loomtriage.errors import BundleDamaged
from loomtriage.train.truth import check_promise, promise, truth_of
from tests.train.rounds import TRUTH


def test_a_kept_promise_is_kept():
    """Nonce and truth lead to what was published before."""
    made = promise(TRUTH)
    check_promise("r", made.truth, nonce=made.nonce.hex(), commit=made.commit)


@pytest.mark.parametrize(
    "change",
    [{"causes": ["es_429"]}, {"drill": "es_dowm"}, {"replay": None}, {"run": "a run "}],
)
def test_one_changed_byte_is_found(change):
    """Whatever is told otherwise than it was promised is refused, by the round's name."""
    made = promise(TRUTH)
    with pytest.raises(BundleDamaged, match="round r1 has SHA-256"):
        check_promise("r1", {**made.truth, **change}, nonce=made.nonce.hex(), commit=made.commit)


def test_another_nonce_is_found():
    """Nobody can look for a nonce that makes another truth come out, nor leave it out."""
    made = promise(TRUTH)
    for nonce in (bytes(32).hex(), "", "no hex"):
        with pytest.raises(BundleDamaged):
            check_promise("r", made.truth, nonce=nonce, commit=made.commit)


def test_the_same_truth_is_promised_differently():
    """Nobody who knows the few possible truths can try them out on the commitment."""
    assert promise(TRUTH).commit != promise(TRUTH).commit


def test_the_nonce_is_not_shown():
    """What is printed of a promise by accident does not tell it."""
    assert "es_down" not in repr(promise(TRUTH))
    assert "nonce" not in repr(promise(TRUTH))


@pytest.mark.parametrize(
    ("drill", "replay", "actions"),
    [
        ("es_down", False, ("wait",)),
        ("es_poison_4xx", True, ("fix_data",)),
        ("es_write_block", True, ("replay",)),
        ("slow_es", None, ()),
        ("placebo", None, ()),
    ],
)
def test_truth_follows_from_the_drill(drill, replay, actions):
    """What is right to do stands in drill and contract; where no rule knows, nothing is judged."""
    truth = truth_of(DRILLS.get(drill, noun="drill"), run="x")
    assert (truth.replay, truth.actions) == (replay, actions)
