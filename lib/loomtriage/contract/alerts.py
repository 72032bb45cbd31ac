"""Alerts: when does Prometheus call somebody, what does it say, and which drill proves it?

An alert that fires in a drill other than its own says why; in all others it must be silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loomtriage.contract.catalogue import BY_ID, Threshold
from loomtriage.contract.reasons import REASONS, spellings
from loomtriage.contract.recordings import BUDGET, LATE, RECORDINGS
from loomtriage.contract.rules import PRODUCTION, Alert, groups

_REJECTED = "|".join(
    name for reason in REASONS if reason.status == 429 for name in spellings(reason.name)
)
_WHERE = "{{ $labels.projection }} in {{ $labels.env }}"
_ON = "on (env, projection)"
_BEHIND = "Rows wait behind this fault too, and waiting rows are what the alert is about."
_WHERE_ROWS_WAIT = MappingProxyType(
    dict.fromkeys(
        (
            "ack_lost",
            "es_429",
            "es_429_and_poison",
            "es_429_forced",
            "slow_es",
            "stuck_in_the_dark",
            "stuck_reclaim",
        ),
        _BEHIND,
    )
)

_AGE = BY_ID["oldest_age"]
_LAG, _STUCK, _PRODUCED = (BY_ID[name].name for name in ("lag", "stuck", "produced"))


def _burn(*, long: str, short: str) -> str:
    late = "projection:outbox_late:bool"
    return f"avg_over_time({late}[{long}]) > $bound and avg_over_time({late}[{short}]) > $bound"


def _rate(times: float) -> Threshold:
    return Threshold(
        value=round(times * BUDGET.value, 4),
        unit="share",
        source=f"{times:g} times the budget of {BUDGET.value:.0%}; the SRE workbook's burn rate",
    )


ALERTS: tuple[Alert, ...] = (
    Alert(
        name="OutboxOldestAgeHigh",
        expr=f"max by (env, projection) ({_AGE.name}) > $bound",
        bound=_AGE.threshold or LATE,
        for_s=120,
        severity="warning",
        summary=_WHERE + ": the oldest row waits {{ $value | humanizeDuration }}",
        says="A row waits for longer than five minutes. Rows that failed for good are not counted: "
        "they wait for a replay, not for a worker.",
        impact="What was written is not found by search, or not in the chronicle, yet.",
        panel="Oldest age without dead letters",
        stage="20-narrow",
        causes=("es_down", "es_429", "db_contention", "es_slow", "stuck_reclaim"),
        fires_in=("es_down", "db_contention"),
        may_fire_in=_WHERE_ROWS_WAIT,
    ),
    Alert(
        name="OutboxTerminalBurst",
        expr="projection:outbox_terminal_failed:increase5m > $bound",
        bound=Threshold(value=5, unit="rows", source="more than a person repairs one by one"),
        for_s=0,
        severity="critical",
        summary=_WHERE + ": {{ $value | humanize }} rows failed for good with {{ $labels.reason }}",
        says="Rows fail for good, and nothing brings them back but a replay.",
        impact="These changes are missing from search or chronicle until they are replayed.",
        panel="Failed for good by reason",
        stage="20-narrow",
        causes=("es_poison_4xx", "es_write_block", "es_bulk_partial", "projection_code"),
        fires_in=("es_poison_4xx", "es_write_block", "es_bulk_partial", "es_429_and_poison"),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="OutboxRetryStorm",
        expr="(projection:outbox_retry_scheduled:increase5m > $bound) > on (env, projection, op) "
        "group_left () projection:outbox_processed:increase5m",
        bound=Threshold(value=20, unit="attempts", source="below that a share says nothing"),
        for_s=120,
        severity="warning",
        summary=_WHERE
        + ": {{ $value | humanize }} retries with {{ $labels.reason }}, more than rows finished",
        says="More attempts go back with one reason than rows are finished.",
        impact="Changes arrive late; the retries themselves add load.",
        panel="Retries scheduled by reason",
        stage="20-narrow",
        causes=("es_down", "es_429", "es_slow"),
        fires_in=("es_down", "es_429"),
        may_fire_in=MappingProxyType(
            dict.fromkeys(
                ("ack_lost", "es_429_and_poison", "es_429_forced"),
                "Attempts go back here too; whether more than are finished depends on the load.",
            )
        ),
    ),
    Alert(
        name="OutboxRowsStuck",
        expr=f"max by (env, projection) (max_over_time({_STUCK}[5m])) > $bound "
        "or projection:outbox_reclaimed:increase5m > $bound",
        bound=Threshold(value=0, unit="rows", source="an owner that ends in order leaves none"),
        for_s=0,
        severity="warning",
        summary=_WHERE + ": {{ $value | humanize }} claimed rows lost their owner",
        says="A claim outlived its lease: rows are stuck, or were taken back within five minutes. "
        "Reclaim is quick, so its counter is asked beside the gauge.",
        impact="These rows arrive late by at least one claim lease.",
        panel="Stuck and reclaimed rows",
        stage="20-narrow",
        causes=("stuck_reclaim", "es_slow"),
        fires_in=("stuck_reclaim", "stuck_in_the_dark"),
        may_fire_in=MappingProxyType(
            {"db_contention": "Owners cannot acknowledge locked rows, so claims outlive leases."}
        ),
    ),
    Alert(
        name="ElasticsearchRejectsWrites",
        expr="sum by (env, projection) (projection:outbox_failed:increase5m"
        f'{{reason=~"{_REJECTED}"}}) / {_ON} (sum by (env, projection) '
        "(projection:outbox_failed:increase5m) + "
        f"{_ON} sum by (env, projection) (projection:outbox_processed:increase5m)) > $bound",
        bound=Threshold(value=0.01, unit="share", source="Wordloom's dashboard, 1 % line"),
        for_s=120,
        severity="warning",
        summary=_WHERE + ": {{ $value | humanizePercentage }} of attempts rejected with 429",
        says="Elasticsearch, or something before it, rejects writes because it has no room. "
        "Rows one by one and items of bulk requests count alike.",
        impact="Changes arrive late; none is lost.",
        panel="Share of attempts rejected with 429",
        stage="20-narrow",
        causes=("es_429",),
        fires_in=("es_429", "es_429_forced", "es_429_and_poison"),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="OutboxDatabaseContention",
        expr="projection:outbox_db_contention:increase5m > $bound",
        bound=Threshold(value=2, unit="refusals", source="two workers may meet now and then"),
        for_s=120,
        severity="warning",
        summary=_WHERE + ": {{ $value | humanize }} claims found their rows locked",
        says="Claims and acknowledgements find their rows locked by another session.",
        impact="Rows wait although worker and Elasticsearch are well.",
        panel="Contention and owner mismatches",
        stage="20-narrow",
        causes=("db_contention",),
        fires_in=("db_contention",),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="OutboxSilentLoop",
        expr=f"max by (env, projection) ({_LAG}) > $bound and {_ON} "
        "sum by (env, projection) (projection:outbox_processed:increase5m) + "
        f"{_ON} sum by (env, projection) (projection:outbox_failed:increase5m) == 0",
        bound=Threshold(value=0, unit="rows", source="with nothing to do, silence is right"),
        for_s=120,
        severity="critical",
        summary=_WHERE + ": {{ $value | humanize }} rows wait, and no attempt ends",
        says="Rows wait, and for minutes no attempt ended, neither well nor badly: the loop turns "
        "without a result, or does not turn.",
        impact="Nothing new arrives, and no counter says why.",
        panel="Rows not yet done",
        stage="30-locate",
        causes=("db_contention", "stuck_reclaim"),
        fires_in=("db_contention",),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="WordloomTargetDown",
        expr='up{job=~"wordloom-.*", job!="wordloom-drill"} == $bound '
        'and max_over_time(up{job=~"wordloom-.*"}[1d]) == 1',
        bound=Threshold(value=0, unit="answers", source="a scrape that failed"),
        for_s=300,
        severity="critical",
        summary="{{ $labels.job }} {{ $labels.instance }} in {{ $labels.env }} does not answer",
        says="A process that was scraped within the last day does not answer any more. One that "
        "never ran here, or runs only during drills, is not missed.",
        impact="If it is a worker, its projection stands still; if it is the API, nobody writes.",
        panel="Targets up",
        stage="10-preflight",
        causes=("stuck_reclaim",),
        fires_in=("stuck_reclaim", "stuck_in_the_dark"),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="TraceExportFailing",
        expr="projection:outbox_trace_export_failures:increase5m > $bound",
        bound=Threshold(value=0, unit="exports", source="a collector that is well takes all"),
        for_s=60,
        severity="warning",
        summary="{{ $labels.job }} in {{ $labels.env }} loses spans",
        says="The trace collector does not take the spans of this process. Spans that were dropped "
        "do not come again.",
        impact="None for users; an incident now has to be told from metrics and logs.",
        panel="Trace exports that failed",
        stage="10-preflight",
        causes=("collector_down",),
        fires_in=("collector_down", "collector_down_at_start", "stuck_in_the_dark"),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="OutboxNoTraffic",
        expr=f"sum by (env) (increase({_PRODUCED}[30m])) == $bound "
        f"and on (env) sum by (env) (increase({_PRODUCED}[1d])) > 0",
        bound=Threshold(value=0, unit="rows", source="an hour of the night may be quiet; see for"),
        for_s=1800,
        severity="info",
        summary="{{ $labels.env }}: the API has put nothing into the outbox for an hour",
        says="Nothing is written although something was within the last day. Every other alert is "
        "blind without work: no failures then does not mean health.",
        impact="None that can be seen from here: either nobody writes, or writes do not get in.",
        panel="Rows produced by the API",
        stage="10-preflight",
        causes=("none",),
        do="Write something through the API. If it gets in, nobody else was writing, and all is "
        "well. If it does not, look at the API and at what stands before it.",
        fires_in=(),
        may_fire_in=MappingProxyType({}),
    ),
    Alert(
        name="OutboxBudgetBurnFast",
        expr=_burn(long="1h", short="5m"),
        bound=_rate(14.4),
        for_s=120,
        severity="critical",
        summary=_WHERE + ": late {{ $value | humanizePercentage }} of the last hour",
        says="The objective is 99 % of the time without a row that waits longer than 30 s. At this "
        "rate a month's budget is gone in two days. Time is counted and not rows, since no metric "
        "of the contract says how long a finished row took.",
        impact="Users notice: what they wrote is not found for half a minute and more.",
        panel="Share of time with a late row",
        stage="20-narrow",
        causes=("es_down", "es_429", "db_contention", "es_slow"),
        fires_in=("es_down", "db_contention"),
        may_fire_in=_WHERE_ROWS_WAIT,
    ),
    Alert(
        name="OutboxBudgetBurnSlow",
        expr=_burn(long="6h", short="30m"),
        bound=_rate(6),
        for_s=300,
        severity="warning",
        summary=_WHERE + ": late {{ $value | humanizePercentage }} of the last six hours",
        says="The objective is 99 % of the time without a row that waits longer than 30 s. At this "
        "rate a month's budget is gone in five days.",
        impact="Some changes are found late, too few at a time for the fast alert.",
        panel="Share of time with a late row",
        stage="20-narrow",
        causes=("es_down", "es_429", "db_contention", "es_slow"),
        fires_in=("es_down", "db_contention"),
        may_fire_in=_WHERE_ROWS_WAIT,
    ),
)

BY_NAME: Mapping[str, Alert] = MappingProxyType({alert.name: alert for alert in ALERTS})


def rules_data(scale: float = PRODUCTION) -> dict[str, object]:
    """The content of the rules file for a time scale, as data (YAML or JSON)."""
    return groups(RECORDINGS, ALERTS, scale=scale)
