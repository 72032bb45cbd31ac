"""Board: what does the dashboard show, from which PromQL, in which unit, and what does it tell?

The same list becomes the dashboard, its reference page and its picture.
"""

from __future__ import annotations

from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.panels import VARIABLES, Panel, Query, Row
from loomtriage.contract.recordings import BUDGET, LATE, RECORDINGS

_RATE = "[$__rate_interval]"


def _legend(*labels: str) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)


def _chosen(*labels: str) -> str:
    """Matchers for those labels that a reader can choose values of."""
    return ", ".join(f'{label}=~"${label}"' for label in labels if label in VARIABLES)


_ENV, _IN_SCOPE = _chosen("env"), _chosen("env", "projection")


def _rate(metric: str, *labels: str) -> Query:
    """The rate of a counter, narrowed by what it is split by."""
    labels = ("env", *labels)
    rate = f"rate({BY_ID[metric].name}{{{_chosen(*labels)}}}{_RATE})"
    return Query(expr=f"sum by ({', '.join(labels)}) ({rate})", legend=_legend(*labels))


def _level(metric: str) -> Query:
    """The highest copy: every worker counts the whole table."""
    return Query(
        expr=f"max by (env, projection) ({BY_ID[metric].name}{{{_IN_SCOPE}}})",
        legend=_legend("env", "projection"),
    )


def _quantile(share: float) -> Query:
    rate = f"rate({BY_ID['bulk_duration'].name}_bucket{{{_IN_SCOPE}}}{_RATE})"
    return Query(
        expr=f"histogram_quantile({share:g}, sum by (env, projection, le) ({rate}))",
        legend=f"p{share * 100:g} {_legend('env', 'projection')}",
    )


_PO, _POR = ("projection", "op"), ("projection", "op", "reason")
_5M = "increase5m"

