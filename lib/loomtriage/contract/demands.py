"""Demands: what must a running system show, and what does triage lose where it does not?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loomtriage.contract.catalogue import Threshold

MAX_SERIES = Threshold(
    value=250.0,
    unit="series",
    source="the largest metric has 2 projections x 3 ops x 17 reasons = 102; twice that and a bit",
)
MAX_VALUES = Threshold(
    value=40.0, unit="values", source="the largest enum has 17 reasons; twice that and a bit"
)
MIN_TRACED = Threshold(value=0.95, unit="share", source="lines inside a span carry its ids")
MIN_JUMPS = Threshold(value=0.9, unit="share", source="rows still on their way do not resolve yet")

BULK_FAMILY = frozenset(
    {
        "bulk_requests",
        "bulk_failed_requests",
        "bulk_items",
        "bulk_item_failures",
        "bulk_duration",
    }
)
"""Ids of metrics that are there in bulk mode; none of them is missed where none is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One thing that the contract asks of a running system.

    Attributes:
        id: second half of the check's id, `conform.<id>`.
        must: what holds where it is met, one sentence.
        loses: what triage cannot do where it is not met, one sentence.
        breaks: whether a gap is a broken contract rather than a known detour.
    """

    id: str
    must: str
    loses: str
    breaks: bool = False


DEMANDS: tuple[Demand, ...] = (
    Demand(
        id="metrics_present",
        must="Every metric of the contract is scraped",
        loses="What a missing metric counts is not seen at all.",
    ),
    Demand(
        id="metrics_labels",
        must="Every series carries its labels, env, job and component among them",
        loses="Without them the scope cannot be narrowed from the series alone.",
    ),
    Demand(
        id="metrics_unexpected",
        must="No series carries a label that the contract does not know",
        loses="Every new label multiplies series, and no other signal can be joined on it.",
    ),
    Demand(
        id="metrics_pivot",
        must="No label holds ids",
        loses="An id as a label makes one series per row or request until Prometheus gives up.",
        breaks=True,
    ),
    Demand(
        id="metrics_cardinality",
        must="Each metric keeps to few series",
        loses="Too many series make every query slow and every pattern thin.",
        breaks=True,
    ),
    Demand(
        id="metrics_resets",
        must="No counter fell",
        loses="A process restarted inside the windows: what it counted last is lost.",
    ),
    Demand(
        id="metrics_attempts",
        must="failed = retry + terminal: it counts attempts, not rows",
        loses="Where the three disagree, none of them can be taken for the number of failures.",
    ),
    Demand(
        id="metrics_last_success",
        must="The time of the last success moves with the work",
        loses="A worker that works looks like one that never succeeded.",
    ),
    Demand(
        id="reasons_known",
        must="Every reason is one of the enum",
        loses="An unknown reason has no class and no action; it is shown as it is, never guessed.",
    ),
    Demand(
        id="reasons_spelling",
        must="Every reason has its canonical name",
        loses="Old names are mapped by alias: queries by hand must use the name as written.",
    ),
    Demand(
        id="reasons_status",
        must="A refusal with a 4xx status says which one",
        loses="Mapping conflict, write block and bad data need different actions "
        "and look alike; only a status in spans or error texts tells them apart.",
    ),
    Demand(
        id="spans_present",
        must="Every step of the pipeline is traced",
        loses="A step without a span cannot be located as the one that fails.",
    ),
    Demand(
        id="spans_attributes",
        must="Every span carries its attributes",
        loses="A span without them cannot be found by the scope that the metrics give.",
    ),
    Demand(
        id="spans_spelling",
        must="Every attribute has its one spelling",
        loses="Mapped by alias: a search in Jaeger must try both spellings.",
    ),
    Demand(
        id="spans_schema",
        must="Spans carry the schema marker wordloom.obs_schema",
        loses="Spans of an old build cannot be told from those of the current one.",
    ),
    Demand(
        id="lines_fields",
        must="Every structured line carries its fields",
        loses="A line without them can be found by reading only, not by scope.",
    ),
    Demand(
        id="lines_rows",
        must="What happens to an outbox row is a structured line",
        loses="Retry, failure and reclaim of a row must be read out of free text, or not at all.",
    ),
    Demand(
        id="lines_trace_ids",
        must="Lines written inside a span carry trace_id and span_id",
        loses="There is no jump from these lines to their trace, nor back.",
    ),
    Demand(
        id="lines_schema",
        must="Structured lines carry the schema marker obs_schema",
        loses="Lines of an old build cannot be told from those of the current one.",
    ),
    Demand(
        id="keys_equal",
        must="Shared keys have the same values on every signal",
        loses="A scope found in one signal finds nothing in the other unless it is mapped first.",
    ),
    Demand(
        id="pivots_correlation",
        must="A correlation id of the API leads to its trace and to the worker's lines",
        loses="From a user's request to its row only entity ids and time remain.",
    ),
    Demand(
        id="pivots_traces",
        must="A trace leads to the lines that were written in it",
        loses="The step that fails is known, what proves it must be searched by time.",
    ),
)

BY_ID: Mapping[str, Demand] = MappingProxyType({demand.id: demand for demand in DEMANDS})

LOST_WITHOUT: Mapping[str, str] = MappingProxyType(
    {
        "produced": "no traffic and a dead API look alike",
        "processed": "there is no measure of healthy work, so nothing can be expected",
        "failed": "attempts cannot be cross-checked",
        "retry_scheduled": "transient failures are invisible",
        "terminal_failed": "rows lost for good are invisible",
        "idempotent_noop": "duplicates look like work",
        "owner_mismatch": "contention shows only in lines and spans; absent is not zero",
        "reclaimed": "reclaims show only in log lines",
        "contention": "locked rows look like idle time",
        "lag": "the backlog is unknown",
        "oldest_age": "how long rows wait is unknown",
        "inflight": "claimed rows are unknown",
        "stuck": "expired claims are unknown",
        "last_success": "a silent worker cannot be dated",
        "dead_letter": "rows that failed for good hide in lag and age",
        "bulk_failed_requests": "bulk failures cannot be split by reason",
        "trace_export_failures": "lost traces leave no number",
        "up": "a dead process and a quiet one look alike",
    }
)
"""Metric id -> what is lost without it."""
