"""Registry: how do other tools read the contract, in the form of OpenTelemetry's conventions?

The form is the one that Weaver resolves: groups of attributes, spans and metrics.
"""

from __future__ import annotations

from loomtriage.contract.catalogue import METRICS, Metric, MetricType
from loomtriage.contract.events import EVENTS
from loomtriage.contract.keys import PIVOTS, SCOPE_KEYS, SEARCH, Key, Result
from loomtriage.contract.reasons import REASONS
from loomtriage.contract.spans import SPANS
from loomtriage.publish.monitoring import as_yaml

_NUMBERS = frozenset({"attempt", "batch_size", "claimed"})
_HEAD = "# Written by `loomtriage publish` from the contract; edits here are lost.\n"
_INSTRUMENTS = {
    MetricType.COUNTER: "counter",
    MetricType.GAUGE: "gauge",
    MetricType.HISTOGRAM: "histogram",
}
_ENUMS = {
    "reason": [(reason.name, reason.says) for reason in REASONS],
    "result": [(result.value, f"It ended as {result.value}.") for result in Result],
}
_EXAMPLES = {
    "env": "dev",
    "projection": SEARCH,
    "op": "upsert",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
}
_FOREIGN = frozenset({"up"})
"""Metrics that Prometheus makes by itself."""


def registry_file() -> str:
    """`docs/reference/registry/wordloom.yaml`."""
    return _HEAD + as_yaml({"groups": [_keys(), *_labels(), *map(_metric, _ours()), *_spans()]})


def _ours() -> tuple[Metric, ...]:
    return tuple(metric for metric in METRICS if metric.name not in _FOREIGN)


def _keys() -> dict[str, object]:
    return {
        "id": "registry.wordloom",
        "type": "attribute_group",
        "brief": "Keys that metrics, traces and logs of Wordloom share.",
        "attributes": [_attribute(key) for key in (*SCOPE_KEYS, *PIVOTS)],
    }


def _attribute(key: Key) -> dict[str, object]:
    return {
        "id": key.attribute,
        "type": _type(key),
        "stability": "stable",
        "brief": key.says,
        **({"note": f"Label and log field: {key.name}."} if key.name != key.attribute else {}),
        **({} if key.name in _ENUMS else {"examples": [_EXAMPLES.get(key.name, "-")]}),
    }


def _type(key: Key) -> object:
    if key.name not in _ENUMS:
        return "string"
    members = [
        {"id": name, "value": name, "stability": "stable", "brief": says}
        for name, says in _ENUMS[key.name]
    ]
    return {"members": members}


def _labels() -> list[dict[str, object]]:
    """Labels, attributes and fields that stand on one signal only."""
    shared = {name for key in (*SCOPE_KEYS, *PIVOTS) for name in (key.name, key.attribute)}
    told = {
        **{name: "a metric label" for metric in _ours() for name in metric.labels},
        **{name: "a log field" for kind in EVENTS for name in kind.needs},
        **{name: "a span attribute" for kind in SPANS for name in kind.needs},
    }
    own = [
        {
            "id": name,
            "type": "int" if name in _NUMBERS else "string",
            "stability": "stable",
            "brief": f"{says.capitalize()} of Wordloom.",
            "examples": [1, 2] if name in _NUMBERS else ["-"],
        }
        for name, says in sorted(told.items())
        if name not in shared
    ]
    return [
        {
            "id": "registry.wordloom.single",
            "type": "attribute_group",
            "brief": "Names that stand on one signal only.",
            "attributes": own,
        }
    ]


def _metric(metric: Metric) -> dict[str, object]:
    by_name = {key.name: key.attribute for key in SCOPE_KEYS}
    labels = [
        {"ref": by_name.get(name, name), "requirement_level": "required"} for name in metric.labels
    ]
    return {
        "id": f"metric.{metric.name}",
        "type": "metric",
        "metric_name": metric.name,
        "instrument": _INSTRUMENTS[metric.type],
        "unit": metric.unit if metric.unit == "s" else f"{{{metric.unit}}}",
        "stability": "stable",
        "brief": f"{metric.says[0].upper()}{metric.says[1:]}.",
        **({"attributes": labels} if labels else {}),
    }


def _spans() -> list[dict[str, object]]:
    return [
        {
            "id": f"span.{kind.operation.lower()}",
            "type": "span",
            "span_kind": kind.kind,
            "stability": "stable",
            "brief": f"{kind.says[0].upper()}{kind.says[1:]}.",
            "note": f"Span name: {kind.operation}."
            + (f" Hangs under {kind.parent}." if kind.parent else ""),
            "attributes": [{"ref": name, "requirement_level": "required"} for name in kind.needs],
        }
        for kind in SPANS
    ]
