"""What differs from the contract is listed with its place; what obeys it is silent."""

from __future__ import annotations

import pytest

from loomtriage.analysis.conformance.gaps import Spoken, reasons_spoken
from loomtriage.analysis.conformance.lines import line_answers
from loomtriage.analysis.conformance.metrics import (
    metric_answers,
    reasons_on_series,
    work_answers,
)
from loomtriage.analysis.conformance.spans import span_answers
from loomtriage.analysis.counters.increases import measure
from loomtriage.contract.demands import BY_ID, DEMANDS, LOST_WITHOUT
from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import OBS_SCHEMA
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans

TARGET = "component=worker,job=wordloom-worker"
WHO = {"env": "test", "projection": SEARCH, "worker_id": "w1", "obs_schema": OBS_SCHEMA}
ROW = {**WHO, "claim_batch_id": "c", "outbox_event_id": "e", "entity_id": "x", "op": "upsert"}
CONTRACT_ROW = {
    "wordloom.env": "test",
    "wordloom.projection": SEARCH,
    "wordloom.worker_id": "w1",
    "wordloom.claim_batch_id": "c",
    "wordloom.outbox_event_id": "e",
    "wordloom.entity_id": "x",
    "wordloom.obs_schema": OBS_SCHEMA,
    "op": "upsert",
    "result": "ok",
    "reason": "none",
}


def _gaps(answers, demand):
    (answer,) = (one for one in answers if one.demand == demand)
    return [str(gap) for gap in answer.gaps]


def _of_series(*columns, asked=("processed",)):
    frame = metrics({one: [0.0, 1.0] for one in columns})
    return metric_answers(frame.data, asked=frozenset(asked))


def work_series(**labels):
    return column("processed", **{"op": "upsert", "extra": TARGET, **labels})


def row_span(**attributes):
    return span("t", "1", "outbox.process", attributes={**CONTRACT_ROW, **attributes})


def test_a_series_that_obeys_is_silent():
    """Right labels, few values, present: no gap."""
    assert [gap for answer in _of_series(work_series()) for gap in answer.gaps] == []


@pytest.mark.parametrize(
    ("series", "demand", "says"),
    [
        (work_series(op=""), "metrics_labels", "label op in metrics outbox_processed_total"),
        (work_series(env=""), "metrics_labels", "label env in metrics of all targets"),
        (work_series(extra="component=worker"), "metrics_labels", "label job"),
        (work_series(extra=f"{TARGET},shard=3"), "metrics_unexpected", "label shard"),
        (work_series(extra=f"{TARGET},trace_id=ab"), "metrics_pivot", "label trace_id"),
        (work_series(op="9f86d081884c7d65"), "metrics_pivot", "label op"),
    ],
)
def test_a_label_too_few_or_too_many_is_named(series, demand, says):
    """The gap names label and metric, and no other demand is blamed."""
    answers = _of_series(series)
    (gap,) = _gaps(answers, demand)
    assert gap.startswith(says)
    assert sum(len(answer.gaps) for answer in answers) == 1


def test_a_label_that_the_source_added_does_not_count():
    """An env that was read from a file name is not on the series."""
    frame = metrics({work_series(): [0.0, 1.0]})
    answers = metric_answers(
        frame.data, asked=frozenset({"processed"}), inferred=frozenset({"env"})
    )
    assert _gaps(answers, "metrics_labels") == ["label env in metrics of all targets"]


def test_a_metric_that_was_asked_for_and_is_not_there_is_missed():
    """With what is lost without it; bulk metrics are missed in bulk mode only."""
    asked = ("processed", "reclaimed", "bulk_failed_requests")
    (gap,) = _gaps(_of_series(work_series(), asked=asked), "metrics_present")
    assert "outbox_reclaimed_total (reclaims show only in log lines)" in gap
    bulk = column("bulk_requests", result="success", extra=TARGET)
    assert len(_gaps(_of_series(work_series(), bulk, asked=asked), "metrics_present")) == 2


def test_many_values_of_a_label_are_too_many():
    """A label that takes a new value with each event breaks the metric."""
    answers = _of_series(*(work_series(op=f"op-{number}") for number in range(41)))
    assert _gaps(answers, "metrics_cardinality") == [
        "41 values of op in metrics outbox_processed_total"
    ]


def test_a_histogram_counts_once_however_many_buckets_it_has():
    """Buckets are one series each, and none of them is unexpected."""
    name = ("outbox_es_bulk_request_duration_seconds_bucket", "w1", "test", SEARCH, "", "", "")
    answers = _of_series(*((*name, f"{TARGET},le={number}") for number in range(300)))
    assert [gap for answer in answers for gap in answer.gaps] == []


