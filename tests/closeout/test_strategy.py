"""Strategy: each bucket is told what closes it out, and whether it may be replayed yet."""

from __future__ import annotations

import pytest

from loomtriage.closeout.buckets import MOST_BUCKETS, OTHERS, Bucket, Buckets, Likeness
from loomtriage.closeout.strategy import Circumstances, strategy
from loomtriage.contract.reasons import BY_NAME, stored_reason
from tests.make import T0

VALUE = "document_parsing_exception: [<n>:<n>] failed to parse field [rank_score]"
FIELD = "strict_dynamic_mapping_exception: mapping set to strict, dynamic introduction of [x]"


def _bucket(reason="es_unreachable", template="", op="upsert", *, replays=0, overtaken=False):
    likeness = Likeness(reason, template, "block", op, replays, overtaken)
    return Bucket(number=1, likeness=likeness, n=5)


@pytest.mark.parametrize(
    ("bucket", "known", "action", "offer", "needs_note"),
    [
        (_bucket(), Circumstances(), "wait", "all", False),
        (_bucket("rate_limited"), Circumstances(), "scale", "all", False),
        (_bucket("mapping_conflict", VALUE), Circumstances(passed=9), "fix_data", "all", True),
        # Nothing of the kind went through: it is not these values.
        (_bucket("mapping_conflict", VALUE), Circumstances(passed=0), "fix_mapping", "all", True),
        (_bucket("mapping_conflict", FIELD), Circumstances(passed=9), "fix_mapping", "all", True),
        (_bucket("es_write_blocked"), Circumstances(), "replay", "all", True),
        (_bucket("deterministic_exception"), Circumstances(), "fix_code", "all", True),
        # Still rejecting: not offered, one row may tell whether it is over.
        (_bucket(), Circumstances(active="a row failed 3 s ago"), "wait", "canary", False),
        # A canary went through since: the cause is gone, however lately it was seen.
        (_bucket(), Circumstances(active="3 s ago", proven=True), "wait", "all", False),
        # Nobody can tell whether it is over: one row, until one was done.
        (_bucket(), Circumstances(unknown="not dated"), "wait", "canary", False),
        (_bucket(), Circumstances(unknown="not dated", proven=True), "wait", "all", False),
        (_bucket(op="delete", overtaken=True), Circumstances(), "drop", "nothing", True),
        (_bucket(replays=2), Circumstances(), "wait", "all", False),
        (_bucket(replays=3), Circumstances(), "wait", "nothing", True),
        (_bucket("gremlins"), Circumstances(), "nothing", "nothing", True),
        (_bucket(""), Circumstances(), "nothing", "nothing", True),
    ],
)
def test_a_bucket_has_its_strategy(bucket, known, action, offer, needs_note):
    """The contract's action, sharpened by the error; what would do harm is not offered."""
    found = strategy(bucket, known)
    assert (found.action, found.offer, found.needs_note) == (action, offer, needs_note)
    assert found.why
    assert found.first


@pytest.mark.parametrize("reason", sorted(BY_NAME))
def test_every_reason_of_the_contract_is_closed_out_somehow(reason):
    """No reason is left without a strategy, a why and a first step."""
    found = strategy(_bucket(reason), Circumstances())
    assert found.why.startswith(BY_NAME[reason].says)
    assert found.first


@pytest.mark.parametrize(
    ("stored", "error", "reason"),
    [
        ("es_4xx", "HTTPStatusError: Client error '400 Bad Request'", "mapping_conflict"),
        ("es_4xx", "cluster_block_exception: index blocked", "es_write_blocked"),
        ("es_4xx", "no status anywhere", "es_4xx"),
        ("es_connect", "", "es_unreachable"),
        ("", "HTTP 400", ""),
        ("gremlins", "HTTP 400", "gremlins"),
    ],
)
def test_a_stored_reason_is_read_with_its_error(stored, error, reason):
    """Wordloom's names become the contract's; a name that nobody knows stays as it is."""
    assert stored_reason(stored, error) == reason


def test_endless_kinds_of_error_stay_few_buckets():
    """A thousand different texts are counted all the same, and fit on a page."""
    found = Buckets()
    for n in range(1000):
        found.add(
            Likeness("es_4xx", f"error {n}", "block", "upsert", 0, overtaken=False), str(n), T0
        )
    buckets = found.found()
    assert len(buckets) == MOST_BUCKETS + 1
    assert buckets[0].likeness.template == OTHERS
    assert sum(bucket.n for bucket in buckets) == 1000
