"""Elastic write: what one write does to an index, or why it is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from loomtriage.lab.elastic.errors import ElasticError, Json, Problem, illegal_argument
from loomtriage.lab.elastic.index import Index, Stored, refuse_blocked
from loomtriage.lab.elastic.mapping import Branch, take_document

_ID_CAP_BYTES = 512


class Op(StrEnum):
    """What a write asks for; the names are those of bulk actions."""

    INDEX = "index"
    CREATE = "create"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of one document.

    Attributes:
        op: what to do.
        index: index name.
        doc_id: document id.
        source: the document as JSON text, empty for a delete.
        version: external version that must be newer, None for none.
        version_type: `internal`, `external` or `external_gte`.
        if_seq_no: sequence number that the stored document must have, None for any.
    """

    op: Op
    index: str
    doc_id: str
    source: str = ""
    version: int | None = None
    version_type: str = "internal"
    if_seq_no: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a write did: its HTTP status and its body."""

    status: int
    body: Json


def write_document(index: Index, write: Write) -> Outcome:
    """Do one write.

    Raises:
        ElasticError: 400 a document that does not fit, 403 or 429 a blocked index, 409 a conflict.
    """
    refuse_blocked(index)
    if len(write.doc_id.encode("utf-8", "surrogatepass")) > _ID_CAP_BYTES:
        raise illegal_argument(
            f"id [{write.doc_id[:80]}...] is too long, must be no longer than 512 bytes"
        )
    old = index.docs.get(write.doc_id)
    source: Json | None = None
    mapping = index.mapping
    if write.op is not Op.DELETE:
        source = read_source(write.source, write.doc_id)
        mapping = _fit(mapping, source, write)
    version = _next_version(old, write)
    index.mapping = mapping
    stored = Stored(source=source, version=version, seq_no=index.next_seq_no)
    index.next_seq_no += 1
    index.docs[write.doc_id] = stored
    was_there = old is not None and old.source is not None
    if write.op is Op.DELETE:
        status, result = (200, "deleted") if was_there else (404, "not_found")
    else:
        status, result = (200, "updated") if was_there else (201, "created")
    return Outcome(status=status, body=_show_write(index, write, stored, result=result))


def _fit(mapping: Branch, source: Json, write: Write) -> Branch:
    try:
        return take_document(mapping, source, doc_id=write.doc_id, raw=write.source)
    except RecursionError as error:
        raise _unreadable("[1:1] failed to parse", str(error)) from error


def read_source(text: str, doc_id: str) -> Json:
    """The document in a JSON text.

    Raises:
        ElasticError: 400 when it is no JSON object.
    """
    try:
        source = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _unreadable("[1:1] failed to parse", str(error)) from error
    if not isinstance(source, dict):
        reason = f"[1:1] failed to parse: malformed document with id '{doc_id}', must be an object"
        raise _unreadable(reason, "not an object")
    return source


def _no_constant(name: str) -> object:
    raise ValueError(f"Non-standard token '{name}'")


def _unreadable(reason: str, cause: str) -> ElasticError:
    return ElasticError(
        Problem(
            status=400,
            type="document_parsing_exception",
            reason=reason,
            cause=("x_content_parse_exception", cause),
        )
    )


def _next_version(old: Stored | None, write: Write) -> int:
    exists = old is not None and old.source is not None
    current = f"current version [{old.version}]" if old else "current document is missing"
    if write.op is Op.CREATE and exists:
        raise _conflict(write, f"document already exists ({current})")
    if write.if_seq_no is not None and (old is None or old.seq_no != write.if_seq_no):
        raise _conflict(write, f"required seqNo [{write.if_seq_no}], {current}")
    if write.version is not None and write.version_type != "internal":
        strict = write.version_type == "external"
        if old and (old.version > write.version or (strict and old.version == write.version)):
            text = "higher or equal to" if strict else "higher than"
            raise _conflict(write, f"{current} is {text} the one provided [{write.version}]")
        return write.version
    return old.version + 1 if old else 1


def _conflict(write: Write, why: str) -> ElasticError:
    return ElasticError(
        Problem(
            status=409,
            type="version_conflict_engine_exception",
            reason=f"[{write.doc_id}]: version conflict, {why}",
            extra={"shard": "0", "index": write.index},
        )
    )


def _show_write(index: Index, write: Write, stored: Stored, *, result: str) -> Json:
    return {
        "_index": index.name,
        "_id": write.doc_id,
        "_version": stored.version,
        "result": result,
        "_shards": {"total": 2, "successful": 1, "failed": 0},
        "_seq_no": stored.seq_no,
        "_primary_term": 1,
    }
