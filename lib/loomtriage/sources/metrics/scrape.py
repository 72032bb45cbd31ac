"""One scrape of `/metrics` as it was stored -> samples; a failed scrape says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from loomtriage.sources.redact import safe
from loomtriage.sources.tape import Unreadable

SampleKey = tuple[tuple[str, str], ...]
"""Sorted label pairs, the metric name among them as `__name__`."""
_NOTES = ("scrape_failed:", "note:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Samples of one process at one moment.

    Attributes:
        samples: value by sorted label pairs; of a series that repeats, the last value.
        births: when each counter that tells it was made, unix seconds, ascending.
    """

    samples: Mapping[SampleKey, float]
    births: tuple[float, ...]

    def value(self, name: str) -> float | None:
        """Largest value of that metric over its labels, None when absent."""
        found = [v for key, v in self.samples.items() if ("__name__", name) in key]
        return max(found, default=None)


def read_scrape(data: bytes) -> Scrape:
    """Parse exposition text 0.0.4.

    Raises:
        Unreadable: `wrong_content` for anything else, a stored failure among it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("wrong_content", "The scrape is not UTF-8 text.") from None
    if not text.strip():
        raise Unreadable("empty", "The scrape has no byte.")
    if text.lstrip().startswith(_NOTES):
        raise Unreadable("wrong_content", f"No scrape was stored: {safe(text)}")
    samples: dict[SampleKey, float] = {}
    births: list[float] = []
    try:
        for name, labels, value in _samples(text):
            if name.endswith("_created"):
                births.append(value)
            else:
                samples[_key(name, labels)] = value
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise Unreadable("wrong_content", f"No exposition text: {safe(text)}") from None
    if not text.endswith("\n"):
        # The last number may have lost digits, and would be another number.
        raise Unreadable("truncated", f"The scrape breaks off after {len(data)} bytes.")
    return Scrape(samples=samples, births=tuple(sorted(births)))


def _samples(text: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)


def _key(name: str, labels: Mapping[str, str]) -> SampleKey:
    return tuple(sorted({**labels, "__name__": name}.items()))
