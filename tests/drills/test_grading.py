"""Grading counts what was answered blind, and nothing that was not proven."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loomtriage.cli import main
from loomtriage.drills.grading import read_board
from loomtriage.drills.result import RESULT_FILE, DrillResult, TriageAnswer
from loomtriage.errors import BundleDamaged
from loomtriage.model import Finding, Scope, State
from loomtriage.runner.folder import Staging, windows_json
from tests.make import BASELINE, WINDOW


def result(
    drill: str,
    answer: str,
    *,
    placed: bool = True,
    doubts: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
) -> DrillResult:
    """A drill that proved its fault and was answered."""
    scope = Finding(check="drill.scope", state=State.OK if placed else State.WARN, says="")
    return DrillResult(
        id=drill,
        title=drill,
        state=State.OK,
        says="Witnessed.",
        expectations=(scope,),
        witness=("A connection of our own was refused.",),
        restored=True,
        triage=TriageAnswer(
            cause=answer, state=State.BAD, scope=Scope(), headline=answer, doubts=doubts, also=also
        ),
    )


def sealed(out, *results: DrillResult):
    """One sealed run folder each."""
    for one in results:
        folder = Staging(f"drill-{one.id}", out)
        folder.write_json(RESULT_FILE, one.as_json())
        folder.seal({"parameters": {}, "sources": {}, **windows_json(WINDOW, BASELINE)})
    return out


def test_right_wrong_and_unknown_are_told_apart(tmp_path):
    """An accepted second cause is right; `unknown` is right only where no rule may know."""
    board = read_board(
        [
            sealed(
                tmp_path,
                result("es_down", "es_down"),
                result("es_429", "es_down", placed=False),
                result("es_429", "unknown"),
                result("stuck_in_the_dark", "collector_down"),
                result("clock_skew", "unknown", doubts=("clocks",)),
                result("clock_skew", "unknown", doubts=("silent_log",)),
                result("placebo", "none"),
                result("placebo", "es_slow"),
            )
        ]
    )
    assert (len(board.rounds), board.right, board.invalid) == (8, 4, 0)
    assert sum(one.abstained for one in board.rounds) == 2
    assert (board.false_alarms, len(board.placebos)) == (1, 2)
    assert board.state is State.BAD
    taken = {row[0]: row[4] for row in board.confusion().rows}
    assert taken["es_429"] == "1 × es_down, 1 × unknown"


def test_only_drills_with_a_place_count_as_placed(tmp_path):
    """A drill whose place is anywhere is found nowhere: it swells no share."""
    rounds = (
        result("es_down", "es_down"),
        result("es_429", "es_429", placed=False),
        result("collector_down", "collector_down"),
        result("placebo", "none"),
    )
    figures = dict(read_board([sealed(tmp_path, *rounds)]).figures().rows)
    assert figures["right cause"] == "4 of 4"
    assert figures["right scope, where the cause is right"] == "1 of 2"


def test_one_of_two_faults_is_right_and_not_all(tmp_path):
    """Where two faults stand, how often both were named is a figure of its own."""
    rounds = (
        result("es_429_and_poison", "es_429"),
        result("stuck_in_the_dark", "collector_down", also=("stuck_reclaim",)),
        result("es_down", "es_down"),
    )
    figures = dict(read_board([sealed(tmp_path, *rounds)]).figures().rows)
    assert figures["right cause"] == "3 of 3"
    assert figures["every fault named, where several stood"] == "1 of 2"


def test_what_proved_nothing_is_not_graded(tmp_path):
    """No witness, a broken harness, an interruption, no answer: counted apart.

    That the lab was not restored as well makes none of them valid.
    """
    unrest = "The lab did not come to rest in 41 s."
    fine = result("es_down", "none")
    board = read_board(
        [
            sealed(
                tmp_path,
                replace(fine, state=State.NO_DATA, invalid="the fault did not act"),
                replace(fine, state=State.ERROR),
                replace(fine, interrupted="SIGTERM"),
                replace(fine, triage=None),
                replace(fine, state=State.BAD, says=unrest, witness=()),
                replace(fine, state=State.BAD, says=unrest, invalid="the lease was lost"),
            )
        ]
    )
    assert (board.rounds, board.invalid, board.state) == ((), 6, State.NO_DATA)


def test_a_proven_fault_counts_although_the_lab_was_left_otherwise(tmp_path):
    """What was answered before the restore failed is an answer like any other."""
    left = replace(result("es_down", "es_down"), state=State.BAD, says="Not as before: ports.")
    board = read_board([sealed(tmp_path, left)])
    assert (len(board.rounds), board.invalid) == (1, 0)


def test_a_touched_run_is_refused(tmp_path):
    """Nobody gets a better figure by editing an answer."""
    run = next(sealed(tmp_path, result("es_down", "none")).iterdir())
    file = run / RESULT_FILE
    file.write_text(file.read_text().replace('"none"', '"es_down"'))
    with pytest.raises(BundleDamaged, match="SHA-256"):
        read_board([tmp_path])


@pytest.mark.parametrize(
    ("answers", "code"), [(("es_down",), 0), (("unknown",), 1), (("es_429",), 1), ((), 3)]
)
def test_the_command_says_so(tmp_path, capsys, answers, code):
    """Exit code and figures; without any run it is no data, never a pass."""
    sealed(tmp_path, *(result("es_down", one) for one in answers))
    with pytest.raises(SystemExit) as stopped:
        main(["grade", str(tmp_path), "--json"])
    assert stopped.value.code == code
    assert json.loads(capsys.readouterr().out)["rounds"] == len(answers)


def counting(result_, what: str, value: float) -> DrillResult:
    """The same result with one more count."""
    seen = Finding(check=f"drill.{what}", state=State.OK, says="", value=value)
    return replace(result_, expectations=(*result_.expectations, seen))


def test_counts_of_drills_that_ran_again_are_spread(tmp_path):
    """Least, median and most of what moves; what rests, and what ran once, is left out."""
    rises, flat = "rises failed reason=x", "flat terminal_failed"
    down = result("es_down", "es_down")
    rounds = [counting(down, rises, value) for value in (12.0, 40.0, 20.0)]
    rounds.append(counting(down, flat, 0.0))
    once = counting(result("es_429", "es_429"), rises, 3.0)
    board = read_board([sealed(tmp_path, *rounds, once)])
    assert board.spread().rows == (("es_down", rises, "3", "OK", "12", "20", "40"),)
    assert read_board([sealed(tmp_path / "once", once)]).spread().rows == ()
