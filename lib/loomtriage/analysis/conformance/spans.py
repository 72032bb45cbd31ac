"""Do the spans obey the contract: steps, attributes, spelling, schema marker?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from loomtriage.analysis.conformance.gaps import Answer, Gap, Spoken, counted
from loomtriage.contract.keys import PIVOTS, SCOPE_KEYS, Key, canonical_projection
from loomtriage.contract.spans import (
    API_SERVICE,
    BATCH,
    CLAIM,
    OBS_SCHEMA,
    ROW,
    SERVER_NEEDS,
    SERVICES,
    SPANS,
    SpanKind,
)

_KIND = {kind.operation: kind for kind in SPANS}
_SCHEMA = "wordloom.obs_schema"
_KEYS = (*SCOPE_KEYS, *PIVOTS)
_BY_ATTRIBUTE = {key.attribute: key for key in _KEYS}
Attributes = Mapping[str, object]


def span_answers(spans: pd.DataFrame) -> tuple[Answer, ...]:
    """Steps, attributes, spelling and schema marker of the pipeline's own spans."""
    own = spans[spans["service"].isin(SERVICES)]
    return (
        _present(own),
        _attributes(own),
        _spelling(own),
        _schema(own),
    )


def reasons_on_spans(spans: pd.DataFrame) -> tuple[Spoken, ...]:
    """Reasons as spans wrote them; the status may stand on the span or on one of its trace."""
    answered = set(spans.loc[[bool(_status(a)) for a in spans["attributes"]], "trace_id"])
    return tuple(
        Spoken(
            where=f"traces {operation}", reason=str(told["reason"]), has_status=trace in answered
        )
        for operation, trace, told in zip(
            spans["operation"], spans["trace_id"], spans["attributes"], strict=True
        )
        if told.get("reason") not in (None, "", "none")
    )


def _status(attributes: Attributes) -> object:
    return attributes.get("http.status_code") or attributes.get("http.response.status_code")


def _present(spans: pd.DataFrame) -> Answer:
    gaps = []
    workers = sorted({s for s in spans["service"] if s != API_SERVICE})
    for service in workers:
        seen = set(spans.loc[spans["service"] == service, "operation"])
        gaps += [
            Gap(where=f"traces {service}", what=f"no span {name}")
            for name in (CLAIM, BATCH, ROW)
            if name not in seen
        ]
    if API_SERVICE not in set(spans["service"]):
        gaps.append(Gap(where=f"traces {API_SERVICE}", what="no span at all"))
    return Answer(demand="spans_present", n=len(spans), gaps=tuple(gaps))


def _needs(spans: pd.DataFrame) -> Iterator[tuple[str, tuple[str, ...], Attributes]]:
    """Place, demanded attributes and attributes of every span that the contract speaks of."""
    columns = (spans[name] for name in ("service", "operation", "kind", "attributes"))
    for service, operation, kind, attributes in zip(*columns, strict=True):
        known: SpanKind | None = _KIND.get(operation)
        if service == API_SERVICE:
            # Prometheus scrapes the API too, and no request id comes with that.
            if kind == "server" and "/metrics" not in operation:
                yield f"traces {service}", SERVER_NEEDS, attributes
        elif known is not None:
            yield f"traces {service} {operation}", known.needs, attributes


def _attributes(spans: pd.DataFrame) -> Answer:
    missing: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for where, needs, attributes in _needs(spans):
        totals[where] += 1
        for name in needs:
            key = _BY_ATTRIBUTE.get(name)
            spellings = (key.attribute, key.name, *key.also) if key else (name,)
            if all(attributes.get(one) in (None, "") for one in spellings):
                missing[where, f"attribute {name}"] += 1
    return Answer(demand="spans_attributes", n=totals.total(), gaps=counted(missing, totals))


def _spelling(spans: pd.DataFrame) -> Answer:
    """Another spelling that stands alone, or that says something else than the contract's."""
    odd: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    for where, _, attributes in _needs(spans):
        totals[where] += 1
        for key in _KEYS:
            for found in _other_spellings(key, attributes):
                odd[where, found] += 1
    return Answer(demand="spans_spelling", n=totals.total(), gaps=counted(odd, totals))


def _other_spellings(key: Key, attributes: Attributes) -> Iterator[str]:
    right = attributes.get(key.attribute)
    for name in dict.fromkeys((key.name, *key.also)):
        value = attributes.get(name)
        if name == key.attribute or value in (None, "") or value == right:
            continue
        short = key.name == "projection" and canonical_projection(str(value)) != value
        yield f"{name}={value} for {key.attribute}" if short else f"{name} for {key.attribute}"


def _schema(spans: pd.DataFrame) -> Answer:
    odd: Counter[tuple[str, str]] = Counter()
    totals: Counter[str] = Counter()
    own = spans[spans["operation"].isin((CLAIM, BATCH, ROW))]
    for service, attributes in zip(own["service"], own["attributes"], strict=True):
        where = f"traces {service}"
        totals[where] += 1
        marker = attributes.get(_SCHEMA)
        if marker != OBS_SCHEMA:
            odd[where, f"marker {marker}" if marker else "no marker"] += 1
    return Answer(demand="spans_schema", n=len(own), gaps=counted(odd, totals))
