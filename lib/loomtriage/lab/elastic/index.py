"""Elastic index: what one in-memory index holds and which settings govern it."""

from __future__ import annotations

import re
import time
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from loomtriage.lab.elastic.errors import ElasticError, Json, Problem, illegal_argument
from loomtriage.lab.elastic.mapping import Branch

_BLOCKS = {
    "index.blocks.write": (403, "FORBIDDEN/8/index write (api)"),
    "index.blocks.read_only": (403, "FORBIDDEN/5/index read-only (api)"),
    "index.blocks.read_only_allow_delete": (
        429,
        (
            "TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, "
            "index has read-only-allow-delete block"
        ),
    ),
}
_STATIC = frozenset({"index.number_of_shards", "index.codec", "index.routing_partition_size"})
_BAD_NAME = re.compile(r'[\\/*?"<>| ,#:]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One version of one document; a deleted one has no source and keeps its version."""

    source: Json | None
    version: int
    seq_no: int


@dataclass(slots=True, kw_only=True)
class Index:
    """One index: settings as flat dotted text, mapping, documents by id."""

    name: str
    settings: dict[str, str]
    mapping: Branch
    docs: dict[str, Stored] = field(default_factory=dict)
    next_seq_no: int = 0

    def shard_of(self, doc_id: str) -> int:
        """The shard that owns a document id."""
        shards = int(self.settings["index.number_of_shards"])
        return zlib.crc32(doc_id.encode("utf-8", "surrogatepass")) % shards


def new_index(name: str, settings: Mapping[str, str], mapping: Branch) -> Index:
    """An empty index.

    Raises:
        ElasticError: 400 for a name or a shard count that Elasticsearch would refuse.
    """
    reason = _bad_name(name)
    if reason:
        raise ElasticError(
            Problem(
                status=400,
                type="invalid_index_name_exception",
                reason=f"Invalid index name [{name}], {reason}",
                extra={"index_uuid": "_na_", "index": name},
            )
        )
    shards = settings.get("index.number_of_shards", "1")
    if not shards.isdecimal() or not 1 <= int(shards) <= 1024:
        raise illegal_argument(
            f"Failed to parse value [{shards}] for setting [index.number_of_shards] must be >= 1"
        )
    given = {
        "index.number_of_shards": shards,
        "index.number_of_replicas": "1",
        "index.creation_date": str(int(time.time() * 1000)),
        "index.uuid": uuid.uuid4().hex[:22],
        "index.provided_name": name,
        "index.version.created": "8512000",
    }
    return Index(name=name, settings={**given, **settings}, mapping=mapping)


def _bad_name(name: str) -> str:
    if name != name.lower():
        return "must be lowercase"
    if _BAD_NAME.search(name):
        return "must not contain a space or one of \\ / * ? < > | , # :"
    if name.startswith(("_", "-", "+")):
        return "must not start with '_', '-', or '+'"
    if name in (".", "..") or not name:
        return "must not be '.' or '..'"
    return "" if len(name.encode()) <= 255 else "index name is too long"


def flat_settings(body: Mapping[str, object], prefix: str = "") -> dict[str, str | None]:
    """Settings from a request body as dotted `index.` names; None resets one.

    Nested, dotted and mixed spellings mean the same to Elasticsearch.
    """
    flat: dict[str, str | None] = {}
    for key, value in body.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, dict):
            flat.update(flat_settings(value, name))
            continue
        full = name if name.startswith("index.") else f"index.{name}"
        text = str(value).lower() if isinstance(value, bool) else str(value)
        flat[full] = None if value is None else text
    return flat


def change_settings(index: Index, changes: Mapping[str, str | None]) -> None:
    """Change dynamic settings of an open index.

    Raises:
        ElasticError: 400 for a static setting or a block that is neither true nor false.
    """
    fixed = sorted(_STATIC & changes.keys())
    if fixed:
        where = f"[[{index.name}/{index.settings['index.uuid']}]]"
        raise illegal_argument(
            f"Can't update non dynamic settings [[{', '.join(fixed)}]] for open indices {where}"
        )
    for name in _BLOCKS.keys() & changes.keys():
        if changes[name] not in ("true", "false", None):
            raise illegal_argument(
                f"Failed to parse value [{changes[name]}] as only [true] or [false] are allowed."
            )
    for name, value in changes.items():
        if value is None:
            index.settings.pop(name, None)
        else:
            index.settings[name] = value


def nested_settings(index: Index) -> Json:
    """The settings as a response body: nested objects, every value a string."""
    body: Json = {}
    for name, value in sorted(index.settings.items()):
        *parents, last = name.split(".")
        at = body
        for parent in parents:
            inner = at.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            at = inner
        at[last] = value
    return body


def refuse_blocked(index: Index) -> None:
    """Refuse a write when a block is set.

    Raises:
        ElasticError: 403, or 429 for the flood-stage block.
    """
    for setting, (status, text) in _BLOCKS.items():
        if index.settings.get(setting) == "true":
            reason = f"index [{index.name}] blocked by: [{text}];"
            extra = {"index_uuid": index.settings["index.uuid"], "index": index.name}
            raise ElasticError(
                Problem(status=status, type="cluster_block_exception", reason=reason, extra=extra)
            )
