"""Which facts do the signals state, reduced to what the decision list asks for?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from loomtriage.analysis.apart import Apart, far_apart
from loomtriage.analysis.causes import crashes
from loomtriage.analysis.causes.deliveries import Deliveries, deliveries, versioned, versions
from loomtriage.analysis.causes.owners import ended_leases
from loomtriage.analysis.causes.reasons import Blame, counted, told
from loomtriage.analysis.causes.silence import NONE, SURE, Silence, Silences
from loomtriage.analysis.causes.statements import Voice, of_lines, of_spans
from loomtriage.analysis.counters.increases import Increases
from loomtriage.analysis.surprise import gate, signed_g2
from loomtriage.contract.doubts import Doubt
from loomtriage.contract.keys import read_key
from loomtriage.contract.reasons import is_known

_RECLAIMED = re.compile(r"^Reclaimed (\d{1,6}) stuck outbox events")
# Bulk workers that finish their span before they write down how a request ended (in part, mostly)
# leave nothing of it in the trace, and this complaint of the tracing library in the log.
_OUTCOME_LOST = "Setting attribute on ended span"
EXPORTER_EVENTS = frozenset({"tracing.exporter_unreachable", "tracing.export_failed"})
BULK_MODE = "es_bulk"
EXTRA = (
    "owner_mismatch",
    "contention",
    "reclaimed",
    "idempotent_noop",
    "bulk_item_failures",
    "trace_export_failures",
    "produced",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was pulled for one window; a signal that is missing is None.

    Attributes:
        spans, lines: of the window.
        spans_before, lines_before: of the baseline.
        rows: outbox rows of both.
        until: end of the window, aware UTC.
        apart: clocks that could be compared, the farthest first.
        owners_live: whether the workers of rows that are held too long still work.
    """

    spans: pd.DataFrame | None = None
    lines: pd.DataFrame | None = None
    spans_before: pd.DataFrame | None = None
    lines_before: pd.DataFrame | None = None
    rows: pd.DataFrame | None = None
    until: datetime | None = None
    apart: tuple[Apart, ...] = ()
    owners_live: bool | None = None

    @property
    def now(self) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
        """Lines and spans of the window."""
        return self.lines, self.spans

    @property
    def before(self) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
        """Lines and spans of the baseline."""
        return self.lines_before, self.spans_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that a rule may look at; None means that the signal had nothing to say.

    Attributes:
        blames: reasons that rose above the baseline, most rows first.
        processed: rows finished in the window and expected, None without metrics.
        extra: increase (observed, expected) of the other work counters by catalogue id.
        bulk: bulk requests by result in the window.
        spoken, written: what spans and what log lines say of failing attempts.
        traces, lines: spans and lines in the window, None when the signal is missing.
        exporter_lost: lines that say the trace exporter cannot reach its collector.
        outcomes_lost: lines that say a span was finished before its outcome was written down.
        quiet: the end of the window without spans, though work went on.
        stuck: highest stuck gauge in the window, where it left its baseline.
        expired: claimed rows in the outbox whose lease ran out before the window's end.
        owners_live: whether every worker of these rows went on after that, None where no counter
            tells.
        reclaimed_in_lines: rows that lines say were reclaimed (older workers have no counter).
        again, again_before: signs of events delivered more than once, in window and baseline.
        versions, versions_before: by leg, how often it names which version of the rule, in
            window and baseline.
        mute: log files that end although work went on, and though their worker's clock is right.
        crashes: log files that end with an exception that nobody caught, each in words.
        unharmed: projections that finished rows and had no attempt fail.
        places: by what rose (counter's id, or `projection_version`) or is doubted, the projections
            it rose in.
        exposure: work offered in the window ÷ that in the baseline.
        apart: clocks that could be compared, the farthest first.
    """

    blames: tuple[Blame, ...] = ()
    processed: tuple[float, float] | None = None
    extra: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bulk: Mapping[str, float] = field(default_factory=dict)
    spoken: Voice = field(default_factory=Voice)
    written: Voice = field(default_factory=Voice)
    traces: int | None = None
    lines: int | None = None
    exporter_lost: int = 0
    outcomes_lost: int = 0
    quiet: Silence = NONE
    stuck: float = 0.0
    expired: int = 0
    owners_live: bool | None = None
    reclaimed_in_lines: int = 0
    again: Deliveries = field(default_factory=Deliveries)
    again_before: Deliveries = field(default_factory=Deliveries)
    versions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    versions_before: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    mute: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    unharmed: tuple[str, ...] = ()
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposure: float = 1.0
    apart: tuple[Apart, ...] = ()

    def blamed(self, *reasons: str, result: str = "") -> tuple[Blame, ...]:
        """The blames with one of these reasons (and this result, when given)."""
        return tuple(
            b for b in self.blames if b.reason in reasons and (not result or b.result == result)
        )

    def rose(self, metric: str) -> float:
        """Extra events of a work counter beyond the baseline; 0 where chance explains them."""
        return self.beyond(*self.extra.get(metric, (0.0, 0.0)))

    def beyond(self, observed: float, expected: float) -> float:
        """Extra events beyond what is expected by the baseline; 0 where chance explains them."""
        g2 = signed_g2(observed, expected / self.exposure, exposure=self.exposure)
        noise = expected > 0 and g2 <= gate(len(EXTRA))
        return 0.0 if noise else max(observed - expected, 0.0)

    @property
    def repeats(self) -> float:
        """Rows finished again, beyond what the baseline had of that."""
        return self.beyond(self.again.repeats, self.again_before.repeats * self.exposure)

    @property
    def skewed(self) -> tuple[Apart, ...]:
        """Clocks so far off that what they date may lie outside the windows."""
        return far_apart(self.apart)

    @property
    def spans_stopped(self) -> bool:
        """Whether spans stopped coming while work went on, beyond what chance does."""
        return self.quiet.expected >= SURE


def gather(
    increases: Increases | None,
    seen: Seen,
    *,
    exposure: float,
    stuck: float = 0.0,
    still: Silences | None = None,
) -> Facts:
    """Reduce what was pulled; `increases` are folded ones, None without metrics."""
    mute = _mute(still, seen.apart)
    spoken, written = of_spans(seen.spans), of_lines(seen.lines)
    only = _telling(spoken, written)
    blames = (
        counted(increases, exposure=exposure, status=only)
        if increases
        else told(seen.now, seen.before, exposure=exposure, status=only)
    )
    return Facts(
        blames=blames,
        processed=_processed(increases, exposure) if increases else None,
        extra={} if increases is None else _extra(increases, exposure),
        bulk=_bulk(increases) if increases else _told_bulk(seen),
        spoken=spoken,
        written=written,
        traces=None if seen.spans is None else len(seen.spans),
        lines=None if seen.lines is None else len(seen.lines),
        exporter_lost=0 if seen.lines is None else _exporter_lost(seen.lines),
        outcomes_lost=0 if seen.lines is None else _outcomes_lost(seen.lines),
        quiet=still.spans if still else NONE,
        mute=tuple(mute),
        crashes=() if seen.lines is None else crashes.says(seen.lines),
        stuck=stuck,
        owners_live=seen.owners_live,
        expired=0 if seen.rows is None else _expired(seen.rows, seen.until),
        reclaimed_in_lines=0 if seen.lines is None else _reclaimed(seen.lines),
        again=deliveries(seen.spans, seen.lines, known=(seen.spans_before, seen.lines_before)),
        again_before=deliveries(seen.spans_before, seen.lines_before),
        versions=versions(seen.spans, seen.lines),
        versions_before=versions(seen.spans_before, seen.lines_before),
        unharmed=_unharmed(increases, blames) if increases else (),
        places=(_places(increases, exposure) if increases else {})
        | {
            "projection_version": versioned(seen.spans, seen.lines),
            Doubt.SILENT_LOG: _united(mute.values()),
            Doubt.CLOCKS: _united(one.projections for one in far_apart(seen.apart)),
        },
        exposure=exposure,
        apart=seen.apart,
    )


def unknown_reasons(facts: Facts) -> tuple[str, ...]:
    """Reasons that the enum does not have: reported, never guessed."""
    return tuple(sorted({b.reason for b in facts.blames if not is_known(b.reason)}))


def _mute(still: Silences | None, apart: tuple[Apart, ...]) -> Mapping[str, tuple[str, ...]]:
    """Files that end early; those of a worker whose clock is far off go on at another time."""
    return {
        name: projections
        for name, projections in (still.files if still else {}).items()
        if not any(one.excuses(projections, file=name) for one in far_apart(apart))
    }


def _united(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for part in parts for name in part}))


def _expired(rows: pd.DataFrame, until: datetime | None) -> int:
    """Claimed rows whose lease ran out before the end of the window."""
    return 0 if until is None else len(ended_leases(rows, until))


def _telling(*voices: Voice) -> int | None:
    """The one 4xx status that tells `es_4xx` apart; 404 and 429 have reasons of their own."""
    found = {s for voice in voices for s in voice.statuses if 400 <= s < 500 and s != 429}
    return found.pop() if len(found) == 1 else None


def _processed(increases: Increases, exposure: float) -> tuple[float, float]:
    observed, baseline = increases.total("processed")
    return observed, baseline * exposure


def _extra(increases: Increases, exposure: float) -> dict[str, tuple[float, float]]:
    totals = {name: increases.total(name) for name in EXTRA}
    return {name: (seen, before * exposure) for name, (seen, before) in totals.items()}


def _places(increases: Increases, exposure: float) -> dict[str, tuple[str, ...]]:
    """In which projections each of the other counters grew by an event beyond its baseline."""
    found = {}
    for name in EXTRA:
        sums = increases.of(name).groupby(level="projection")[["observed", "baseline"]].sum()
        risen = sums[sums["observed"] - sums["baseline"] * exposure >= 1.0]
        found[name] = tuple(sorted({str(projection) for projection in risen.index} - {""}))
    return found


def _bulk(increases: Increases) -> dict[str, float]:
    rows = increases.of("bulk_requests")
    return {str(k): float(v) for k, v in rows.groupby(level="result")["observed"].sum().items()}


def _told_bulk(seen: Seen) -> dict[str, float]:
    """Bulk requests by result as spans tell them, or else lines: batches in the mode `es_bulk`."""
    told = [] if seen.spans is None else list(seen.spans["attributes"])
    if seen.lines is not None and not any(one.get("mode") == BULK_MODE for one in told):
        told = list(seen.lines["fields"])
    results = Counter(read_key("result", one) for one in told if one.get("mode") == BULK_MODE)
    return {name: float(count) for name, count in results.items()}


def _unharmed(increases: Increases, blames: Iterable[Blame]) -> tuple[str, ...]:
    done = increases.of("processed").groupby(level="projection")["observed"].sum()
    harmed = {name for blame in blames for name in blame.projections}
    return tuple(sorted({str(name) for name, rows in done.items() if rows > 0} - harmed - {""}))


def _exporter_lost(lines: pd.DataFrame) -> int:
    return int(lines["event"].isin(EXPORTER_EVENTS).sum())


def _outcomes_lost(lines: pd.DataFrame) -> int:
    return int(lines["message"].astype(str).str.startswith(_OUTCOME_LOST).sum())


def _reclaimed(lines: pd.DataFrame) -> int:
    found = (_RECLAIMED.match(str(message)) for message in lines["message"])
    return sum(int(match[1]) for match in found if match)
