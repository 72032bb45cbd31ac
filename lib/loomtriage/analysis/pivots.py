"""Which spans, lines and rows belong to one id, and by which key was each of them joined?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from loomtriage.contract.keys import read_key
from loomtriage.contract.spans import API_SERVICE

KEYS = (
    "correlation_id",
    "trace_id",
    "outbox_event_id",
    "span_id",
    "claim_batch_id",
    "entity_id",
)
"""What an id may be, the surest join first."""
_ADOPTED = ("correlation_id", "trace_id", "outbox_event_id")
"""Keys that what was found hands on; the others join too much."""
MAX_ROUNDS = 5
_HEX = re.compile(r"^[0-9a-f]+$")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$")

Ids = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What belongs to one id.

    Attributes:
        meant: keys under which the id itself was found, the surest first; empty when nowhere.
        ids: every id that joined something, by key.
        spans, lines, rows: as their frames, by time, with a column `by`: the key that joined.
    """

    meant: tuple[str, ...]
    ids: Ids
    spans: pd.DataFrame
    lines: pd.DataFrame
    rows: pd.DataFrame


def typed(text: str) -> tuple[str, tuple[str, ...]]:
    """An id as evidence spells it, and the keys that it may be a value of.

    A whole `traceparent` stands for its trace id.
    """
    value = text.strip()
    lower = value.lower()
    parent = _TRACEPARENT.match(lower)
    if parent:
        return parent[1], ("trace_id",)
    if _HEX.match(lower) and len(lower) == 32:
        return lower, ("trace_id", "correlation_id", "entity_id")
    if _HEX.match(lower) and len(lower) == 16:
        return lower, ("span_id", "correlation_id", "entity_id")
    if _UUID.fullmatch(lower):
        return lower, ("correlation_id", "outbox_event_id", "claim_batch_id", "entity_id")
    return value, ("correlation_id", "entity_id", "outbox_event_id", "claim_batch_id")


def join(
    value: str,
    names: tuple[str, ...],
    *,
    spans: pd.DataFrame,
    lines: pd.DataFrame,
    rows: pd.DataFrame,
) -> Joined:
    """Everything that the id leads to, over keys that are carried on both sides; never by time.

    A trace that serves several requests (a batch of rows) joins only the branch of the row in
    question, so that one request does not drag its neighbours along.
    """
    sides = {"rows": _row_keys(rows), "spans": _span_keys(spans), "lines": _line_keys(lines)}
    meant = tuple(
        name for name in names if value and any(value in set(k[name]) for k in sides.values())
    )
    known = {name: {value} if name in meant else set() for name in KEYS}
    shared = _shared(pd.concat([sides["spans"], sides["lines"]])) - {value}
    by = {side: pd.Series("", index=keys.index, dtype=object) for side, keys in sides.items()}
    for _ in range(MAX_ROUNDS):
        before = sum(map(len, known.values()))
        for side, keys in sides.items():
            _match(keys, by[side], known=known)
            _adopt(keys[by[side] != ""], known=known, shared=shared)
        known["span_id"] |= _branches(sides["spans"], by["spans"])
        if sum(map(len, known.values())) == before:
            break
    if not (by["rows"] != "").any():
        _bridge_by_entity(sides, by, known=known)
    _name_branches(by["spans"], sides["spans"], value)
    return Joined(
        meant=meant,
        ids={name: frozenset(found - {""}) for name, found in known.items() if found - {""}},
        spans=_picked(spans, by["spans"], at="start"),
        lines=_picked(lines, by["lines"], at="ts"),
        rows=_picked(rows, by["rows"], at="created_at"),
    )


def _match(keys: pd.DataFrame, by: pd.Series, *, known: Mapping[str, set[str]]) -> None:
    for name in KEYS:
        if known[name]:
            by[(by == "") & keys[name].isin(known[name])] = name
    if known["trace_id"] and "links" in keys:
        linked = [not known["trace_id"].isdisjoint(links) for links in keys["links"]]
        by[(by == "") & pd.Series(linked, index=keys.index, dtype=bool)] = "span_link"


def _adopt(found: pd.DataFrame, *, known: dict[str, set[str]], shared: set[str]) -> None:
    for name in _ADOPTED:
        known[name] |= set(found[name]) - {""} - (shared if name == "trace_id" else set())


