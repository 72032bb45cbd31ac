"""The triage and two dumb baselines take the same rounds, and the figures say what they rest on."""

from __future__ import annotations

import json

import pytest

from loomtriage.case import open_case
from loomtriage.cli import main
from loomtriage.model import State
from loomtriage.train.contest import answered, drawn, hold, wilson
from loomtriage.train.pool import recorded_runs
from loomtriage.train.shifted import Shift
from tests.train.rounds import EXAMPLES, pool_of


def quiet(_line):
    """Nobody listens."""


def test_twenty_rounds_of_the_book(capsys):
    """The triage is right in nearly all, both baselines are far below, no placebo is a fault."""
    with pytest.raises(SystemExit):
        main(["grade", str(EXAMPLES), "--rounds=20", "--seed=7", "--quick", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["rounds"], told["live"]) == (20, 0)
    right = {
        name: sum(set(one[name].split(", ")) <= set(one["causes"]) for one in told["answers"])
        for name in told["figures"]
    }
    ours, words, always = right.values()
    assert ours >= 19
    assert max(words, always) < ours - 3
    assert told["figures"]["triage"]["placebo called a fault"].startswith("0 of ")


def test_the_same_seed_draws_the_same_rounds():
    """A figure can be repeated by whoever has the runs, and another seed is another draw."""
    pool = recorded_runs(EXAMPLES)
    first, again, other = (
        [(run.folder.name, shift) for run, shift in drawn(pool, 10, seed)] for seed in (7, 7, 8)
    )
    assert first == again != other


@pytest.mark.parametrize("told", [{"invalid": "the lease was lost"}, {"witness": []}])
def test_a_run_that_proved_nothing_is_no_round(tmp_path, told):
    """It is promised to nobody as the truth, also where a lab left in unrest was the worse news."""
    pool = pool_of(tmp_path, "es_down", "placebo")
    file = pool / "es_down" / "drill.json"
    unrest = {"state": "BAD", "says": "The lab did not come to rest in 41 s."}
    file.write_text(json.dumps({**json.loads(file.read_text()), **unrest}))
    assert [run.truth.drill for run in recorded_runs(pool)] == ["es_down", "placebo"]
    file.write_text(json.dumps({**json.loads(file.read_text()), **told}))
    assert [run.truth.drill for run in recorded_runs(pool)] == ["placebo"]


def test_no_rounds_are_no_data():
    """Nothing taken is never a pass."""
    assert hold((), rounds=0, seed=1, say=quiet).state is State.NO_DATA


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(20, 20, 0.8389, 1.0), (0, 20, 0.0, 0.1611), (190, 200, 0.9104, 0.9726)],
)
def test_intervals_are_wilsons(hits, n, low, high):
    """The interval of a share, as tables give it."""
    assert wilson(hits, n) == pytest.approx((low, high), abs=0.0005)


def test_the_triage_names_both_of_two_faults():
    """What it says beside the first cause is said on the form of everybody else, and counts."""
    runs = [one for one in recorded_runs(EXAMPLES) if one.truth.faults]
    told = hold((), rounds=0, seed=1, performed=runs, say=quiet)
    figures = told.as_json()["figures"]
    assert figures["triage"]["both faults named"].startswith("2 of 2 on 2 run(s)")
    assert figures["log words"]["both faults named"].startswith("0 of 2 ")


def test_a_run_that_is_drawn_again_makes_nothing_surer():
    """Intervals rest on as many trials as there are different runs, and say on how many."""
    (run,) = [one for one in recorded_runs(EXAMPLES) if one.folder.name == "es_down"]
    told = hold([run], rounds=30, seed=1, again=False, say=quiet)
    assert (
        told.as_json()["figures"]["triage"]["right cause"] == "30 of 30 on 1 run(s) (21% to 100%)"
    )
    assert "as many trials as there are different runs" in told.figures().note


def test_the_word_count_sees_the_same_window():
    """A window that ends before the first loud line shows the words as little as the triage."""
    (run,) = [one for one in recorded_runs(EXAMPLES) if one.folder.name == "es_down"]
    said = [answered(run, shift)[1].cause for shift in (None, Shift(start=0.1, end=0.999))]
    assert said == ["es_down", "none"]


def test_a_shifted_window_sees_no_more_than_it_asks_for():
    """A window that is a little off shows what lies in it, from every signal."""
    case = open_case("path", source="example:es_down")
    seen = Shift(start=0.1, end=0.2)(case)
    assert case.baseline.start == seen.baseline.start < seen.window.start < case.window.start
    assert seen.window.end < case.window.end
    for what, column in (("lines", "ts"), ("spans", "start")):
        whole, part = case.pull(what).data, seen.pull(what).data
        assert 0 < len(part) < len(whole) or what == "spans"
        assert part[column].max() < seen.window.end
    samples = seen.pull_metrics("retry_scheduled").data
    assert seen.baseline.start <= samples.index[0] < samples.index[-1] < seen.window.end
