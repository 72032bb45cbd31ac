"""Which facts do the three signals state, reduced to what the decision list asks for?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.analysis.increases import Increases
from loomtriage.analysis.steps import failing
from loomtriage.analysis.surprise import FLOOR_EVENTS, gate, signed_g2
from loomtriage.contract import catalogue
from loomtriage.contract.reasons import canonical, is_known
from loomtriage.contract.spans import ES_METHODS

_STATUS_IN_TEXT = re.compile(r"\b([1-5]\d\d)\b[^\n]{0,40}' for url")
_ERROR_CLASS = re.compile(r"\b([A-Z][A-Za-z]{2,40}(?:Error|Exception|Timeout))\b")
_RECLAIMED = re.compile(r"^Reclaimed (\d{1,6}) stuck outbox events")
EXPORTER_EVENTS = frozenset({"tracing.exporter_unreachable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """How often one reason ended an attempt.

    Attributes:
        reason: canonical reason.
        result: `retry` or `failed`.
        observed, expected: attempts in the window, and what the baseline predicts.
        strong: at least six extra events and past the gate.
    """

    reason: str
    result: str
    observed: float
    expected: float
    strong: bool

    def __str__(self) -> str:
        return (
            f"{self.observed:.0f} × {self.result} with {self.reason} ({self.expected:.1f} expected)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a rule may look at; None means that the signal had nothing to say.

    Attributes:
        blames: reasons that rose above the baseline, most attempts first.
        processed: rows finished in the window and expected, None without metrics.
        extra: increase (observed, expected) of the other work counters by catalogue id.
        bulk: bulk requests by result in the window.
        statuses: HTTP statuses on failing calls to Elasticsearch, from spans, lines and rows.
        without_status: failing client spans that never got a status.
        error_classes: exception classes named by spans and lines, with counts.
        traces, lines: spans and lines in the window, None when the signal is missing.
        exporter_lost: lines that say the trace exporter cannot reach its collector.
        stuck: highest stuck gauge in the window.
        reclaimed_in_lines: rows that lines say were reclaimed (older workers have no counter).
        exposure: work offered in the window ÷ that in the baseline.
    """

    blames: tuple[Blame, ...]
    processed: tuple[float, float] | None
    extra: Mapping[str, tuple[float, float]]
    bulk: Mapping[str, float]
    statuses: Mapping[int, int]
    without_status: int
    error_classes: Mapping[str, int]
    traces: int | None
    lines: int | None
    exporter_lost: int
    stuck: float
    reclaimed_in_lines: int = 0
    exposure: float = 1.0

    def blamed(self, *reasons: str, result: str = "") -> tuple[Blame, ...]:
        """The blames with one of these reasons (and this result, when given)."""
        return tuple(
            b for b in self.blames if b.reason in reasons and (not result or b.result == result)
        )

    def rose(self, metric: str) -> float:
        """Extra events of a work counter beyond the baseline; 0 where chance explains them."""
        observed, expected = self.extra.get(metric, (0.0, 0.0))
        g2 = signed_g2(observed, expected / self.exposure, exposure=self.exposure)
        noise = expected > 0 and g2 <= gate(len(self.extra))
        return 0.0 if noise else max(observed - expected, 0.0)


def gather(
    increases: Increases | None,
    spans: pd.DataFrame | None,
    lines: pd.DataFrame | None,
    *,
    exposure: float,
    stuck: float = 0.0,
) -> Facts:
    """Reduce what was pulled; a signal that is missing is passed as None."""
    clients = _es_clients(spans) if spans is not None else None
    statuses = _statuses(clients, lines)
    # 404, 429 and 5xx have reasons of their own; what remains tells `es_4xx` apart.
    telling = [s for s in statuses if 400 <= s < 500 and s not in (404, 429)]
    only = telling[0] if len(telling) == 1 else None
    return Facts(
        blames=_blames(increases, exposure=exposure, status=only) if increases else (),
        processed=_processed(increases, exposure) if increases else None,
        extra={} if increases is None else _extra(increases, exposure),
        bulk=_bulk(increases) if increases else {},
        statuses=statuses,
        without_status=0 if clients is None else int((clients["status"] == 0).sum()),
        error_classes=_error_classes(clients, lines),
        traces=None if spans is None else len(spans),
        lines=None if lines is None else len(lines),
        exporter_lost=0 if lines is None else int(lines["event"].isin(EXPORTER_EVENTS).sum()),
        stuck=stuck,
        reclaimed_in_lines=0 if lines is None else _reclaimed(lines),
        exposure=exposure,
    )


