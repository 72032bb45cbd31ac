"""Facts from frames: two faults at once are both found in the three signals."""

from __future__ import annotations

import pytest

from loomtriage.analysis.causes.decide import decide
from loomtriage.analysis.causes.facts import Facts, Seen, gather
from loomtriage.analysis.counters.increases import measure
from loomtriage.contract.keys import CHRONICLE, SEARCH
from tests.make import BASELINE, WINDOW, column, line, lines, metrics, ramp, span, spans

OK = {column("processed", op="upsert"): ramp(300, 300)}
POISON = {column("terminal_failed", op="upsert", reason="mapping_conflict"): ramp(0, 20)}
FULL = {column("retry_scheduled", op="upsert", reason="es_429"): ramp(0, 60)}
STUCK = {column("reclaimed"): ramp(0, 12)}
DARK = {column("trace_export_failures"): ramp(0, 15)}
OTHER = {column("processed", projection=CHRONICLE, op="upsert"): ramp(50, 50)}


def facts(*series, seen: Seen | None = None) -> Facts:
    table = {name: values for part in series for name, values in part.items()}
    increases = measure(metrics(table), window=WINDOW, baseline=BASELINE)
    return gather(increases, seen or Seen(spans=spans(), lines=lines()), exposure=1.0)


TABLE = [
    ((OK, FULL, POISON), ["es_429", "es_poison_4xx"]),
    ((OK, STUCK, DARK), ["stuck_reclaim", "collector_down"]),
    ((OK, FULL), ["es_429"]),
    ((OK, DARK), ["collector_down"]),
    ((OK,), []),
]


@pytest.mark.parametrize(("series", "causes"), TABLE)
def test_faults_at_once_are_named_one_by_one(series, causes):
    """429 with poison, a stopped worker in the dark; each alone; and none."""
    assert [c.cause for c in decide(facts(*series))] == causes


def test_the_projection_that_goes_on_is_the_control_group():
    """Chronicle finishes its rows, so what both share is not to blame."""
    assert facts(OK, OTHER, FULL).unharmed == (CHRONICLE,)


def test_more_load_is_no_duplicate_delivery():
    """The negative control: twice the work of twice the requests repeats nothing."""
    made = {column("produced", projection=""): ramp(300, 600)}
    busy = {column("processed", op="upsert"): ramp(300, 600)}
    assert decide(facts(made, busy)) == ()


def test_rows_that_come_twice_are_counted_from_spans():
    """The same version of an entity under two outbox ids, and a delete that found nothing."""
    table = spans(
        *(
            span(
                f"t{n}",
                "r",
                "outbox.process",
                attributes={
                    "wordloom.outbox_event_id": f"e{n}",
                    "wordloom.entity_id": "one",
                    "wordloom.outbox_event_version": 7,
                    "wordloom.idempotent_noop": n == 1,
                    "op": "delete",
                    "result": "ok",
                },
            )
            for n in range(2)
        )
    )
    found = facts(OK, seen=Seen(spans=table, lines=lines()))
    assert (found.again.repeats, found.again.noops_in_spans) == (1, 1)


def test_a_status_that_two_signals_name_differently_tells_nothing():
    """400 and 403 at once leave `es_4xx` what it is."""
    refused = {column("terminal_failed", op="upsert", reason="es_4xx"): ramp(0, 20)}
    told = lines(*(line("x", fields={"http_status": status}) for status in (400, 403)))
    found = facts(OK, refused, seen=Seen(lines=told))
    assert found.blames[0].reason == "es_4xx"
    assert decide(found) == ()


@pytest.mark.parametrize(("status", "cause"), [(400, "es_poison_4xx"), (403, "es_write_block")])
def test_the_status_tells_a_mapping_conflict_from_a_write_block(status, cause):
    """The label alone cannot; a line that names the status can."""
    refused = {column("terminal_failed", op="upsert", reason="es_4xx"): ramp(0, 20)}
    told = lines(line("x", fields={"http_status": status}))
    (found,) = decide(facts(OK, refused, seen=Seen(lines=told)))
    assert (found.cause, found.legs) == (cause, ("metrics", "logs"))


def test_a_counter_tells_in_which_projection_it_rose():
    """Only where it grew beyond its baseline; what stands still has no place."""
    still = {column("owner_mismatch", projection=CHRONICLE): ramp(9, 9)}
    found = facts(OK, STUCK, still).places
    assert found["reclaimed"] == (SEARCH,)
    assert found["owner_mismatch"] == ()


def test_the_projection_of_a_version_is_told_by_who_names_it():
    """Lines without a version do not count."""
    told = lines(
        line("a", fields={"projection_version": 2, "projection": "chronicle"}),
        line("b", fields={"projection": "search"}),
    )
    found = facts(OK, seen=Seen(spans=spans(), lines=told)).places
    assert found["projection_version"] == (CHRONICLE,)
