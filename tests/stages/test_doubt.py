"""What must not pass for health: nothing inside the scope, a stale end, somebody else's answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loomtriage.analysis.increases import measure
from loomtriage.case import open_case
from loomtriage.model import Scope, State
from loomtriage.stages.conclude import conclude
from loomtriage.stages.explaining import lines_in_scope
from loomtriage.stages.locate import locate
from loomtriage.stages.locating import in_scope
from loomtriage.stages.narrowing import _watched, measure_case
from tests.analysis.test_causes import QUIET
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans
from tests.stages.whole import EXAMPLES, triage


def test_no_trace_inside_the_scope_is_no_data():
    """Spans of another projection say nothing about this one."""
    case = open_case("locate", source="example:placebo")
    result = locate(replace(case, scope=Scope(env="nowhere")))
    assert result.verdict.state is State.NO_DATA


def test_a_batch_of_several_ops_is_inside_the_scope_of_one_of_them():
    """A trace is dropped only when none of its rows is meant."""
    case = replace(open_case("locate", source="example:placebo"), scope=Scope(op="upsert"))
    batch = {"operation": "projection.process_batch", "own": "1"}
    table = spans(
        span("mixed", **batch, attributes={"op": "mixed"}),
        span("mixed", "2", "outbox.process", attributes={"op": "delete"}),
        span("mixed", "3", "outbox.process", attributes={"op": "upsert"}),
        span("other", **batch, attributes={"op": "delete"}),
    )
    assert set(in_scope(table, case)["trace_id"]) == {"mixed"}


def test_a_line_of_another_env_proves_nothing():
    """A line that names no env may belong to any."""
    case = replace(open_case("explain", source="example:placebo"), scope=Scope(env="dev"))
    fields = ({"env": "dev"}, {"env": "test"}, {})
    kept = lines_in_scope(lines(*(line("x", fields=f) for f in fields)), case)
    assert list(kept["fields"]) == [fields[0], fields[2]]


def test_the_path_on_a_recorded_run_begins_anew():
    """What the recorded run concluded is neither inherited nor in the way of another question."""
    assert open_case("path", source="example:es_down").scope == Scope()
    assert open_case("path", source="example:es_down", env="dev").scope == Scope(env="dev")
    assert open_case("locate", source="example:es_down").scope.env == "sandbox"


@pytest.mark.parametrize("doubt", ["stale", "partial", "step", "unwatched", "constant", ""])
def test_quiet_metrics_alone_are_not_health(doubt):
    """`none` needs metrics up to the window's end, and traces that do not say otherwise."""
    case = open_case("explain", source="example:placebo")
    found = measure_case(case)
    if doubt == "stale":
        found = replace(found, frame=found.frame.with_caveat("stale: the newest sample is old."))
    if doubt == "partial":
        found = replace(found, frame=found.frame.with_caveat("partial: 1 of 2 workers answered."))
    if doubt == "unwatched":
        found = replace(found, watched=False)
    if doubt == "constant":
        found = replace(found, folded=_failing_all_along())
    if doubt == "step":
        case = replace(case, handover={"step": {"operation": "PUT"}})
    answer = conclude(case, found, QUIET, ())
    assert answer["cause"] == ("unknown" if doubt else "none")
    assert bool(answer["why"]) is bool(doubt)


def test_a_run_made_from_a_recording_can_be_opened_again(tmp_path):
    """Its tape holds every answer that it used."""
    triage("example:es_down", tmp_path)
    kept, recorded = (_keys(f / "tape" / "index.jsonl") for f in (tmp_path, EXAMPLES / "es_down"))
    assert kept
    assert kept == recorded


def test_a_worker_that_falls_silent_is_not_watched():
    """Its last value stands still, which looks like peace."""
    case = open_case("explain", source="example:placebo")
    assert measure_case(case).watched
    half = case.window.start + (case.window.end - case.window.start) / 2
    assert not _watched(case.pull("processed").data.loc[:half], case)


def _failing_all_along():
    retry = column("retry_scheduled", op="upsert", reason="es_unreachable")
    return measure(metrics({retry: ramp(40, 40)}), window=WINDOW, baseline=BASELINE)


def _keys(index: Path) -> set[str]:
    return {json.loads(line)["key"] for line in index.read_text(encoding="utf-8").splitlines()}
