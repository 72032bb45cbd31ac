"""Words: how does the data of a drill read, its fault, its load and its expectations?"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType

from loomtriage.contract.catalogue import BY_ID, MetricType
from loomtriage.drills.drill import Drill
from loomtriage.drills.expect import Absent, Appears, Expectation, Falls, Flat, Rises
from loomtriage.drills.fault import FaultPlan

KINDS = (Appears, Rises, Falls, Flat, Absent)
MOVING = (Appears, Rises, Falls)

_COUNTER: Mapping[type, str] = MappingProxyType(
    {
        Appears: "appears; before there was none",
        Rises: "at least doubles",
        Falls: "falls to half or less",
        Flat: "goes on at the rate it had",
        Absent: "does not count once",
    }
)
_GAUGE: Mapping[type, str] = MappingProxyType(
    {
        Appears: "rises by more than {floor:g} {unit}",
        Rises: "rises by more than {floor:g} {unit}",
        Falls: "falls by more than {floor:g} {unit}",
        Flat: "stays within {floor:g} {unit}",
        Absent: "does not rise by more than {floor:g} {unit}",
    }
)
# What the journal needs and a reader does not.
_SILENT_FIELDS = {"kind", "lease_s", "parts"}


def moves(expectation: Expectation) -> bool:
    """Whether it promises a change, rather than that there is none."""
    return isinstance(expectation, MOVING)


def expectation_in_words(expectation: Expectation) -> str:
    """The selector, what it does, and what it counts; one line of Markdown."""
    if not isinstance(expectation, KINDS):
        return expectation.name
    entry = BY_ID[expectation.metric]
    labels = ",".join(f'{key}="{value}"' for key, value in expectation.labels.items())
    selector = f"{entry.name}{{{labels}}}" if labels else entry.name
    said = _COUNTER if entry.type is MetricType.COUNTER else _GAUGE
    does = said[type(expectation)].format(floor=entry.floor, unit=entry.unit)
    return f"`{selector}` {does} ({entry.says})"


def faults_in_words(drill: Drill) -> tuple[str, ...]:
    """One line for each fault that stands, then one for each that a seed may draw instead."""
    parts = getattr(drill.fault, "parts", ())
    lines = [_fault(plan) for plan in parts or (drill.fault,)]
    return (*lines, *(f"A seed may draw instead: {_fault(plan)}" for plan in drill.variants))


def load_in_words(drill: Drill) -> str:
    """The work that goes on meanwhile, and which services run otherwise than usual."""
    load = drill.load
    work = f"{load.per_s:g} writes a second come through the API ({', '.join(load.ops)})."
    dressed = [
        f"`{name}` runs " + (f"with {_pairs(env)}." if env else "beside the others.")
        for name, env in drill.services.items()
    ]
    return " ".join([work if load.per_s else "No work comes in.", *dressed])


def _fault(plan: FaultPlan) -> str:
    told = inspect.getdoc(type(plan)) or plan.kind
    first = " ".join(told.partition("\n\n")[0].split())
    names: list[str] = [one.name for one in fields(plan)] if is_dataclass(plan) else []
    numbers: dict[str, object] = {}
    for name in names:
        value = getattr(plan, name)
        if isinstance(value, Mapping):
            numbers.update(value)
        elif value and name not in _SILENT_FIELDS:
            numbers[name] = value
    shown = _pairs(numbers)
    return f"{first} ({shown})" if shown else first


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}={value}`" for name, value in values.items())
