"""Locate: from answers of a trace store to findings, each with its negative control."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loomtriage.case import open_case
from loomtriage.evidence import Evidence
from loomtriage.model import Scope, State
from loomtriage.sources import Sources, Traces
from loomtriage.sources.tape import Live, RawAnswer
from loomtriage.stages.locate import locate
from loomtriage.stages.locate_checks import _why_empty, coverage
from loomtriage.stages.locating import measure_traces
from tests.make import BASELINE, T0, WINDOW, line, lines

SERVICE = "wordloom-search-outbox-worker"
BATCH, ROW = "projection.process_batch", "outbox.process"


def tags(values):
    kinds = {bool: "boolValue", int: "intValue", str: "stringValue"}
    return [{"key": k, "value": {kinds[type(v)]: v}} for k, v in values.items()]


def span(trace, own, name, *, parent=0, at_s, length_s=0.1, kind=1, error=False, **attributes):
    """One span of a trace document; `at_s` counts from the start of the baseline."""
    start = int((T0.timestamp() + at_s) * 1e9)
    return {
        "traceId": f"{trace:032x}",
        "spanId": f"{own:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(length_s * 1e9)),
        "status": {"code": 2 if error else 0},
        "attributes": tags(attributes),
    }


def trace(number, at_s, *, put_s=0.02, status=200, method="PUT", result="ok", **batch):
    """Batch › row › client call, as the worker writes them."""
    told = {"result": result, "wordloom.env": "test"}
    row = {"wordloom.outbox_event_id": f"e{number}"}
    return [
        span(number, 1, BATCH, at_s=at_s, length_s=put_s + 0.02, **(told | batch)),
        span(number, 2, ROW, parent=1, at_s=at_s, length_s=put_s + 0.01, **row),
        span(
            number, 3, method, parent=2, at_s=at_s, length_s=put_s, kind=3, error=status >= 400,
            **{"http.method": method, "http.status_code": status},
        ),
    ]  # fmt: skip


def many(count, start_s, *, first=1, **how):
    return [s for i in range(count) for s in trace(first + i, start_s + i * 0.2, **how)]


def case_of(spans, *, missing="", caveats=(), baseline=BASELINE):
    """A case whose trace store answers with these spans; no other signal is configured."""
    groups = [{"resource": {"attributes": tags({"service.name": SERVICE})},
               "scopeSpans": [{"spans": spans}]}]  # fmt: skip
    body = json.dumps({"result": {"resourceSpans": groups}}).encode()
    raw = RawAnswer(body=b"" if missing else body, missing=missing, caveats=caveats)
    sources = Sources(spec="test", traces=Traces("", tape=Live(), ask=lambda _question: raw))
    opened = open_case("locate", source="example:placebo")
    return replace(
        opened, window=WINDOW, baseline=baseline, scope=Scope(),
        evidence=Evidence(sources=sources), handover={"failing_rows": 0},
    )  # fmt: skip


BEFORE = many(40, 1.0, first=100)


def found(case, check):
    result = locate(case)
    return next((f for f in result.verdict.findings if f.check == check), None), result


@pytest.mark.parametrize(
    ("how", "check", "state", "words"),
    [
        pytest.param(
            {"status": 503, "result": "retry"}, "locate.step", State.BAD,
            f"{SERVICE} › PUT fails under {ROW}: 30 of 30 calls", id="a failing call",
        ),
        pytest.param(
            {"result": "retry"}, "locate.step", State.BAD, f"{BATCH} fails",
            id="a retry without an error tag",
        ),
        pytest.param(
            {"failure_count": 1, "mode": "es_bulk"}, "locate.step", State.BAD, f"{BATCH} fails",
            id="a bulk batch that says ok and counts a failed item",
        ),
        pytest.param(
            {"put_s": 0.4}, "locate.slow_step", State.WARN,
            f"{SERVICE} › PUT is slower: itself takes 400.0 ms a call (median of 30), "
            "baseline 20.0 ms (of 40)", id="a slower call",
        ),
        pytest.param(
            {"method": "HEAD"}, "locate.missing_child", State.WARN,
            f"PUT is missing under {ROW}: in 30 of 30 calls, baseline 0 of 40", id="no call",
        ),
        pytest.param({}, "locate.step", State.OK, "No step fails: 90 spans", id="control: step"),
        pytest.param({}, "locate.slow_step", State.OK, "No step is slower", id="control: slow"),
        pytest.param({}, "locate.missing_child", None, "", id="control: children"),
    ],
)  # fmt: skip
def test_what_changed_is_a_finding_of_its_own(how, check, state, words):
    """The step is named in words with its numbers; the same traces without the change are calm."""
    finding, result = found(case_of(BEFORE + many(30, 31.0, **how)), check)
    if state is None:
        assert finding is None
        return
    assert finding.state is state
    assert words in finding.says
    assert finding.n > 0
    if state is not State.OK:
        assert result.verdict.state is not State.OK


def test_a_delete_that_finds_nothing_has_not_failed():
    """The worker counts a 404 on DELETE as done, so it is no error here; a 404 on PUT is one."""
    for method, state in (("DELETE", State.OK), ("PUT", State.BAD)):
        calm = many(40, 1.0, first=100, method=method)
        now = many(30, 31.0, method=method, status=404)
        finding, _ = found(case_of(calm + now), "locate.step")
        assert finding.state is state


def test_a_slower_step_is_handed_on_with_its_examples():
    """Median trace beside its healthy twin, the worst one below; the next stage gets the ids."""
    now = many(30, 31.0, put_s=0.4) + trace(999, 50.0, put_s=0.9)
    finding, result = found(case_of(BEFORE + now), "locate.slow_step")
    assert [chart.id for chart in result.charts] == ["waterfall", "worst"]
    assert [row[0] for row in result.table("examples").rows] == ["median", "worst", "healthy twin"]
    assert result.handover["slow_step"]["path"] == f"{BATCH} › {ROW} › PUT"
    assert result.handover["step"] == {}
    assert result.handover["trace_ids"] == [e.ref for e in finding.evidence]
    assert result.handover["trace_ids"][-1] == f"{999:032x}"
    assert result.verdict.headline == finding.says


def test_without_a_baseline_the_step_is_named_with_less_confidence():
    """The failing share alone ranks, no duration is judged, and both are said."""
    case = case_of(many(30, 31.0, status=503), baseline=None)
    finding, result = found(case, "locate.step")
    assert finding.state is State.BAD
    assert "Less sure: there is no baseline of traces" in finding.says
    assert result.handover["step_doubts"]
    slow, _ = found(case, "locate.slow_step")
    assert slow.state is State.NO_DATA


def test_truncated_traces_are_a_doubt():
    """A sample is named as one; a full answer raises no doubt."""
    spans = BEFORE + many(30, 31.0, status=503)
    cut = case_of(spans, caveats=("truncated: there are more.",))
    assert "are truncated: a sample" in found(cut, "locate.step")[0].says
    whole, result = found(case_of(spans), "locate.step")
    assert "Less sure" not in whole.says
    assert result.handover["step_doubts"] == []


@pytest.mark.parametrize("missing", ["empty", "refused", "not_configured"])
def test_no_traces_are_no_data_and_the_path_goes_on(missing):
    """NO_DATA names the reason and the chain that is left."""
    finding, result = found(case_of([], missing=missing), "locate.traces")
    assert (finding.state, finding.n) == (State.NO_DATA, 0)
    assert missing in finding.says
    assert finding.says.endswith("metrics and logs are the main chain.")
    assert result.verdict.headline.startswith("Traces are missing")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([line("x", event="tracing.exporter_unreachable")], "collector was out of reach"),
        ([line("x", event="tracing.startup", fields={"enabled": False})], "tracing is off"),
        (
            [line("x", event="tracing.startup", fields={"enabled": True, "sampler_arg": "0.2"})],
            "keeps 0.2 of all",
        ),
        ([line("x")], "keeps 5 %"),
        ([], "No log line tells"),
    ],
)
def test_what_would_bring_the_traces_back(told, words):
    """Collector down, tracing off and sampled out are told apart by log lines."""
    assert words in _why_empty(lines(*told))


@pytest.mark.parametrize(
    ("rows", "mode", "state", "words"),
    [
        (20, "es_bulk", State.WARN, "Bulk spans end before their items are judged"),
        (20, "per_event", State.WARN, "sampled out, lost"),
        (3, "es_bulk", State.OK, "0 of 3 rows"),
    ],
)
def test_counters_that_traces_do_not_show(rows, mode, state, words):
    """Rows failed by the counters and no span does: said, and never passed off as health."""
    case = replace(case_of(BEFORE + many(30, 31.0, mode=mode)), handover={"failing_rows": rows})
    (finding,) = coverage(measure_traces(case, case.pull("spans")))
    assert finding.state is state
    assert words in finding.says
    assert (found(case, "locate.step")[0].state is State.OK) is (rows < 6)
