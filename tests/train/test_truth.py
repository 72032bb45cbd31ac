"""A promise can be checked by anybody, and be kept by nobody who changed his mind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from loomtriage.contract.causes import BY_ID
from loomtriage.drills.book import DRILLS
from loomtriage.errors import BundleDamaged
from loomtriage.train.remedies import first_actions
from loomtriage.train.truth import check_promise, promise, truth_of
from tests.train.rounds import TRUTH

CARD = Path(__file__).resolve().parents[2] / "docs" / "card.md"


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
        ("es_poison_4xx", True, ("fix_data", "fix_mapping")),
        ("es_bulk_partial", True, ("fix_data", "fix_mapping")),
        ("es_write_block", True, ("replay", "lift")),
        ("db_contention", False, ("restart", "lift")),
        ("stuck_reclaim", False, ("wait", "restart")),
        ("projection_version", None, ("fix_code", "replay")),
        ("collector_down", False, ("restart",)),
        ("es_429_and_poison", True, ("scale", "fix_data", "fix_mapping")),
        ("slow_es", None, ()),
        ("placebo", None, ()),
    ],
)
def test_truth_follows_from_the_drill(drill, replay, actions):
    """What is right to do is what drill and contract say; where no rule knows, none is judged."""
    truth = truth_of(DRILLS.get(drill, noun="drill"), run="x")
    assert (truth.replay, truth.actions) == (replay, actions)


def test_two_faults_are_told_apart_from_two_answers():
    """Only where two faults stood at once are both to be named."""
    several = {name for name in DRILLS if truth_of(DRILLS.get(name, noun="drill"), run="x").faults}
    assert several == {"es_429_and_poison", "stuck_in_the_dark"}


def test_the_card_says_what_is_right():
    """Each cause has its row, and the first thing to do there is one that scores."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in CARD.read_text().splitlines()
        if line.startswith("|")
    ]
    forks = rows[[row[0] for row in rows].index("moved") + 2 :]
    told = {}
    for *_, causes, do in forks:
        for cause in re.findall(r"`(\w+)`", causes):
            told.setdefault(cause, set()).update(re.findall(r"`(\w+)`", do))
    assert told.keys() == BY_ID.keys()
    told.pop("unknown")  # nobody can say what to do about it
    for cause, do in told.items():
        assert do == set(first_actions([cause])), cause
