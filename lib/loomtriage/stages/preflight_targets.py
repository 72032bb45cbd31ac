"""Targets: which scraped processes are down or scraped twice, why, and what brings them back?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from loomtriage.contract.targets import JOB_PREFIX, RELOAD, Target, port_of, target_of
from loomtriage.model import Evidence, Finding, Frame, State
from loomtriage.report.tables import Table
from loomtriage.report.text import clip

CONFIG = "docker/prometheus/prometheus.yml"
SHOWN = 3
_NOT_ANSWERING = ("deadline exceeded", "timeout", "timed out")
_NOT_REACHED = ("dial", "lookup", "connection timed out")
"""No connection came about: the address may be wrong, or something in between says nothing."""
_NOT_LISTENING = ("refused", "reset by peer", "eof")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """One target of the metrics server.

    Attributes:
        job, instance, env: as labelled; empty where the source does not say.
        process: what answers there, by the contract.
        is_up: at the end of the window; None when it was never scraped.
        error: why the last scrape failed, empty when unknown.
    """

    job: str
    instance: str
    env: str
    process: Target
    is_up: bool | None
    error: str = ""

    @property
    def fix(self) -> str:
        """What brings it back, empty when it is up."""
        if self.is_up:
            return ""
        starts = self.process.start.format(port=port_of(self.instance) or "its port")
        said = self.error.lower()
        if not said or any(word in said for word in _NOT_LISTENING):
            return f"{starts}, or correct the port in {CONFIG} and {RELOAD}."
        if any(word in said for word in _NOT_ANSWERING):
            says = (
                "It did not answer in time: see whether the process hangs or is paused (then start "
                "it anew), or whether address and network are right."
            )
            if any(word in said for word in _NOT_REACHED):
                says += f" A wrong address: correct it in {CONFIG}, then {RELOAD}."
            return says
        return f"Correct address and path in {CONFIG} ({self.error[:80]}), then {RELOAD}."


def scraped_targets(listed: Frame, ups: pd.DataFrame) -> tuple[Scraped, ...]:
    """All targets: what the server lists as of now, and `up` as it was in the window.

    Args:
        listed: TARGETS frame; empty when the source has no list.
        ups: METRICS table that holds `up`.
    """
    seen = _last_up(ups)
    found = []
    for row in listed.data.to_dict("records"):
        health = None if row["health"] == "unknown" else row["health"] == "up"
        found.append(
            Scraped(
                job=row["job"],
                instance=row["instance"],
                env=row["labels"].get("env", ""),
                process=_process(row["job"], row["labels"].get("component", ""), row["instance"]),
                is_up=seen.get(row["instance"], health),
                error=row["last_error"],
            )
        )
    if not found:
        found = list(_from_up(ups, seen))
    return tuple(found)


def target_findings(targets: tuple[Scraped, ...]) -> tuple[Finding, ...]:
    """Which are down, which are scraped twice, and whether a component is not scraped at all."""
    findings = [_down(targets)] if targets else []
    findings += _twice(targets)
    if any(one.job for one in targets):
        findings += _unwatched(targets)
    return tuple(findings)


def targets_table(targets: Iterable[Scraped]) -> Table:
    """One row for each target: is it up, why not, and what to do."""
    words = {True: "up", False: "down", None: "not scraped yet"}
    rows = tuple(
        (
            one.process.name,
            one.instance,
            one.env,
            one.job,
            words[one.is_up],
            one.error,
            "" if may_be_down(one, tuple(targets)) else one.fix,
        )
        for one in targets
    )
    return Table(
        id="targets",
        title="Scraped processes",
        columns=("process", "target", "env", "job", "state", "why", "fix"),
        rows=rows,
    )


def may_be_down(one: Scraped, targets: tuple[Scraped, ...]) -> bool:
    """Whether a target is down in peace: a drill's worker, or another port of the API's job."""
    if one.is_up or not one.process.optional:
        return False
    if one.process.component != "api":
        return True
    return any(other.is_up and other.job == one.job for other in targets)


def _down(targets: tuple[Scraped, ...]) -> Finding:
    peaceful = [one for one in targets if may_be_down(one, targets)]
    down = [one for one in targets if not one.is_up and one not in peaceful]
    if down:
        listed = "; ".join(
            f"{one.process.name} at {one.instance}"
            f"{f' ({one.error[:100]})' if one.error else ''}: {one.fix}"
            for one in down[:SHOWN]
        )
        more = f" And {len(down) - SHOWN} more." if len(down) > SHOWN else ""
        says = f"{len(down)} of {len(targets)} targets are down. {listed}{more}"
    elif peaceful:
        names = ", ".join(f"{one.instance} ({one.process.optional})" for one in peaceful)
        says = f"All targets that must be up are up. Down in peace: {names}."
    else:
        says = f"All {len(targets)} targets are up."
    return Finding(
        check="preflight.targets",
        state=State.BAD if down else State.OK,
        says=says,
        value=float(len(down)),
        unit="targets down",
        threshold=0.0,
        n=len(targets),
        evidence=tuple(_gone(one) for one in down[:SHOWN]),
    )


def _gone(one: Scraped) -> Evidence:
    """A target that is down, as its own series says it."""
    says = f"{one.process.name} at {one.instance} is down"
    says += f": {clip(one.error, 100)}" if one.error else ""
    return Evidence(kind="metric_delta", ref=f'up{{instance="{one.instance}"}}', says=says)


def _twice(targets: tuple[Scraped, ...]) -> tuple[Finding, ...]:
    jobs: dict[str, list[str]] = {}
    for one in targets:
        jobs.setdefault(one.instance, []).append(one.job or one.env)
    twice = {name: sorted(set(where)) for name, where in jobs.items() if len(where) > 1}
    if not twice:
        return ()
    listed = "; ".join(f"{name} by {' and '.join(where)}" for name, where in twice.items())
    return (
        Finding(
            check="preflight.targets_twice",
            state=State.WARN,
            says=f"{len(twice)} processes are scraped twice: {listed[:300]}. Their env is unknown. "
            f"Keep each in one job of {CONFIG}, then {RELOAD}.",
            value=float(len(twice)),
            unit="processes",
            threshold=0.0,
            n=len(jobs),
        ),
    )


def _unwatched(targets: tuple[Scraped, ...]) -> tuple[Finding, ...]:
    """Components that no `wordloom-*` job scrapes: what is not scraped cannot be down."""
    own = [one for one in targets if one.job.startswith(JOB_PREFIX)]
    gone = [
        name for name in ("api", "worker") if name not in {one.process.component for one in own}
    ]
    if not gone:
        return ()
    return (
        Finding(
            check="preflight.jobs",
            state=State.WARN,
            says=f"No {JOB_PREFIX}* job scrapes {' or '.join(gone)}: a dead process looks like a "
            f"quiet one. Add it to {CONFIG}, then {RELOAD}.",
            value=float(len(gone)),
            unit="components",
            threshold=0.0,
            n=len(targets),
        ),
    )


def _process(job: str, component: str, instance: str) -> Target:
    return target_of(job=job, component=component, instance=instance)


def _last_up(data: pd.DataFrame) -> dict[str, bool]:
    """Whether each instance was up at its last sample."""
    ups = data.loc[:, data.columns.get_level_values("metric") == "up"]
    if ups.empty:
        return {}
    last = ups.ffill().iloc[-1]
    instances = last.index.get_level_values("instance")
    return {str(name): bool(value) for name, value in zip(instances, last, strict=True)}


def _from_up(data: pd.DataFrame, seen: dict[str, bool]) -> Iterable[Scraped]:
    """Targets by their `up` series alone: no reason, and no target that was never scraped."""
    ups = data.loc[:, data.columns.get_level_values("metric") == "up"]
    for column in ups.columns:
        labels = dict(zip(ups.columns.names, map(str, column), strict=True))
        pairs = (part.partition("=") for part in labels["extra"].split(",") if part)
        more = {name: value for name, _, value in pairs}
        job, component = more.get("job", ""), more.get("component", "")
        instance = labels["instance"]
        yield Scraped(
            job=job,
            instance=instance,
            env=labels["env"],
            process=_process(job, component, instance),
            is_up=seen.get(instance),
        )
