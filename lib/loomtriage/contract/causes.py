"""Causes: every conclusion that the decision list can name, and the default `unknown`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loomtriage.contract.reasons import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One named conclusion.

    Attributes:
        id: stable id, the drill's id where a drill trains it.
        title: short form for headlines.
        also: Wordloom's scenario names.
        action: what to do first.
        says: what happened, one sentence.
        do: what to do, one sentence.
    """

    id: str
    title: str
    also: tuple[str, ...] = ()
    action: Action
    says: str
    do: str


CAUSES: tuple[Cause, ...] = (
    Cause(
        id="es_down",
        title="Elasticsearch is down",
        also=("es_down_connect",),
        action=Action.WAIT,
        says="The worker cannot open a connection to Elasticsearch.",
        do="Bring Elasticsearch or the way to it back; the rows drain by themselves.",
    ),
    Cause(
        id="es_429",
        title="Elasticsearch rejects writes (429)",
        also=("es_429_inject",),
        action=Action.SCALE,
        says="Something answers writes with 429: a full write queue, a memory limit, the quota of "
        "a gateway in between, or an injected fault.",
        do="Tell them apart: rejections in _cat/thread_pool/write, trips in _nodes/stats/breaker, "
        "the gateway's log, 'fault injection' in the worker's log. Relieve that one; lower bulk "
        "size or concurrency meanwhile; rows drain by themselves.",
    ),
    Cause(
        id="es_5xx",
        title="Elasticsearch answers with server errors",
        action=Action.WAIT,
        says="Elasticsearch answers, with errors of its own.",
        do="Look at Elasticsearch's own log and heap; the rows drain by themselves.",
    ),
    Cause(
        id="es_slow",
        title="Elasticsearch is too slow",
        action=Action.SCALE,
        says="Elasticsearch accepts connections and does not answer in time.",
        do="Lower bulk size or concurrency, look at its load; rows drain by themselves.",
    ),
    Cause(
        id="es_poison_4xx",
        title="poison documents",
        action=Action.FIX_DATA,
        says="Single documents do not fit the mapping and failed for good.",
        do="Fix data or mapping, then replay exactly these rows.",
    ),
    Cause(
        id="es_write_block",
        title="the index refuses writes",
        also=("es_write_block_4xx",),
        action=Action.REPLAY,
        says="The index carries a write block; every write fails for good.",
        do="Lift the block (check disk space first), then replay the failed rows.",
    ),
    Cause(
        id="es_bulk_partial",
        title="bulk requests fail in part",
        action=Action.FIX_DATA,
        says="Items inside otherwise good bulk requests failed.",
        do="Fix the failed items, then replay exactly these rows.",
    ),
    Cause(
        id="projection_code",
        title="the projection's own code fails",
        action=Action.FIX_CODE,
        says="One projection raises on its rows, and its dependencies are not to blame.",
        do="Fix the code, then replay the rows that failed for good.",
    ),
    Cause(
        id="shared_dependency",
        title="what both projections share fails",
        action=Action.RESTART,
        says="Both projections fail at once; they share the database and the producer.",
        do="Look at the database and at what the producer enqueued, not at Elasticsearch.",
    ),
    Cause(
        id="db_contention",
        title="workers contend for rows",
        also=("db_claim_contention",),
        action=Action.RESTART,
        says="Workers contend for the same rows or locks in the database.",
        do="End the session that holds the lock, or restore the atomic claim.",
    ),
    Cause(
        id="stuck_reclaim",
        title="rows stuck with a silent owner",
        action=Action.WAIT,
        says="Rows are claimed by a worker that is gone, hangs, or is slower than its lease.",
        do="Look at the worker that owned them (the line of the reclaim names it, and preflight a "
        "target that is down); restart it if it is gone or hangs; check that reclaim runs.",
    ),
    Cause(
        id="duplicate_delivery",
        title="events delivered twice",
        action=Action.NOTHING,
        says="Events came more than once; the projection absorbed the repeats.",
        do="Nothing to repair; look for the producer or the lost acknowledgement.",
    ),
    Cause(
        id="projection_version",
        title="the projection's version changed",
        action=Action.FIX_CODE,
        says="Rows were projected by two versions of the rule.",
        do="Decide which version is right, then rebuild or replay what the other wrote.",
    ),
    Cause(
        id="collector_down",
        title="the trace collector is gone",
        action=Action.RESTART,
        says="Spans are lost; that alone does not harm the business.",
        do="Bring the collector back, then restart workers that started without it.",
    ),
    Cause(
        id="none",
        title="no fault found",
        also=("placebo",),
        action=Action.NOTHING,
        says="Nothing moved beyond what the baseline predicts.",
        do="Nothing to do.",
    ),
    Cause(
        id="unknown",
        title="cause unknown",
        action=Action.NOTHING,
        says="Something moved, and no rule explains it.",
        do="Follow the scope by hand: look at the step and at the kinds of log line that changed "
        "most (stages locate and explain), ask for one of their ids with loomtriage pivot ID, and "
        "compare with a longer baseline (--baseline 1h).",
    ),
)

BY_ID: Mapping[str, Cause] = MappingProxyType({cause.id: cause for cause in CAUSES})
