"""Expectations on raw counters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.drills.expect import Absent, Appears, Falls, Flat, Observed, Rises
from loomtriage.drills.meter import Reading, Span, read_exposition
from loomtriage.drills.windows import Readings, idle_windows
from loomtriage.errors import UsageError
from loomtriage.model import State
from tests.make import T0

EXPOSED = """\
# TYPE outbox_processed_total counter
# TYPE outbox_retry_scheduled_total counter
# TYPE outbox_terminal_failed_total counter
# TYPE outbox_lag_events gauge
"""
RETRY = f'outbox_retry_scheduled_total{{op="upsert",projection="{SEARCH}",reason="REASON"}} #\n'


def reading(seconds: float, text: str = "") -> Reading:
    values, families = read_exposition(EXPOSED + text)
    return Reading(
        at=T0 + timedelta(seconds=seconds), values={"worker": values}, families={"worker": families}
    )


def observed(template: str, *, start: object, before: object, during: object) -> Observed:
    """Two windows of 10 s with one series; None is no sample."""
    three = [
        reading(at, "" if value is None else template.replace(" #", f" {value}"))
        for at, value in ((0, start), (10, before), (20, during))
    ]
    return Observed(
        baseline=Span(before=three[0], after=three[1]), fault=Span(before=three[1], after=three[2])
    )


DONE = f'outbox_processed_total{{op="upsert",projection="{SEARCH}"}} #\n'
LAG = f'outbox_lag_events{{projection="{SEARCH}"}} #\n'
RETRIES = RETRY.replace("REASON", "es_unreachable")
COARSE = RETRY.replace("REASON", "es_4xx").replace("retry_scheduled", "terminal_failed")
MAPPING = Rises("terminal_failed", projection=SEARCH, reason="mapping_conflict")
NO_BLOCK = Absent("terminal_failed", projection=SEARCH, reason="es_write_blocked")
FAILED = RETRIES.replace("retry_scheduled", "terminal_failed")


@pytest.mark.parametrize(
    ("expectation", "template", "values", "state"),
    [
        (Appears("retry_scheduled", reason="es_unreachable"), RETRIES, (None, None, 1), "OK"),
        (Appears("retry_scheduled", reason="es_unreachable"), RETRIES, (None, None, None), "BAD"),
        (Appears("retry_scheduled", reason="es_unreachable"), RETRIES, (0, 1, 9), "BAD"),
        (Appears("retry_scheduled", reason="rate_limited"), RETRIES, (None, None, 9), "BAD"),
        (Rises("retry_scheduled"), RETRIES, (0, 2, 7), "OK"),
        (Rises("retry_scheduled"), RETRIES, (0, 2, 5), "BAD"),
        (Rises("retry_scheduled"), RETRIES, (None, None, 2), "BAD"),
        (Falls("processed"), DONE, (0, 50, 60), "OK"),
        (Falls("processed"), DONE, (0, 50, 90), "BAD"),
        (Falls("processed"), DONE, (0, 2, 2), "NO_DATA"),
        (Flat("processed"), DONE, (0, 50, 105), "OK"),
        (Flat("processed"), DONE, (0, 50, 50), "BAD"),
        (Flat("processed"), DONE, (0, 19, 19), "BAD"),
        (Flat("processed"), DONE, (0, 18, 18), "NO_DATA"),  # so few that none is no fall
        (Flat("processed"), DONE, (0, 18, 36), "NO_DATA"),
        (Flat("processed"), DONE, (0, 18, 90), "BAD"),
        (Flat("terminal_failed"), FAILED, (None, None, None), "OK"),
        (Flat("terminal_failed"), FAILED, (None, None, 1), "BAD"),
        (Absent("retry_scheduled"), RETRIES, (0, 5, 5), "OK"),
        (Absent("retry_scheduled"), RETRIES, (0, 0, 1), "BAD"),
        (MAPPING, COARSE, (0, 0, 9), "NO_DATA"),  # it counts no finer
        (NO_BLOCK, COARSE, (0, 0, 9), "NO_DATA"),
        (NO_BLOCK, COARSE, (0, 9, 9), "OK"),
        (MAPPING, COARSE.replace("es_4xx", "mapping_conflict"), (0, 0, 9), "OK"),
        (Absent("processed", projection=CHRONICLE), DONE, (0, 5, 9), "NO_DATA"),  # another's
        (Rises("lag"), LAG, (0, 2, 40), "OK"),
        (Rises("lag"), LAG, (0, 2, 5), "BAD"),
        (Flat("lag"), LAG, (0, 2, 5), "OK"),
        (Rises("failed"), DONE, (0, 50, 60), "NO_DATA"),
    ],
)
def test_expectation_compares_with_what_the_baseline_predicts(expectation, template, values, state):
    """Each expectation is met, missed, or says that nobody shows its metric."""
    start, before, during = values
    finding = expectation.check(observed(template, start=start, before=before, during=during))
    assert finding.state is State(state), finding.says
    assert finding.check.startswith("drill.")


def test_restarted_process_counts_from_zero():
    """A counter that fell was reset: its new value is the increase."""
    windows = observed(RETRIES, start=90, before=100, during=4)
    assert windows.fault.increase("outbox_retry_scheduled_total", {}) == 4.0


@pytest.mark.parametrize(
    ("silent_at", "missing"),
    [((), False), ((0,), True), ((10,), True), ((0, 10), False)],
)
def test_chronicle_that_answers_only_once_is_missing(silent_at, missing):
    """All that it ever counted would look like new; one that is off all the time is not missing."""
    told, _ = read_exposition(EXPOSED + DONE.replace(" #", " 90"))
    both = [
        replace(one, values={**one.values, **({} if at in silent_at else {"chronicle": told})})
        for at in (0, 10)
        for one in (reading(at, DONE.replace(" #", f" {at}")),)
    ]
    window = Span(before=both[0], after=both[1])
    assert window.missing == ({"chronicle"} if missing else set())
    says = idle_windows(Readings(start=both[0], before=both[1]))
    assert says.startswith("in the baseline window the chronicle" if missing else "the fault")


def test_wordlooms_own_spelling_of_a_reason_counts():
    """A worker that writes `es_connect` meets an expectation on `es_unreachable`."""
    template = RETRY.replace("REASON", "es_connect")
    expectation = Appears("retry_scheduled", reason="es_unreachable")
    finding = expectation.check(observed(template, start=None, before=None, during=7))
    assert finding.state is State.OK


def test_unknown_metric_or_label_is_refused_when_the_drill_is_written():
    """A typo in a drill fails at once and names what there is."""
    with pytest.raises(UsageError, match="no metric 'retries'"):
        Rises("retries")
    with pytest.raises(UsageError, match="no label 'reason'"):
        Rises("processed", reason="es_unreachable")
