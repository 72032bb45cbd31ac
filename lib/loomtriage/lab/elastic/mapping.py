"""Elastic mapping: which documents an index takes, and how its field types grow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from loomtriage.lab.elastic.errors import ElasticError, Json, Problem, illegal_argument
from loomtriage.lab.elastic.field_types import VALUE_TYPES, misfit

_DYNAMIC = frozenset({"true", "false", "strict"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One field with a value type; `options` is kept only to be given back."""

    type: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One object: its fields and what happens to unknown ones (`dynamic`, None inherits)."""

    fields: Mapping[str, Leaf | Branch] = field(default_factory=dict)
    dynamic: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in which document a value stands."""

    doc_id: str
    raw: str
    path: str = ""
    dynamic: str = "true"

    def at(self, name: str, branch: Branch) -> _Place:
        path = f"{self.path}.{name}" if self.path else name
        return replace(self, path=path, dynamic=branch.dynamic or self.dynamic)

    def column(self) -> str:
        # Near enough to Elasticsearch's own position: nobody may rely on it.
        return f"[1:{self.raw.find(self.path.rpartition('.')[2]) + 1}]"


def read_mapping(body: Mapping[str, object]) -> Branch:
    """The mapping in a request body.

    Raises:
        ElasticError: 400 for a field type or parameter that is not known.
    """
    fields: dict[str, Leaf | Branch] = {}
    properties = body.get("properties", {})
    if not isinstance(properties, dict):
        raise _bad_mapping("Expected map for property [properties]")
    for name, spec in properties.items():
        if not isinstance(spec, dict):
            raise _bad_mapping(f"Expected map for property [fields] on field [{name}]")
        fields[str(name)] = _read_field(str(name), spec)
    dynamic = body.get("dynamic")
    text = None if dynamic is None else str(dynamic).lower()
    if text is not None and text not in _DYNAMIC:
        raise _bad_mapping(f"Could not convert [dynamic] to dynamic: [{dynamic}]")
    return Branch(fields=fields, dynamic=text)


def _read_field(name: str, spec: Json) -> Leaf | Branch:
    kind = str(spec.get("type", "object"))
    if kind in ("object", "nested"):
        return read_mapping(spec)
    if kind not in VALUE_TYPES:
        raise _bad_mapping(f"No handler for type [{kind}] declared on field [{name}]")
    return Leaf(type=kind, options={key: value for key, value in spec.items() if key != "type"})


def _bad_mapping(reason: str) -> ElasticError:
    text = f"Failed to parse mapping: {reason}"
    return ElasticError(Problem(status=400, type="mapper_parsing_exception", reason=text))


def show_mapping(branch: Branch) -> Json:
    """The mapping as a response body."""
    body: Json = {}
    if branch.dynamic is not None:
        body["dynamic"] = branch.dynamic
    if branch.fields:
        body["properties"] = {
            name: {"type": found.type, **found.options}
            if isinstance(found, Leaf)
            else show_mapping(found)
            for name, found in sorted(branch.fields.items())
        }
    return body


def merge_mapping(old: Branch, new: Branch, path: str = "") -> Branch:
    """The mapping after an update.

    Raises:
        ElasticError: 400 when a field would change its type.
    """
    fields = dict(old.fields)
    for name, found in new.fields.items():
        full = f"{path}.{name}" if path else name
        known = fields.get(name)
        if isinstance(known, Branch) and isinstance(found, Branch):
            fields[name] = merge_mapping(known, found, full)
            continue
        if known is not None and _type_of(known) != _type_of(found):
            raise illegal_argument(
                f"mapper [{full}] cannot be changed from type "
                f"[{_type_of(known)}] to [{_type_of(found)}]"
            )
        fields[name] = found
    return Branch(fields=fields, dynamic=new.dynamic or old.dynamic)


def _type_of(found: Leaf | Branch) -> str:
    return found.type if isinstance(found, Leaf) else "object"