def _bridge_by_entity(
    sides: Mapping[str, pd.DataFrame],
    by: Mapping[str, pd.Series],
    *,
    known: dict[str, set[str]],
) -> None:
    """Where no row carries a surer key: rows of the same entity.

    Other requests may have written them too, so they lead to their own spans and lines only.
    """
    found = [keys.loc[by[side] != "", "entity_id"] for side, keys in sides.items()]
    entities = set(pd.concat(found)) - {""}
    rows = sides["rows"]["entity_id"].isin(entities)
    by["rows"][rows] = "entity_id"
    known["outbox_event_id"] |= set(sides["rows"].loc[rows, "outbox_event_id"])
    _match(sides["spans"], by["spans"], known=known)
    known["span_id"] |= _branches(sides["spans"], by["spans"])
    for side in ("spans", "lines"):
        _match(sides[side], by[side], known=known)


def _shared(carriers: pd.DataFrame) -> set[str]:
    """Traces that serve several requests: several correlation ids, or rows and no request."""
    grouped = carriers[carriers["trace_id"] != ""].groupby("trace_id")
    named = pd.DataFrame(
        {
            "requests": grouped["correlation_id"].agg(_distinct),
            "rows": grouped["outbox_event_id"].agg(_distinct),
            "api": grouped["service"].agg(lambda names: API_SERVICE in set(names)),
        }
    )
    several = (named["requests"] > 1) | ((named["rows"] > 1) & ~named["api"].astype(bool))
    return set(named.index[several])


def _distinct(values: Iterable[str]) -> int:
    return len(set(values) - {""})


def _branches(spans: pd.DataFrame, by: pd.Series) -> set[str]:
    """Span ids of what was found and of everything below it."""
    below = set(spans.loc[by != "", "span_id"]) - {""}
    while True:
        more = set(spans.loc[spans["parent_id"].isin(below), "span_id"]) - below
        if not more:
            return below
        below |= more


def _name_branches(by: pd.Series, spans: pd.DataFrame, value: str) -> None:
    """A span found by its own id alone was reached down its branch, unless it was typed."""
    by[(by == "span_id") & (spans["span_id"] != value)] = "span_tree"


def _picked(frame: pd.DataFrame, by: pd.Series, *, at: str) -> pd.DataFrame:
    found = frame[by != ""].copy()
    found["by"] = by[by != ""]
    return found.sort_values(at, kind="stable").reset_index(drop=True)


def _span_keys(spans: pd.DataFrame) -> pd.DataFrame:
    keys = _keys(spans, spans["attributes"])
    keys["trace_id"], keys["span_id"] = _texts(spans["trace_id"]), _texts(spans["span_id"])
    keys["parent_id"], keys["service"] = _texts(spans["parent_id"]), _texts(spans["service"])
    links = [one.get("links") for one in spans["attributes"]]
    keys["links"] = [one if isinstance(one, list) else [] for one in links]
    return keys


def _line_keys(lines: pd.DataFrame) -> pd.DataFrame:
    keys = _keys(lines, lines["fields"])
    keys["trace_id"], keys["span_id"] = _texts(lines["trace_id"]), _texts(lines["span_id"])
    # Some workers name the row only inside the sentence about its failure.
    told = [
        found[0] if "outbox event" in text and (found := _UUID.search(text.lower())) else ""
        for text in map(str, lines["message"])
    ]
    keys["outbox_event_id"] = keys["outbox_event_id"].mask(
        keys["outbox_event_id"] == "", pd.Series(told, index=keys.index, dtype=object)
    )
    return keys


def _row_keys(rows: pd.DataFrame) -> pd.DataFrame:
    keys = pd.DataFrame("", index=rows.index, columns=[*KEYS], dtype=object)
    for name in ("trace_id", "correlation_id", "entity_id"):
        keys[name] = _texts(rows[name])
    keys["outbox_event_id"] = _texts(rows["id"])
    return keys


def _keys(frame: pd.DataFrame, carried: pd.Series) -> pd.DataFrame:
    names = ("correlation_id", "outbox_event_id", "claim_batch_id", "entity_id")
    found = {name: [_spelled(read_key(name, one)) for one in carried] for name in names}
    return pd.DataFrame(found, index=frame.index, columns=[*KEYS], dtype=object)


def _spelled(value: str) -> str:
    return value.lower() if _UUID.fullmatch(value.lower()) else value


def _texts(values: pd.Series) -> list[str]:
    return [_spelled("" if value is None else str(value)) for value in values]
