"""Elastic search: which documents a simple query finds, and in which order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from loomtriage.lab.elastic.errors import Json, illegal_argument, parsing
from loomtriage.lab.elastic.index import Index
from loomtriage.lab.elastic.mapping import leaf_at

_WINDOW = 10_000
_KNOWN = frozenset({"query", "size", "from", "sort", "_source", "track_total_hits", "timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One found document."""

    index: Index
    doc_id: str
    source: Json


def find(indices: Sequence[Index], query: object) -> list[Hit]:
    """The documents that match, in index order.

    Raises:
        ElasticError: 400 for a query that the stand-in does not know.
    """
    asked = query if query is not None else {"match_all": {}}
    for index in indices:  # a query that is not known is refused although nothing is stored
        _matches(Hit(index=index, doc_id="", source={}), asked)
    hits = [
        Hit(index=index, doc_id=doc_id, source=doc.source)
        for index in indices
        for doc_id, doc in index.docs.items()
        if doc.source is not None
    ]
    return [hit for hit in hits if _matches(hit, asked)]


def search(indices: Sequence[Index], body: Mapping[str, object]) -> Json:
    """The response to one search.

    Raises:
        ElasticError: 400 for a key, query, sort or window that the stand-in does not know.
    """
    unknown = sorted(set(body) - _KNOWN)
    if unknown:
        raise parsing(f"Unknown key for a value in [{unknown[0]}].")
    start, size = _count(body, "from", 0), _count(body, "size", 10)
    if start + size > _WINDOW:
        raise illegal_argument(
            f"Result window is too large, from + size must be less than or equal to: [{_WINDOW}] "
            f"but was [{start + size}]"
        )
    hits = _sorted(find(indices, body.get("query")), body.get("sort"))
    score = None if body.get("sort") else 1.0
    shown = [_show(hit, body.get("_source", True), score) for hit in hits[start : start + size]]
    return {
        "took": 0,
        "timed_out": False,
        "_shards": shards_ok(indices),
        "hits": {
            "total": {"value": len(hits), "relation": "eq"},
            "max_score": score if hits else None,
            "hits": shown,
        },
    }


def shards_ok(indices: Sequence[Index]) -> Json:
    """The `_shards` part of a response that reached every shard."""
    total = sum(int(index.settings["index.number_of_shards"]) for index in indices)
    return {"total": total, "successful": total, "skipped": 0, "failed": 0}


def _count(body: Mapping[str, object], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise illegal_argument(f"[{name}] parameter cannot be negative, found [{value}]")
    return value


def _show(hit: Hit, wanted: object, score: float | None) -> Json:
    shown: Json = {"_index": hit.index.name, "_id": hit.doc_id, "_score": score}
    if wanted is False:
        return shown
    names = [wanted] if isinstance(wanted, str) else wanted
    keep = {str(name) for name in names} if isinstance(names, list) else None
    shown["_source"] = {k: v for k, v in hit.source.items() if keep is None or k in keep}
    return shown


def _sorted(hits: list[Hit], sort: object) -> list[Hit]:
    if sort is None:
        return hits
    for part in reversed(sort if isinstance(sort, list) else [sort]):
        name, order = _sort_key(part)
        if name == "_doc":
            continue
        found = [hit for hit in hits if _sort_value(hit, name) is not None]
        absent = [hit for hit in hits if _sort_value(hit, name) is None]
        found.sort(key=cmp_to_key(_comparer(name)), reverse=order == "desc")
        hits = [*found, *absent]
    return hits


def _sort_key(part: object) -> tuple[str, str]:
    if isinstance(part, str):
        return part, "asc"
    if isinstance(part, dict) and len(part) == 1:
        ((name, how),) = part.items()
        order = how.get("order", "asc") if isinstance(how, dict) else how
        if order in ("asc", "desc"):
            return str(name), str(order)
    raise parsing(f"malformed sort format [{part}]")


def _sort_value(hit: Hit, name: str) -> object:
    if name == "_id":
        return hit.doc_id
    return next(iter(_values(hit.source, name)), None)


def _comparer(name: str) -> Callable[[Hit, Hit], int]:
    def compare(left: Hit, right: Hit) -> int:
        first, second = _sort_value(left, name), _sort_value(right, name)
        if isinstance(first, (int, float)) and isinstance(second, (int, float)):
            return (first > second) - (first < second)
        return (str(first) > str(second)) - (str(first) < str(second))

    return compare


def _matches(hit: Hit, query: object) -> bool:
    if not isinstance(query, dict) or len(query) != 1:
        raise parsing("[_na] query malformed, no start_object after query name")
    ((kind, body),) = query.items()
    if kind == "match_all":
        return True
    if kind == "match_none":
        return False
    if not isinstance(body, dict):
        raise parsing(f"[{kind}] query malformed, no start_object after query name")
    if kind == "bool":
        return _matches_bool(hit, body)
    if kind == "ids":
        return hit.doc_id in _list(body.get("values"))
    if kind == "exists":
        return any(True for _ in _values(hit.source, str(body.get("field"))))
    if kind in ("term", "terms", "match"):
        return _matches_field(hit, body, kind=kind)
    raise parsing(f"unknown query [{kind}]")


def _matches_bool(hit: Hit, body: Json) -> bool:
    def each(name: str) -> list[bool]:
        return [_matches(hit, part) for part in _list(body.get(name))]

    should = each("should")
    needed = [*each("must"), *each("filter")]
    optional = bool(needed) or not should
    return all(needed) and not any(each("must_not")) and (optional or any(should))


def _matches_field(hit: Hit, body: Json, *, kind: str) -> bool:
    if len(body) != 1:
        raise parsing(f"[{kind}] query doesn't support multiple fields")
    ((name, asked),) = body.items()
    if isinstance(asked, dict):
        asked = asked.get("query" if kind == "match" else "value")
    leaf = leaf_at(hit.index.mapping, name)
    text = leaf is not None and leaf.type == "text"
    values = [hit.doc_id] if name == "_id" else list(_values(hit.source, name))
    held = {word for value in values for word in (_words(value) if text else [_plain(value)])}
    if kind == "match":
        wanted = set(_words(asked)) if text else {_plain(asked)}
    else:
        wanted = {_plain(value) for value in (_list(asked) if kind == "terms" else [asked])}
    return bool(held & wanted)


def _words(value: object) -> list[str]:
    return re.findall(r"\w+", str(value).lower())


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _list(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _values(source: object, path: str) -> Iterator[object]:
    """Every value at a dotted path; a multi-field such as `title.keyword` has its parent's."""
    if isinstance(source, list):
        for part in source:
            yield from _values(part, path)
    elif isinstance(source, dict):
        for name, value in source.items():
            if path == name:
                yield from _flat(value)
            elif path.startswith(f"{name}."):
                inner = path[len(name) + 1 :]
                yield from _values(value, inner) if _is_object(value) else _flat(value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[:1], dict))


def _flat(value: object) -> Iterator[object]:
    for part in value if isinstance(value, list) else [value]:
        if part is not None:
            yield part