def leaf_at(branch: Branch, path: str) -> Leaf | None:
    """The leaf at a dotted path; a multi-field (`title.keyword`) answers for its own type."""
    found: Leaf | Branch | None = branch
    for name in path.split("."):
        if isinstance(found, Leaf):
            parts = found.options.get("fields")
            spec = parts.get(name) if isinstance(parts, dict) else None
            return Leaf(type=str(spec["type"])) if isinstance(spec, dict) else None
        found = found.fields.get(name) if found is not None else None
    return found if isinstance(found, Leaf) else None


def take_document(branch: Branch, source: Json, *, doc_id: str, raw: str) -> Branch:
    """The mapping after this document; the same when it brings no new field.

    Raises:
        ElasticError: 400 when a value does not fit its field's type, or a strict mapping does
            not know the field.
    """
    return _take_object(branch, source, _Place(doc_id=doc_id, raw=raw))


def _take_object(branch: Branch, source: Mapping[str, object], place: _Place) -> Branch:
    grown = dict(branch.fields)
    for name, value in source.items():
        here = place.at(str(name), branch)
        known = branch.fields.get(str(name))
        if known is None:
            added = _introduce(value, here)
            if added is not None:
                grown[str(name)] = added
        else:
            grown[str(name)] = _take_value(known, value, here)
    return branch if grown == branch.fields else replace(branch, fields=grown)


def _take_value(known: Leaf | Branch, value: object, place: _Place) -> Leaf | Branch:
    if isinstance(value, list):
        for part in value:
            known = _take_value(known, part, place)
        return known
    if value is None:
        return known
    if isinstance(known, Branch):
        if not isinstance(value, dict):
            raise _not_an_object(place)
        return _take_object(known, value, place)
    why = misfit(known.type, value)
    if why and not known.options.get("ignore_malformed"):
        raise _does_not_fit(known.type, value, why=why, place=place)
    return known


def _introduce(value: object, place: _Place) -> Leaf | Branch | None:
    if place.dynamic == "strict":
        owner = place.path.rpartition(".")[0] or "_doc"
        name = place.path.rpartition(".")[2]
        reason = (
            f"{place.column()} mapping set to strict, "
            f"dynamic introduction of [{name}] within [{owner}] is not allowed"
        )
        raise ElasticError(
            Problem(status=400, type="strict_dynamic_mapping_exception", reason=reason)
        )
    parts = [part for part in (value if isinstance(value, list) else [value]) if part is not None]
    if place.dynamic == "false" or not parts:
        return None
    first = parts[0]
    guess: Leaf | Branch = Branch() if isinstance(first, dict) else _guess(first)
    for part in parts:
        guess = _take_value(guess, part, place)
    return guess


def _guess(value: object) -> Leaf:
    if isinstance(value, bool):
        return Leaf(type="boolean")
    if isinstance(value, int):
        return Leaf(type="long")
    if isinstance(value, float):
        return Leaf(type="float")
    if isinstance(value, str) and _DATE.fullmatch(value) and not misfit("date", value):
        return Leaf(type="date")
    return Leaf(
        type="text", options={"fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    )


def _does_not_fit(kind: str, value: object, *, why: str, place: _Place) -> ElasticError:
    reason = (
        f"{place.column()} failed to parse field [{place.path}] of type [{kind}] in document "
        f"with id '{place.doc_id}'. Preview of field's value: '{_preview(value)}'"
    )
    cause = (
        "illegal_state_exception" if why.startswith("Can't get") else "illegal_argument_exception"
    )
    return ElasticError(
        Problem(status=400, type="document_parsing_exception", reason=reason, cause=(cause, why))
    )


def _not_an_object(place: _Place) -> ElasticError:
    reason = (
        f"{place.column()} object mapping for [{place.path}] tried to parse field "
        f"[{place.path}] as object, but found a concrete value"
    )
    return ElasticError(Problem(status=400, type="document_parsing_exception", reason=reason))


def _preview(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_preview(part)}" for key, part in value.items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:100]
