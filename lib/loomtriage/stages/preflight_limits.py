"""Limits: how far can clocks, log level, scrapes and the pipeline's own work be relied on?"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pandas as pd

from loomtriage.analysis.apart import FAR_S, NOTED_S, Apart
from loomtriage.analysis.counters.increases import Increases
from loomtriage.case import Case
from loomtriage.contract.catalogue import BY_ID
from loomtriage.contract.events import WORKER_STATE
from loomtriage.model import Finding, Frame, State
from loomtriage.stages.preflight_targets import Scraped
from loomtriage.stages.result import longer

ENOUGH_SAMPLES = 20
"""Scrapes per window below which a change cannot be dated (a counter read twice has no onset)."""
SEEN_MOVING = 2
"""Scrapes of a counter below which nobody can tell whether it moves."""
_SKEW = re.compile(r"^clock_skew: the (.+)'s clock is (\d+(?:\.\d+)?) s (ahead of|behind) ours")


def clocks(apart: tuple[Apart, ...], *frames: Frame) -> tuple[Finding, ...]:
    """How far the clocks of servers, database and workers differ, as measured.

    NO_DATA where nothing could be measured: silence about clocks is no agreement.
    """
    answered = sum(len(frame) > 0 for frame in frames)
    if not answered and not apart:
        return ()
    told = [m for frame in frames for text in frame.caveats if (m := _SKEW.match(text))]
    skews = {m[1]: float(m[2]) if m[3] == "ahead of" else -float(m[2]) for m in told}
    skews |= {one.whose: one.ahead_s for one in apart}
    worst = max((abs(skew) for skew in skews.values()), default=0.0)
    far = {name: skew for name, skew in skews.items() if abs(skew) > NOTED_S}
    n = sum(one.n for one in apart) + len(told)
    state = State.WARN if worst > FAR_S else State.OK
    if far:
        listed = "; ".join(f"{name} is {skew:+.1f} s off" for name, skew in sorted(far.items()))
        says = f"Clocks differ: {listed}. Order between signals is unsure by as much; run NTP."
    elif skews:
        says = f"{len(skews)} clocks, compared {n} times, agree within {max(worst, 0.1):.1f} s."
    else:
        state = State.NO_DATA
        says = (
            "No clock could be compared: no row's end stands in a log line too, and no gauge of "
            "a last success is fresh. No server was seen to be off. Configure logs and outbox."
        )
    return (
        Finding(
            check="preflight.clocks",
            state=state,
            says=says,
            value=round(worst, 1) if skews else None,
            unit="s",
            threshold=FAR_S,
            n=n,
        ),
    )


def log_level(lines: Frame, increases: Increases) -> tuple[Finding, ...]:
    """Whether INFO events exist at all: without them no event is not no activity."""
    work = sum(increases.total(name)[0] for name in ("processed", "failed"))
    informed = int((lines.data["level"] == "INFO").sum())
    if informed or (not len(lines) and (lines.missing != "empty" or not work)):
        return ()
    seen = f"none of {len(lines)} lines is INFO"
    if not len(lines):
        seen = f"no line for {work:.0f} attempts"
    says = (
        f"LOG_LEVEL hides the events: {seen}. No event is not no activity; "
        "set LOG_LEVEL=INFO and restart."
    )
    return (
        Finding(
            check="preflight.log_level",
            state=State.WARN,
            says=says,
            value=0.0,
            unit="INFO lines",
            threshold=1.0,
            n=len(lines),
        ),
    )


def samples(case: Case, frame: Frame) -> Finding:
    """Whether both windows hold enough scrapes, and fresh ones."""
    counts = {}
    for name, window in (("window", case.window), ("baseline", case.baseline)):
        if window is None:
            counts[name] = 0
            continue
        data = frame.data[(frame.data.index >= window.start) & (frame.data.index < window.end)]
        counts[name] = int(data.notna().sum().max()) if len(data) else 0
    fewest = min(counts.values())
    says = f"{counts['window']} scrapes in the window, {counts['baseline']} in the baseline"
    stale = [text for text in frame.caveats if text.startswith("stale")]
    if stale:
        state, says = State.NO_DATA, f"{stale[0]} Check that Prometheus runs and scrapes."
    elif fewest >= ENOUGH_SAMPLES:
        state, says = State.OK, f"{says}."
    else:
        state = State.WARN if fewest else State.NO_DATA
        says = f"{says}; below {ENOUGH_SAMPLES} no onset can be dated. {longer(case)}"
    return Finding(
        check="preflight.samples",
        state=state,
        says=says,
        value=float(fewest),
        unit="scrapes",
        threshold=float(ENOUGH_SAMPLES),
        n=sum(counts.values()),
    )


def work(
    metrics: pd.DataFrame, increases: Increases, lines: pd.DataFrame, targets: tuple[Scraped, ...]
) -> Finding:
    """Whether rows were finished in the window; else no traffic, dead and draining told apart.

    A counter that was seen once has not moved, whatever the worker did: that is NO_DATA.
    """
    finished, failed = (increases.total(name)[0] for name in ("processed", "failed"))
    produced, waiting = increases.total("produced")[0], _last(metrics, "lag")
    states = [str(f.get("state", "")) for f in lines[lines["event"] == WORKER_STATE]["fields"]]
    workers = [one for one in targets if one.process.component == "worker"]
    state = State.WARN
    if finished or failed:
        state = State.OK
        says = f"Rows finished in the window: {finished:.0f}; attempts that failed: {failed:.0f}."
    elif workers and not any(one.is_up for one in workers):
        state = State.BAD
        says = "The worker is dead: no scrape reaches it and no row was finished. Start it."
    elif states and states[-1] not in ("", "RUNNING"):
        says = (
            f"The worker is {states[-1]}: it claims nothing. "
            "Its /readyz says why; mostly the database does not answer its pings."
        )
    elif (seen := _scrapes(metrics, workers)) < SEEN_MOVING:
        state = State.NO_DATA
        says = (
            f"{seen} scrapes of the worker lie in these windows: whether it finishes rows cannot "
            f"be told from fewer than {SEEN_MOVING}. Wait for the next scrape, or choose longer "
            "windows."
        )
    elif math.isnan(waiting):
        says = (
            "None is finished and how many rows wait is not known: the worker answers and does "
            "not count them. Mostly the database does not answer it."
        )
    elif waiting or produced:
        says = (
            f"{waiting or produced:.0f} rows wait and none is finished, though the worker answers: "
            "look for a lock, an expired claim, or rows that failed for good (they count as lag)."
        )
    else:
        says = "No traffic: the worker answers, nothing waits. Without work there is no judgement."
    return Finding(
        check="preflight.work",
        state=state,
        says=says,
        value=finished,
        unit="rows",
        n=round(finished + failed),
    )


def _last(metrics: pd.DataFrame, metric: str) -> float:
    """Largest last value over the series of a gauge, NaN when it has none.

    Workers all measure the same table.
    """
    chosen = metrics.loc[:, metrics.columns.get_level_values("metric") == BY_ID[metric].name]
    return float(chosen.ffill().iloc[-1].max()) if chosen.size else math.nan


def _scrapes(metrics: pd.DataFrame, workers: Sequence[Scraped]) -> int:
    """How often the worker seen most often was scraped, by whatever it shows."""
    level, own = metrics.columns.get_level_values, [one.instance for one in workers]
    shown = {BY_ID[name].name for name in ("processed", "failed", "lag")}
    told = level("metric").isin(shown) | level("instance").isin(own)
    return int(max(metrics.loc[:, told].count(), default=0))
