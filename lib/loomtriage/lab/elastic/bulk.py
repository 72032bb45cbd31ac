"""Elastic bulk: what a bulk request asks for, and its answer item by item."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from loomtriage.lab.elastic.errors import ElasticError, Json, illegal_argument
from loomtriage.lab.elastic.index import Index
from loomtriage.lab.elastic.pool import WritePool
from loomtriage.lab.elastic.write import Op, Write, write_document

_OPS = {op.value: op for op in Op}


def read_bulk(body: bytes, default_index: str | None) -> list[Write]:
    """The writes of a newline-delimited body, in order.

    Raises:
        ElasticError: 400 when the body as a whole cannot be read; one bad document does not
            spoil the others, since documents are parsed when they are written.
    """
    if not body.strip():
        raise illegal_argument("request body is required")
    if not body.endswith(b"\n"):
        raise illegal_argument(r"The bulk request must be terminated by a newline [\n]")
    try:
        lines = body.decode("utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise illegal_argument(f"Invalid UTF-8 in the bulk body: {error.reason}") from error
    writes: list[Write] = []
    at = 0
    while at < len(lines):
        number = at + 1
        if not lines[at].strip():
            at += 1
            continue
        op, meta = _action(lines[at], number)
        source = ""
        if op is not Op.DELETE:
            at += 1
            if at >= len(lines):
                raise illegal_argument(
                    "The bulk request must be terminated by a newline, no source after line "
                    f"[{number}]"
                )
            source = lines[at]
        at += 1
        writes.append(_write(op, meta, source=source, default_index=default_index))
    return writes


def _action(line: str, number: int) -> tuple[Op, Json]:
    where = f"Malformed action/metadata line [{number}]"
    try:
        action = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise illegal_argument(f"{where}, {error}") from error
    if not isinstance(action, dict) or len(action) != 1:
        raise illegal_argument(f"{where}, expected START_OBJECT with one action")
    ((name, meta),) = action.items()
    if name not in _OPS or not isinstance(meta, dict):
        expected = ", ".join(_OPS)
        raise illegal_argument(f"{where}, expected one of [{expected}] but found [{name}]")
    return _OPS[name], meta


def _write(op: Op, meta: Json, *, source: str, default_index: str | None) -> Write:
    index = meta.get("_index", default_index)
    doc_id = meta.get("_id")
    if index is None:
        raise illegal_argument("Validation Failed: 1: index is missing;")
    if doc_id is None and op is Op.DELETE:
        raise illegal_argument("Validation Failed: 1: an id must be provided;")
    return Write(
        op=op,
        index=str(index),
        doc_id=uuid.uuid4().hex[:20] if doc_id is None else str(doc_id),
        source=source,
        version=_number(meta, "version"),
        version_type=str(meta.get("version_type", "internal")),
        if_seq_no=_number(meta, "if_seq_no"),
    )


def _number(meta: Mapping[str, object], name: str) -> int | None:
    value = meta.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise illegal_argument(f"[{name}] must be a number but was [{value}]")


async def run_bulk(
    writes: Sequence[Write], pool: WritePool, open_index: Callable[[Write], Index]
) -> Json:
    """Do all writes, one queue place per shard as Elasticsearch does, and answer item by item.

    A full queue refuses a shard's items with 429 inside a response of status 200; a delete of a
    missing document is 404 and no error.
    """
    items: list[Json] = [{} for _ in writes]
    shards: dict[tuple[str, int], list[tuple[int, Index]]] = defaultdict(list)
    for place, write in enumerate(writes):
        try:
            index = open_index(write)
        except ElasticError as error:
            items[place] = _refused(write, error)
        else:
            shards[index.name, index.shard_of(write.doc_id)].append((place, index))

    async def run_shard(places: list[tuple[int, Index]]) -> None:
        try:
            async with pool.slot(len(places)):
                for place, index in places:
                    items[place] = _do(index, writes[place])
        except ElasticError as error:
            for place, _ in places:
                items[place] = _refused(writes[place], error)

    await asyncio.gather(*(run_shard(places) for places in shards.values()))
    errors = any("error" in part for item in items for part in _parts(item))
    return {"errors": errors, "took": 0, "items": items}


def _parts(item: Json) -> list[Json]:
    return [part for part in item.values() if isinstance(part, dict)]


def _do(index: Index, write: Write) -> Json:
    try:
        outcome = write_document(index, write)
    except ElasticError as error:
        return _refused(write, error)
    return {write.op.value: {**outcome.body, "status": outcome.status}}


def _refused(write: Write, error: ElasticError) -> Json:
    problem = error.problem
    return {
        write.op.value: {
            "_index": write.index,
            "_id": write.doc_id,
            "status": problem.status,
            "error": problem.error(),
        }
    }