def _blames(increases: Increases, *, exposure: float, status: int | None) -> tuple[Blame, ...]:
    found: list[Blame] = []
    for metric in ("retry_scheduled", "terminal_failed"):
        result = catalogue.BY_ID[metric].result
        rows = increases.of(metric)
        by_reason = rows.groupby(level="reason").sum()
        for name, row in by_reason.iterrows():
            reason = canonical(str(name), status=status)
            if reason in ("none", "") or row["observed"] <= 0:
                continue
            observed, expected = float(row["observed"]), float(row["baseline"]) * exposure
            g2 = signed_g2(observed, float(row["baseline"]), exposure=exposure)
            strong = observed - expected >= FLOOR_EVENTS and g2 > gate(len(by_reason))
            if strong or row["baseline"] == 0:
                found.append(
                    Blame(
                        reason=reason,
                        result=result,
                        observed=observed,
                        expected=expected,
                        strong=strong,
                    )
                )
    return tuple(sorted(found, key=lambda b: (-b.strong, -b.observed, b.reason)))


def unknown_reasons(facts: Facts) -> tuple[str, ...]:
    """Reasons that the enum does not have: reported, never guessed."""
    return tuple(sorted({b.reason for b in facts.blames if not is_known(b.reason)}))


def _processed(increases: Increases, exposure: float) -> tuple[float, float]:
    observed, baseline = increases.total("processed")
    return observed, baseline * exposure


def _extra(increases: Increases, exposure: float) -> dict[str, tuple[float, float]]:
    names = ("owner_mismatch", "reclaimed", "idempotent_noop", "bulk_item_failures", "produced")
    totals = {name: increases.total(name) for name in names}
    return {name: (seen, before * exposure) for name, (seen, before) in totals.items()}


def _bulk(increases: Increases) -> dict[str, float]:
    rows = increases.of("bulk_requests")
    return {str(k): float(v) for k, v in rows.groupby(level="result")["observed"].sum().items()}


def _es_clients(spans: pd.DataFrame) -> pd.DataFrame:
    """Failing client spans towards Elasticsearch: status (0 = none) and message."""
    chosen = spans[(spans["kind"] == "client") & spans["operation"].isin(ES_METHODS)]
    chosen = chosen[failing(chosen)] if len(chosen) else chosen
    status = [
        _int(a.get("http.status_code") or a.get("http.response.status_code"))
        for a in chosen["attributes"]
    ]
    return pd.DataFrame({"status": status, "message": chosen["status_message"].to_numpy()})


def _statuses(clients: pd.DataFrame | None, lines: pd.DataFrame | None) -> dict[int, int]:
    counts: Counter[int] = Counter()
    if clients is not None:
        counts.update(int(s) for s in clients["status"] if s)
    if lines is not None and not counts:
        for fields in lines["fields"]:
            status = _int(fields.get("http_status"))
            match = _STATUS_IN_TEXT.search(str(fields.get("exc_info", "")))
            status = status or (int(match[1]) if match else 0)
            if status >= 400:
                counts[status] += 1
    return dict(counts.most_common())


def _error_classes(clients: pd.DataFrame | None, lines: pd.DataFrame | None) -> dict[str, int]:
    """Classes by how often the signal that saw more names them: both tell of the same calls."""
    spoken: Counter[str] = Counter()
    for message in [] if clients is None else clients["message"]:
        spoken.update(_ERROR_CLASS.findall(str(message))[:1])
    written: Counter[str] = Counter()
    for fields in [] if lines is None else lines["fields"]:
        text = str(fields.get("error", "")) or _last_line(str(fields.get("exc_info", "")))
        written.update(_ERROR_CLASS.findall(text[:300])[:1])
    return dict((spoken | written).most_common(10))


def _last_line(text: str) -> str:
    kept = [line for line in text.splitlines() if line.strip()]
    named = [line for line in kept if _ERROR_CLASS.match(line.rsplit(".", 1)[-1].split(":")[0])]
    return (named or kept or [""])[-1]


def _int(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _reclaimed(lines: pd.DataFrame) -> int:
    found = (_RECLAIMED.match(str(message)) for message in lines["message"])
    return sum(int(match[1]) for match in found if match)
