"""Recordings: which series does Prometheus compute, so that alerts and panels share one meaning?"""

from __future__ import annotations

from loomtriage.contract.catalogue import BY_ID, Threshold
from loomtriage.contract.rules import Recording, grown

_BY_OP = "env, projection, op"
_BY_REASON = "env, projection, op, reason"
LATE = Threshold(value=30.0, unit="s", source="Wordloom's architecture overview: 99 % within 30 s")
BUDGET = Threshold(value=0.01, unit="share", source="99 % projected within 30 s leaves 1 %")


def _increase(metric: str, labels: str, says: str) -> Recording:
    return Recording(
        name=f"projection:{BY_ID[metric].name.removesuffix('_total')}:increase5m",
        expr=f"sum by ({labels}) ({grown(metric, '5m')})",
        says=says,
    )


RECORDINGS: tuple[Recording, ...] = (
    _increase("processed", _BY_OP, "rows finished in five minutes"),
    _increase("failed", _BY_REASON, "attempts that failed in five minutes"),
    _increase("retry_scheduled", _BY_REASON, "attempts sent back to pending in five minutes"),
    _increase("terminal_failed", _BY_REASON, "rows that failed for good in five minutes"),
    _increase(
        "reclaimed", "env, projection", "rows taken back from a silent owner in five minutes"
    ),
    _increase("contention", "env, projection", "refusals by locked rows in five minutes"),
    _increase(
        "trace_export_failures", "env, component, job", "batches of spans lost in five minutes"
    ),
    Recording(
        name="projection:outbox_late:bool",
        expr=f"max by (env, projection) ({BY_ID['oldest_age'].name}) > bool $bound",
        bound=LATE,
        says="1 while some row that is not a dead letter waits longer than the objective allows",
    ),
)
