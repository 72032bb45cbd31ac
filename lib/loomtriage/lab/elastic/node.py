"""Elastic node: which indices exist, how they are named in requests, and the node's own state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from loomtriage.lab.elastic.errors import (
    ElasticError,
    Json,
    Problem,
    illegal_argument,
    index_not_found,
)
from loomtriage.lab.elastic.index import (
    Index,
    change_settings,
    flat_settings,
    nested_settings,
    new_index,
)
from loomtriage.lab.elastic.limits import Limits
from loomtriage.lab.elastic.mapping import Branch, merge_mapping, read_mapping, show_mapping
from loomtriage.lab.elastic.pool import WritePool
from loomtriage.lab.elastic.write import Op, Write

_NAME = "loomtriage-stand-in"


class Node:
    """One node with its indices and its write pool; empty at the start."""

    def __init__(self) -> None:
        self.pool = WritePool(Limits())
        self._indices: dict[str, Index] = {}

    def info(self) -> Json:
        """The body of `GET /`."""
        return {
            "name": _NAME,
            "cluster_name": "loomtriage-lab",
            "cluster_uuid": _NAME,
            "version": {
                "number": "8.15.3",
                "build_flavor": "default",
                "build_type": "stand-in",
                "build_hash": "unknown",
                "build_date": "2024-10-09T00:00:00.000Z",
                "build_snapshot": False,
                "lucene_version": "9.11.1",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }

    def health(self, expression: str | None) -> Json:
        """The body of `GET /_cluster/health`; replicas have nowhere to go on one node."""
        shards = sum(int(i.settings["index.number_of_shards"]) for i in self.indices(expression))
        return {
            "cluster_name": "loomtriage-lab",
            "status": "yellow" if shards else "green",
            "timed_out": False,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
            "active_primary_shards": shards,
            "active_shards": shards,
            "relocating_shards": 0,
            "initializing_shards": 0,
            "unassigned_shards": shards,
            "delayed_unassigned_shards": 0,
            "number_of_pending_tasks": 0,
            "number_of_in_flight_fetch": 0,
            "task_max_waiting_in_queue_millis": 0,
            "active_shards_percent_as_number": 50.0 if shards else 100.0,
        }

    def thread_pool_row(self) -> dict[str, str]:
        """The one row of `GET /_cat/thread_pool/write`."""
        return {
            "node_name": _NAME,
            "name": "write",
            "active": str(self.pool.active),
            "queue": str(self.pool.queued),
            "rejected": str(self.pool.rejected),
        }

    def index(self, name: str) -> Index:
        """The index with exactly this name.

        Raises:
            ElasticError: 404 when there is none.
        """
        found = self._indices.get(name)
        if found is None:
            raise index_not_found(name)
        return found

    def indices(self, expression: str | None) -> list[Index]:
        """The indices that a path names: a name, a list, wildcards, or all.

        Raises:
            ElasticError: 404 when a plain name is not there.
        """
        if expression in (None, "", "_all", "*"):
            return list(self._indices.values())
        chosen: dict[str, Index] = {}
        for part in str(expression).split(","):
            if "*" not in part:
                chosen[part] = self.index(part)
                continue
            chosen |= {n: index for n, index in self._indices.items() if fnmatchcase(n, part)}
        return list(chosen.values())

    def index_for(self, write: Write) -> Index:
        """The index of a write; as in Elasticsearch a missing one comes to be, with open mapping.

        Raises:
            ElasticError: 404 for a delete, 400 for a bad name.
        """
        if write.index not in self._indices:
            if write.op is Op.DELETE:
                raise index_not_found(write.index)
            self._indices[write.index] = new_index(write.index, {}, Branch())
        return self._indices[write.index]

    def create(self, name: str, body: Mapping[str, object]) -> None:
        """Create an index from a request body.

        Raises:
            ElasticError: 400 when it exists or something in the body is not known.
        """
        unknown = sorted(set(body) - {"settings", "mappings", "aliases"})
        if unknown:
            raise ElasticError(
                Problem(
                    status=400,
                    type="parse_exception",
                    reason=f"unknown key [{unknown[0]}] for create index",
                )
            )
        known = self._indices.get(name)
        if known is not None:
            where = f"{name}/{known.settings['index.uuid']}"
            raise ElasticError(
                Problem(
                    status=400,
                    type="resource_already_exists_exception",
                    reason=f"index [{where}] already exists",
                    extra={"index_uuid": known.settings["index.uuid"], "index": name},
                )
            )
        flat = flat_settings(_object(body, "settings"))
        settings = {key: value for key, value in flat.items() if value is not None}
        self._indices[name] = new_index(name, settings, read_mapping(_object(body, "mappings")))

    def delete(self, expression: str) -> None:
        """Delete indices by plain names; wildcards are refused, as an 8.x server does.

        Raises:
            ElasticError: 400 for a wildcard, 404 for a missing index.
        """
        if expression == "_all" or "*" in expression:
            raise illegal_argument("Wildcard expressions or all indices are not allowed")
        for index in self.indices(expression):
            self._indices.pop(index.name)

    def change_mappings(self, indices: Sequence[Index], body: Mapping[str, object]) -> None:
        """Merge a mapping into all indices or into none.

        Raises:
            ElasticError: 400 when a type is unknown or would change.
        """
        new = read_mapping(body)
        merged = [merge_mapping(index.mapping, new) for index in indices]
        for index, mapping in zip(indices, merged, strict=True):
            index.mapping = mapping

    def change_settings(self, indices: Sequence[Index], body: Mapping[str, object]) -> None:
        """Change dynamic settings.

        Raises:
            ElasticError: 400 for a static or malformed one.
        """
        inner = body.get("settings")
        changes = flat_settings(inner if isinstance(inner, dict) else body)
        for index in indices:
            change_settings(index, changes)

    def show_mappings(self, indices: Sequence[Index]) -> Json:
        """The body of `GET /{index}/_mapping`."""
        return {index.name: {"mappings": show_mapping(index.mapping)} for index in indices}

    def show_settings(self, indices: Sequence[Index]) -> Json:
        """The body of `GET /{index}/_settings`."""
        return {index.name: {"settings": nested_settings(index)} for index in indices}

    def show(self, indices: Sequence[Index]) -> Json:
        """The body of `GET /{index}`."""
        return {
            index.name: {
                "aliases": {},
                "mappings": show_mapping(index.mapping),
                "settings": nested_settings(index),
            }
            for index in indices
        }


def _object(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}
