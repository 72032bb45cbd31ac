"""Two scrapes of each process, as Wordloom stores them -> a PromQL answer with estimated times."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loomtriage.sources.files import read_file
from loomtriage.sources.metrics.sample_series import COUNTER_ENDINGS
from loomtriage.sources.metrics.scrape import SampleKey, Scrape, read_scrape
from loomtriage.sources.tape import Unreadable

MAX_SCRAPE_BYTES = 8 * 1024 * 1024
_FILE = re.compile(r"^metrics-(before|after)(?:-(v?\d{1,3}))?\.txt$")
_AGE = "outbox_oldest_age_seconds"
_LAST = "outbox_last_success_timestamp_seconds"
_OURS = ("outbox_", "projection_")
_APART_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One worker process of a run.

    Attributes:
        name: `worker`, `worker1`, `worker-v1`: the instance of its series.
        before, after: the two scrapes, None where none was stored.
        trouble: why one is missing; `missing` is that in one word, empty when none is.
    """

    name: str
    before: Scrape | None
    after: Scrape | None
    trouble: tuple[str, ...]
    missing: str = ""

    @property
    def births(self) -> tuple[float, ...]:
        """When its counters were made, unix seconds, ascending."""
        found = {b for s in (self.before, self.after) if s is not None for b in s.births}
        return tuple(sorted(found))

    @property
    def moved_before(self) -> tuple[str, ...]:
        """Counters that were not zero in the first scrape."""
        samples = {} if self.before is None else self.before.samples
        return tuple(
            f"{_name(key)}{_labels(key)} = {value:g} on {self.name}"
            for key, value in sorted(samples.items())
            if value > 0 and _is_ours(key) and _name(key).endswith("_total")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Estimated unix seconds of a process: start, first scrape, second scrape."""

    start: float
    before: float
    after: float


def read_processes(folder: Path) -> tuple[Process, ...]:
    """All processes that `_metrics` speaks of, by name; a folder that is not there has none."""
    scrapes: dict[str, dict[str, Scrape | None]] = {}
    trouble: dict[str, list[Unreadable]] = {}
    for path in _listed(folder):
        match = _FILE.match(path.name)
        if match is None:
            continue
        when, suffix = match[1], match[2] or ""
        name = f"worker-{suffix}" if suffix.startswith("v") else f"worker{suffix}"
        scrapes.setdefault(name, {})[when] = None
        try:
            scrapes[name][when] = _scrape(path)
        except Unreadable as bad:
            said = Unreadable(bad.missing, f"{name} {when}: {bad.hint}")
            trouble.setdefault(name, []).append(said)
    return tuple(
        Process(
            name=name,
            before=found.get("before"),
            after=found.get("after"),
            trouble=tuple(bad.hint for bad in trouble.get(name, ())),
            missing=next((bad.missing for bad in trouble.get(name, ())), ""),
        )
        for name, found in sorted(scrapes.items())
    )


def _listed(folder: Path) -> list[Path]:
    """What stands in the folder; a folder that cannot be listed has scrapes that cannot be read."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError:
        return [folder / f"metrics-{when}.txt" for when in ("before", "after")]


def _scrape(path: Path) -> Scrape:
    try:
        read = read_file(path, max_bytes=MAX_SCRAPE_BYTES)
    except OSError as error:
        raise Unreadable("refused", error.strerror or str(error)) from None
    if read.cut:
        raise Unreadable("too_large", f"The scrape is larger than {MAX_SCRAPE_BYTES} bytes.")
    return read_scrape(read.data)


def estimate(process: Process, *, last_seen: float, not_after: float) -> Times | None:
    """When the two scrapes were taken; None when the process never said when it started.

    The process starts with its first counter. The age of the oldest row grows by exactly the time
    between the scrapes. The second one is not before the last thing that the process is known
    to have done, and the export (`not_after`) comes later.

    Args:
        process: with its scrapes.
        last_seen: unix seconds of its last log line, 0 when there is none.
        not_after: unix seconds of the export, infinity when there is none.
    """
    if not process.births:
        return None
    start = process.births[0]
    before_from = max(start + _APART_S, _latest(process.before))
    after_from = max(before_from + _APART_S, _latest(process.after), last_seen)
    spacing = _spacing(process)
    if spacing is None:
        return Times(start=start, before=before_from, after=after_from)
    after = max(after_from, min(before_from + spacing, not_after))
    before = max(before_from, min(after - spacing, after - _APART_S))
    return Times(start=start, before=before, after=after)


def _latest(scrape: Scrape | None) -> float:
    """The latest moment that a scrape itself tells of."""
    if scrape is None:
        return 0.0
    return max((*scrape.births, scrape.value(_LAST) or 0.0), default=0.0)


def _spacing(process: Process) -> float | None:
    if process.before is None or process.after is None:
        return None
    ages = process.before.value(_AGE), process.after.value(_AGE)
    if ages[0] is None or ages[1] is None or not 0 < ages[1] - ages[0] < 3600:
        return None
    return ages[1] - ages[0]


def matrix(
    processes: Mapping[str, tuple[Process, Times]], *, names: tuple[str, ...], env: str
) -> bytes:
    """What Prometheus would have answered: raw samples of these metrics, each process by itself.

    Counters start at zero when their process starts. `up` is 1 where a scrape was stored; where
    it failed nothing is said, since the harness scrapes workers that it has stopped.
    """
    result: list[dict[str, object]] = []
    for process, times in processes.values():
        shared = {"instance": process.name} | ({"env": env} if env else {})
        for key in _keys(process):
            if _name(key) in names:
                labels = dict(key) | shared
                result.append({"metric": labels, "values": _points(process, times, key)})
        if "up" in names:
            stored = ((times.before, process.before), (times.after, process.after))
            ups = [[round(at, 3), "1"] for at, scrape in stored if scrape is not None]
            result.append({"metric": {"__name__": "up", **shared}, "values": ups})
    answer = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return json.dumps(answer, sort_keys=True).encode()


def _keys(process: Process) -> list[SampleKey]:
    found = {key for s in (process.before, process.after) if s is not None for key in s.samples}
    return sorted(key for key in found if _is_ours(key))


def _points(process: Process, times: Times, key: SampleKey) -> list[list[object]]:
    return [[round(at, 3), repr(value)] for at, value in _values(process, times, key)]


def _values(process: Process, times: Times, key: SampleKey) -> Iterator[tuple[float, float]]:
    counts = _name(key).endswith(COUNTER_ENDINGS)
    if counts:
        yield times.start, 0.0
    for at, scrape in ((times.before, process.before), (times.after, process.after)):
        if scrape is None:
            continue
        value = scrape.samples.get(key)
        if value is not None:
            yield at, value
        elif counts:
            yield at, 0.0  # the scrape is there, the series was not born yet


def _is_ours(key: SampleKey) -> bool:
    return _name(key).startswith(_OURS)


def _name(key: SampleKey) -> str:
    return dict(key)["__name__"]


def _labels(key: SampleKey) -> str:
    pairs = ",".join(f"{name}={value}" for name, value in key if name != "__name__")
    return f"{{{pairs}}}"
