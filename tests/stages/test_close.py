"""Close: what failed for good is bucketed, with the strategy and where to look."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from loomtriage.case import open_case
from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.model import State
from loomtriage.model.frame import ROW_COLUMNS
from loomtriage.stages.close import close
from loomtriage.stages.close_show import buckets_table
from loomtriage.stages.closing import judged_buckets
from tests.make import WINDOW, at, line, lines
from tests.stages.whole import blind

VALUE = "document_parsing_exception: [1:45] failed to parse field [rank_score]"


def row(name, status, **columns):
    """One row of a ROWS table; it changed at 40 s unless told otherwise."""
    base = dict.fromkeys(ROW_COLUMNS, "")
    times = dict.fromkeys(("next_retry_at", "lease_until", "processed_at"), pd.NaT)
    given = {"projection": SEARCH, "id": name, "status": status, "attempts": 1, "replay_count": 0}
    kind = {"entity_type": "block", "entity_id": name, "op": "upsert"}
    return {**base, **times, **given, **kind, "created_at": at(5), "updated_at": at(40), **columns}


def judged(*rows, said=()):
    """Buckets of these rows, as of the window of the builders."""
    table = pd.DataFrame(list(rows), columns=list(ROW_COLUMNS))
    for name in ("created_at", "updated_at", "next_retry_at", "lease_until", "processed_at"):
        table[name] = pd.to_datetime(table[name], utc=True)
    return list(judged_buckets(table, lines(*said), window=WINDOW))


def failed(name, **columns):
    return row(name, "failed", **{"reason": "mapping_conflict", "error": VALUE, **columns})


def test_rows_of_one_case_are_one_bucket_with_trace_and_line():
    """Same reason, error, kind and op; ids and numbers in the error make no difference."""
    said = line("x", event="outbox.row_failed", fields={"outbox_event_id": "a"}, sha256="f" * 64)
    done = row("z", "done", processed_at=at(50))
    found = judged(
        failed("a", trace_id="t1"), failed("b", error=VALUE.replace("45", "99")), done, said=[said]
    )
    (one,) = found
    assert (one.bucket.n, str(one.strategy.action)) == (2, "fix_data")
    assert (one.trace_id, one.line) == ("t1", f"sha256:{'f' * 64}")
    assert one.line_says.endswith("outbox.row_failed: x")


def test_a_cause_that_failed_rows_to_the_end_is_not_offered():
    """At the end of the window it was still there; a minute of silence would change that."""
    (one,) = judged(failed("a"))
    assert (str(one.strategy.offer), one.in_window) == ("canary", True)
    assert "20 s before the end" in one.strategy.why
    (one,) = judged(failed("a", updated_at=at(-60)))
    assert (str(one.strategy.offer), one.in_window) == ("all", False)


def test_rows_waiting_for_the_same_reason_keep_it_active():
    """What still retries so, still fails so."""
    (one,) = judged(
        row("a", "failed", reason="es_unreachable", updated_at=at(-60)),
        row("b", "pending", reason="es_unreachable"),
    )
    assert "1 waiting rows failed so" in one.strategy.why


def test_an_overtaken_delete_is_dropped():
    """The entity lives again; the delete must not come after."""
    (one,) = judged(
        row("a", "failed", reason="es_5xx", op="delete", entity_id="e"),
        row("b", "done", entity_id="e", created_at=at(9), processed_at=at(50)),
    )
    assert (str(one.strategy.action), str(one.strategy.offer)) == ("drop", "nothing")


def test_a_delete_is_overtaken_by_what_is_under_way():
    """As a plan sees it: a write that is being processed will be there."""
    (one,) = judged(
        row("a", "failed", reason="es_5xx", op="delete", entity_id="e", event_version=9),
        row("b", "processing", entity_id="e", created_at=at(9), event_version=1),
    )
    assert str(one.strategy.offer) == "nothing"


def test_a_replayed_row_of_another_failure_frees_nothing():
    """Rows do not tell what they had failed for; the audit does, and a plan reads it."""
    (one,) = judged(failed("a"), row("z", "done", replay_count=1, processed_at=at(50)))
    assert str(one.strategy.offer) == "canary"


def test_chronicle_rows_are_told_by_when_they_were_enqueued():
    """Their times say nothing of the failure: one row at most."""
    (one,) = judged(failed("a", projection=CHRONICLE, created_at=at(-3600)))
    assert str(one.strategy.offer) == "canary"
    assert buckets_table([one]).rows[0][5].startswith("enqueued ")


def test_poison_is_closed_out_by_its_own_command():
    """On the recorded drill: fix the data, the rows, and the command that plans for them."""
    result = close(open_case("close", source="example:es_poison_4xx"))
    assert result.verdict.state is State.BAD
    (action,) = result.handover["close_out"]
    assert action["kind"] == "fix_data"
    assert action["command"].startswith("loomtriage close-out plan --source SOURCE")
    assert "--reason mapping_conflict" in action["command"]
    kinds = {e.kind for finding in result.verdict.findings for e in finding.evidence}
    assert kinds == {"row", "trace", "log_line"}


@pytest.mark.parametrize("name", ["es_down", "placebo"])
def test_nothing_failed_for_good_is_said_so(name):
    """Retries are no failures; an empty answer is an answer."""
    result = close(open_case("close", source=f"example:{name}"))
    assert (result.verdict.state, result.handover["close_out"]) == (State.OK, [])


def test_without_the_outbox_nobody_knows():
    """Missing rows are named, and never zero."""
    case = blind(open_case("close", source="example:es_down"), ("rows",))
    assert close(case).verdict.state is State.NO_DATA


def test_what_is_stored_names_no_source():
    """A lab and its recording leave the same; only what is read names the lab."""
    case = replace(open_case("close", source="example:es_poison_4xx"), source="lab:mine")
    (action,) = close(case).handover["close_out"]
    assert action["command"].startswith("loomtriage close-out plan --source SOURCE ")
