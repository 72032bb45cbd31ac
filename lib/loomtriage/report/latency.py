"""When did each signal see a drill's fault, as a table and on one axis?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from loomtriage.model import Signal, Window
from loomtriage.report import charts, loose
from loomtriage.report.canvas import Chart
from loomtriage.report.plot import Mark
from loomtriage.report.tables import Table

NOT_SEEN = "not seen"
TITLE = "When each signal saw the fault"
AROUND = timedelta(seconds=2)
"""Room left and right of the moments on the axis."""


def table(told: object) -> Table | None:
    """One row a moment; what nobody saw says so. None when a drill told no moments.

    Args:
        told: entries `name`, `signal`, `at` (ISO, empty when not seen), `after_s` (seconds after
            the witness) and `within_s` (how far off that may be), as a drill's `latency` has them.
    """
    moments = loose.maps(told)
    if not moments:
        return None
    return Table(
        id="latency",
        title=TITLE,
        columns=("moment", "signal", "seen at (UTC)", "after the witness", "known to"),
        rows=tuple(_row(moment) for moment in moments),
        note="Negative: seen before the witness had looked; the last column says by how much "
        "the order may be wrong.",
    )


def chart(told: object) -> Chart | None:
    """The moments that were seen, in order of time; None when a drill told no moments."""
    moments = loose.maps(told)
    if not moments:
        return None
    seen = [(moment, at) for moment in moments if (at := loose.instant(moment.get("at")))]
    times = [at for _, at in seen] or [datetime.now(UTC)]
    begun = next((at for moment, at in seen if not _signal(moment)), min(times))
    return charts.timeline(
        [
            Mark(label=loose.word(moment, "name"), at=at, signal=_signal(moment))
            for moment, at in seen
        ],
        id="latency",
        title=TITLE,
        window=Window(begun, max(times) + AROUND),
        baseline=Window(min(times) - AROUND, begun),
    )


def _row(moment: Mapping[str, object]) -> tuple[str, ...]:
    at = loose.instant(moment.get("at"))
    after, within = _seconds(moment.get("after_s")), _seconds(moment.get("within_s"))
    return (
        loose.word(moment, "name"),
        loose.word(moment, "signal"),
        f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if at else NOT_SEEN,
        NOT_SEEN if after is None or at is None else f"{after:+.3f} s",
        f"± {within:.3f} s" if at and within is not None else "",
    )


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and loose.number(value) else None


def _signal(moment: Mapping[str, object]) -> Signal | None:
    name = moment.get("signal")
    return Signal(name) if isinstance(name, str) and name in set(Signal) else None