@pytest.mark.parametrize(
    ("failed", "last", "gaps"),
    [
        (10.0, 1.8e9, {}),
        (4.0, 1.8e9, {"metrics_attempts": 1}),
        (10.0, 0.0, {"metrics_last_success": 1}),
    ],
)
def test_sums_and_last_success_are_checked(failed, last, gaps):
    """Failed is retry and terminal together, and a worker that works has a last success."""
    why = {"op": "upsert", "reason": "es_5xx"}
    frame = metrics(
        {
            column("processed", op="upsert"): ramp(9, 9),
            column("failed", **why): ramp(0, failed),
            column("retry_scheduled", **why): ramp(0, 8),
            column("terminal_failed", **why): ramp(0, 2),
            column("last_success"): [last] * 60,
        }
    )
    answers = work_answers(frame.data, measure(frame, window=WINDOW, baseline=BASELINE))
    assert {a.demand: len(a.gaps) for a in answers if a.gaps} == gaps


def test_a_counter_that_fell_is_a_restart():
    """What it had counted last is lost."""
    frame = metrics({column("processed", op="upsert"): [*range(40), *range(20)]})
    answers = work_answers(frame.data, measure(frame, window=WINDOW, baseline=BASELINE))
    assert len(_gaps(answers, "metrics_resets")) == 1


@pytest.mark.parametrize(
    ("reason", "has_status", "demands"),
    [
        ("rate_limited", False, set()),
        ("mixed", False, set()),
        ("es_429", False, {"reasons_spelling"}),
        ("es_4xx", False, {"reasons_status"}),
        ("es_4xx", True, set()),
        ("es_on_fire", False, {"reasons_known"}),
    ],
)
def test_reasons_are_known_mapped_or_reported(reason, has_status, demands):
    """An unknown value is shown as it is; an alias says for what it stands."""
    told = Spoken(where="logs x", reason=reason, has_status=has_status)
    assert {a.demand for a in reasons_spoken((told,)) if a.gaps} == demands


def test_a_reason_that_the_source_mapped_is_shown_as_written():
    """The frame has the canonical name, its caveat the one on the wire."""
    frame = metrics({column("retry_scheduled", op="upsert", reason="rate_limited"): [0, 1]})
    caveats = ("alias: reason=es_429 is read as rate_limited.",)
    assert [one.reason for one in reasons_on_series(frame.data, caveats)] == ["es_429"]
    assert [one.reason for one in reasons_on_series(frame.data, ())] == ["rate_limited"]


@pytest.mark.parametrize(
    ("attributes", "demand", "says"),
    [
        ({}, "", ""),
        ({"result": None}, "spans_attributes", "attribute result"),
        ({"wordloom.env": ""}, "spans_attributes", "attribute wordloom.env"),
        ({"projection": "search"}, "spans_spelling", "projection=search for wordloom.projection"),
        (
            {"wordloom.outbox_event_id": None, "wordloom.outbox.id": "e"},
            "spans_spelling",
            "wordloom.outbox.id for wordloom.outbox_event_id",
        ),
        ({"wordloom.obs_schema": "older"}, "spans_schema", "marker older"),
        ({"wordloom.obs_schema": None}, "spans_schema", "no marker"),
    ],
)
def test_spans_carry_their_attributes_in_one_spelling(attributes, demand, says):
    """What is missing and what is spelled otherwise are two things."""
    answers = [a for a in span_answers(spans(row_span(**attributes))) if a.gaps]
    others = [a for a in answers if a.demand != "spans_present"]
    assert [a.demand for a in others] == ([demand] if demand else [])
    if demand:
        assert str(others[0].gaps[0]).startswith(says)


@pytest.mark.parametrize(
    ("fields", "ids", "demands"),
    [
        (ROW, ("t", "s"), set()),
        (ROW, ("", ""), {"lines_trace_ids"}),
        ({**ROW, "env": None}, ("t", "s"), {"lines_fields"}),
        ({**ROW, "obs_schema": None}, ("t", "s"), {"lines_schema"}),
    ],
)
def test_lines_carry_fields_ids_and_marker(fields, ids, demands):
    """A null field is no field."""
    told = line("x", event="outbox.row_done", fields=fields, trace_id=ids[0], span_id=ids[1])
    assert {a.demand for a in line_answers(lines(told), worked=1) if a.gaps} == demands


def test_error_lines_are_counted_by_their_trace_id():
    """The share is said in any case, and free text counts."""
    told = lines(line("a", level="ERROR", trace_id="t", span_id="s"), line("b", level="ERROR"))
    (answer,) = (a for a in line_answers(told, worked=0) if a.demand == "lines_trace_ids")
    assert answer.note == "1 of 2 ERROR lines carry a trace id (50%)."
    assert len(answer.gaps) == 1


def test_rows_without_a_line_of_their_own_are_missed_only_where_there_waswork_series():
    """An idle worker writes no row event."""
    other = lines(line("x"))
    assert _gaps(line_answers(other, worked=3), "lines_rows") == [
        "no outbox.row_* line for 3 attempts in logs"
    ]
    assert _gaps(line_answers(other, worked=0), "lines_rows") == []


def test_every_demand_says_what_is_lost():
    """A gap without a consequence would be noise."""
    assert len(BY_ID) == len(DEMANDS)
    assert all(d.must and d.loses.endswith(".") for d in DEMANDS)
    assert all(LOST_WITHOUT.values())
