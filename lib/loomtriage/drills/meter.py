"""Meter: what did the lab's own counters do between two moments?

Read directly from the processes at the edges of each window. The triage under test reads
Prometheus; judging it by the same Prometheus would let one fault hide in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from loomtriage.contract import keys, reasons
from loomtriage.drills.loopback import ask
from loomtriage.errors import SourceUnavailable

if TYPE_CHECKING:
    from loomtriage.lab.state import LabState

Series = tuple[str, tuple[tuple[str, str], ...]]
WORKER, API = "worker", "api"
BESIDE = ("worker_2", "chronicle")
"""Processes that a lab may have beside them; one that is off is not missing."""
PROCESSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {keys.SEARCH: (WORKER, "worker_2"), keys.CHRONICLE: ("chronicle",)}
)
"""Which of them work for a projection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Raw values of one moment.

    Attributes:
        at: when, aware UTC.
        values: value by process and series.
        families: metric names that each process exposes, with or without samples.
        missing: processes that did not answer, and why.
    """

    at: datetime
    values: Mapping[str, Mapping[Series, float]]
    families: Mapping[str, frozenset[str]]
    missing: Mapping[str, str] = field(default_factory=dict)

    def exposes(self, name: str, *, projection: str = "") -> bool:
        """Whether a process of that projection, or any, exposes that metric."""
        of = PROCESSES.get(keys.canonical_projection(projection), ())
        return any(
            _family(name) in families
            for process, families in self.families.items()
            if process in of or not of
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Two readings of the same processes."""

    before: Reading
    after: Reading

    @property
    def seconds(self) -> float:
        """Time between the readings."""
        return (self.after.at - self.before.at).total_seconds()

    @property
    def missing(self) -> frozenset[str]:
        """Processes that were silent at one end: what they counted before would look like new.

        One of `BESIDE` that is off at both ends is not missing.
        """
        ends = (self.before.values, self.after.values)
        half = {name for name in BESIDE if (name in ends[0]) is not (name in ends[1])}
        return frozenset({*self.before.missing, *self.after.missing, *half})

    def increase(self, name: str, labels: Mapping[str, str]) -> float:
        """Increase of a counter over all series with these labels, safe against restarts.

        An absent series counts as 0: `Reading.exposes` tells whether that may be said.
        """
        total = 0.0
        for process, series, value in _select(self.after, name, labels):
            earlier = self.before.values.get(process, {}).get(series, 0.0)
            total += value - earlier if value >= earlier else value
        return total

    def level(self, name: str, labels: Mapping[str, str]) -> tuple[float, float]:
        """A gauge at both ends; the highest copy, since every worker counts the whole table."""
        before, after = (
            max((value for _, _, value in _select(reading, name, labels)), default=0.0)
            for reading in (self.before, self.after)
        )
        return before, after


def read_meters(lab: LabState) -> Reading:
    """Scrape workers and API once; a silent process is named, not raised."""
    values: dict[str, dict[Series, float]] = {}
    families: dict[str, frozenset[str]] = {}
    missing: dict[str, str] = {}
    for process in (WORKER, API, *(name for name in BESIDE if name in lab.ports)):
        try:
            values[process], families[process] = _scrape(lab, process)
        except (SourceUnavailable, ValueError) as error:
            if process not in BESIDE:
                missing[process] = str(error)
    return Reading(at=datetime.now(UTC), values=values, families=families, missing=missing)


def _scrape(lab: LabState, process: str) -> tuple[dict[Series, float], frozenset[str]]:
    url = f"http://127.0.0.1:{lab.ports[process]}/metrics"
    try:
        response = ask("GET", url)
    except SourceUnavailable:
        if process not in BESIDE:
            raise
        response = ask("GET", url)  # one late answer of a process beside must not cost the drill
    if response.status_code != 200:
        raise ValueError(f"status {response.status_code}")
    return read_exposition(response.text)


def read_exposition(text: str) -> tuple[dict[Series, float], frozenset[str]]:
    """Values by series, and the names of all families.

    Raises:
        ValueError: it is no exposition text.
    """
    values: dict[Series, float] = {}
    names = set()
    for family in text_string_to_metric_families(text):
        names.add(_family(family.name))
        for sample in family.samples:
            values[sample.name, tuple(sorted(sample.labels.items()))] = float(sample.value)
    return values, frozenset(names)


def _select(
    reading: Reading, name: str, labels: Mapping[str, str]
) -> Iterator[tuple[str, Series, float]]:
    for process, values in reading.values.items():
        for series, value in values.items():
            if series[0] == name and _fits(dict(series[1]), labels):
                yield process, series, value


def _fits(has: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(_same(key, has.get(key, ""), value) for key, value in wanted.items())


def _same(key: str, has: str, wanted: str) -> bool:
    if key == "reason":
        return wanted in (has, reasons.canonical(has))
    if key == "projection":
        return keys.canonical_projection(has) == keys.canonical_projection(wanted)
    return has == wanted


def _family(name: str) -> str:
    return name.removesuffix("_total")