MINIMAL = Row(
    title="Where does it hurt? The five minimal panels",
    panels=(
        Panel(
            id=1,
            title="Failed attempts by reason",
            unit="ops",
            queries=(_rate("failed", *_POR),),
            says="Attempts that failed, retried or not; a new reason appears, it does not move.",
        ),
        Panel(
            id=2,
            title="Retries scheduled by reason",
            unit="ops",
            queries=(_rate("retry_scheduled", *_POR),),
            says="Failed attempts that went back to pending: something passing is wrong.",
        ),
        Panel(
            id=3,
            title="Rows processed",
            unit="ops",
            queries=(_rate("processed", *_PO),),
            says="Rows finished; when it falls and nothing fails, nobody works.",
        ),
        Panel(
            id=4,
            title="Bulk requests by result",
            unit="reqps",
            queries=(_rate("bulk_requests", "projection", "result"),),
            says="`partial`: items failed inside a request that succeeded; bulk mode only.",
        ),
        Panel(
            id=5,
            title="Bulk requests that failed, by reason",
            unit="reqps",
            queries=(_rate("bulk_failed_requests", "projection", "reason"),),
            says="Bulk requests that failed whole or in part; bulk mode only.",
        ),
    ),
)
WORK = Row(
    title="What is left behind?",
    panels=(
        Panel(
            id=6,
            title="Failed for good by reason",
            unit="ops",
            queries=(_rate("terminal_failed", *_POR),),
            says="Rows that nothing brings back but a replay.",
        ),
        Panel(
            id=7,
            title="Oldest age without dead letters",
            unit="s",
            queries=(_level("oldest_age"),),
            says="How long the oldest row waits that some worker may still finish.",
            line=BY_ID["oldest_age"].threshold.value if BY_ID["oldest_age"].threshold else None,
        ),
        Panel(
            id=8,
            title="Rows not yet done",
            unit="short",
            queries=(_level("lag"),),
            says="Pending and claimed rows; dead letters have a panel of their own.",
        ),
        Panel(
            id=9,
            title="Dead letters",
            unit="short",
            queries=(_level("dead_letter"),),
            says="Rows that failed for good and were not replayed.",
        ),
        Panel(
            id=10,
            title="Stuck and reclaimed rows",
            unit="short",
            queries=(
                _level("stuck"),
                Query(
                    expr=f"projection:outbox_reclaimed:{_5M}{{{_IN_SCOPE}}}",
                    legend=f"reclaimed in 5 m {_legend('env', 'projection')}",
                ),
            ),
            says="Claims that outlived their lease: their owner fell silent.",
        ),
        Panel(
            id=11,
            title="Rows claimed now",
            unit="short",
            queries=(_level("inflight"),),
            says="Rows in some worker's hands; flat at a high level is a batch that does not end.",
        ),
        Panel(
            id=12,
            title="Share of time with a late row",
            unit="percentunit",
            queries=(
                Query(
                    expr=f"avg_over_time(projection:outbox_late:bool{{{_IN_SCOPE}}}[1h])",
                    legend=_legend("env", "projection"),
                ),
            ),
            says=f"The objective allows {BUDGET.value:.0%} of the time with a row older than "
            f"{LATE.value:g} s.",
            line=BUDGET.value,
            is_share=True,
        ),
        Panel(
            id=13,
            title="Seconds since a row was finished",
            unit="s",
            queries=(
                Query(
                    expr=f"time() - max by (env, projection) ({BY_ID['last_success'].name}"
                    f"{{{_IN_SCOPE}}} > 0)",
                    legend=_legend("env", "projection"),
                ),
            ),
            says="Rises while nothing is finished; not drawn before the first row.",
        ),
    ),
)
WHY = Row(
    title="Which dependency?",
    panels=(
        Panel(
            id=14,
            title="Share of attempts rejected with 429",
            unit="percentunit",
            queries=(
                Query(
                    expr="(sum by (env, projection) (projection:outbox_failed:increase5m"
                    f'{{{_IN_SCOPE}, reason=~"rate_limited|es_429|http_429"}}) or '
                    "sum by (env, projection) "
                    f"(projection:outbox_processed:increase5m{{{_IN_SCOPE}}}) * 0) / "
                    "(sum by (env, projection) "
                    f"(projection:outbox_failed:increase5m{{{_IN_SCOPE}}}) + "
                    "sum by (env, projection) "
                    f"(projection:outbox_processed:increase5m{{{_IN_SCOPE}}}) > 0)",
                    legend=_legend("env", "projection"),
                ),
            ),
            says="Elasticsearch has no room; rows one by one and bulk items count alike.",
            line=0.01,
            is_share=True,
        ),
        Panel(
            id=15,
            title="Contention and owner mismatches",
            unit="ops",
            queries=(
                _rate("contention", "projection", "reason"),
                _rate("owner_mismatch", "projection"),
            ),
            says="Another session holds the rows, or another worker took them.",
        ),
        Panel(
            id=16,
            title="Bulk items by result",
            unit="ops",
            queries=(_rate("bulk_items", "projection", "op", "result"),),
            says="What became of the items inside bulk requests; bulk mode only.",
        ),
        Panel(
            id=17,
            title="Bulk item failures by class",
            unit="ops",
            queries=(_rate("bulk_item_failures", "projection", "op", "failure_class"),),
            says="429 and 5xx are retried, 4xx is final; bulk mode only.",
        ),
        Panel(
            id=18,
            title="Bulk request duration",
            unit="s",
            queries=(_quantile(0.5), _quantile(0.95), _quantile(0.99)),
            says="Long before it rejects, Elasticsearch slows down; bulk mode only.",
        ),
        Panel(
            id=19,
            title="Deletes of documents that were gone",
            unit="ops",
            queries=(_rate("idempotent_noop", *_POR),),
            says="Repeats that the projection absorbed: events come twice.",
        ),
    ),
)
AROUND = Row(
    title="Is there work, and can it be seen?",
    panels=(
        Panel(
            id=20,
            title="Rows produced by the API",
            unit="ops",
            queries=(_rate("produced", "event_type"),),
            says="The work that comes in; without work no other panel means anything.",
        ),
        Panel(
            id=21,
            title="Targets up",
            unit="bool",
            queries=(
                Query(
                    expr="max by (env, component, job, instance) "
                    f'(up{{job=~"wordloom-.*", {_ENV}}})',
                    legend=_legend("env", "job", "instance"),
                ),
            ),
            says="Whether each process could be scraped.",
        ),
        Panel(
            id=22,
            title="Coverage: targets that answer",
            unit="percentunit",
            queries=(
                Query(
                    expr=f'avg by (env, component) (up{{job=~"wordloom-.*", {_ENV}}})',
                    legend=_legend("env", "component"),
                ),
            ),
            says="The share of the system that these panels see at all.",
            is_share=True,
        ),
        Panel(
            id=23,
            title="Trace exports that failed",
            unit="ops",
            queries=(_rate("trace_export_failures", "job"),),
            says="Spans are lost: from here on metrics and logs are the main chain.",
        ),
    ),
)
ROWS: tuple[Row, ...] = (MINIMAL, WORK, WHY, AROUND)
PANELS: tuple[Panel, ...] = tuple(panel for row in ROWS for panel in row.panels)


def showing(metric: str) -> Panel:
    """The first panel that draws a metric, itself or as it is recorded, by catalogue id."""
    name = BY_ID[metric].name
    recorded = (one.name for one in RECORDINGS if name in one.expr)
    asked = [f"{one}{{" for one in (name, f"{name}_bucket", *recorded)]
    drawn = ((one, panel) for one in asked for panel in PANELS)
    return next(panel for one, panel in drawn if any(one in q.expr for q in panel.queries))
