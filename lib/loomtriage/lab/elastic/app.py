"""Elastic: the lab's Elasticsearch stand-in, in memory, one node, honest about refusing.

It answers what the worker, the drills and the official 8.x client ask. It has no shards to lose,
no refresh delay and no merges, so its latency says nothing about a real Elasticsearch.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from loomtriage.lab.elastic.admin import LimitsAdmin
from loomtriage.lab.elastic.bulk import read_bulk, run_bulk
from loomtriage.lab.elastic.errors import ElasticError, Json, illegal_argument, parsing
from loomtriage.lab.elastic.index import Index
from loomtriage.lab.elastic.media import UnsupportedMedia, check_media, reply, reply_text
from loomtriage.lab.elastic.node import Node
from loomtriage.lab.elastic.search import find, search, shards_ok
from loomtriage.lab.elastic.write import Op, Write, write_document
from loomtriage.lab.serving import Guard, read_body

_Answer = tuple[int, Json | list[Json] | None] | Response


def elastic_app(token: str = "") -> Starlette:
    """The application; a token, when given, is asked for before limits are changed."""
    node = Node()
    api = _Api(node)
    routes = [
        Route("/healthz", _healthz),
        *LimitsAdmin(node.pool, token).routes(),
        *(
            Route(path, _endpoint(handler), methods=methods.split())
            for path, methods, handler in api.table()
        ),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard)],
        exception_handlers={HTTPException: _on_http_exception},
    )


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _on_http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else "internal server error"
    if status in (404, 405):
        detail = f"no handler found for uri [{request.url.path}] and method [{request.method}]"
        status = 400 if status == 404 else 405
    return reply(request, status, {"error": detail, "status": status})


def _endpoint(
    handler: Callable[[Request], Awaitable[_Answer]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            check_media(request)
            answer = await handler(request)
        except ElasticError as error:
            return reply(request, error.problem.status, error.problem.body())
        except UnsupportedMedia as error:
            return reply(request, 406, {"error": str(error), "status": 406})
        return answer if isinstance(answer, Response) else reply(request, *answer)

    return endpoint


async def _json_body(request: Request) -> Json:
    raw = await read_body(request)
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise parsing(f"Failed to parse request body: {error}") from error
    if not isinstance(body, dict):
        raise parsing("Expected [START_OBJECT] but found another token")
    return body


class _Api:
    """The endpoints over one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def table(self) -> list[tuple[str, str, Callable[[Request], Awaitable[_Answer]]]]:
        """Path, methods and handler of every endpoint, the more special paths first."""
        return [
            ("/", "GET", self.info),
            ("/_cluster/health", "GET", self.health),
            ("/_cluster/health/{index}", "GET", self.health),
            ("/_cat/thread_pool/write", "GET", self.thread_pool),
            ("/_bulk", "POST PUT", self.bulk),
            ("/_search", "GET POST", self.search),
            ("/_count", "GET POST", self.count),
            ("/_refresh", "GET POST", self.refresh),
            ("/{index}/_bulk", "POST PUT", self.bulk),
            ("/{index}/_search", "GET POST", self.search),
            ("/{index}/_count", "GET POST", self.count),
            ("/{index}/_refresh", "GET POST", self.refresh),
            ("/{index}/_mapping", "GET PUT POST", self.mapping),
            ("/{index}/_settings", "GET PUT", self.settings),
            ("/{index}/_doc", "POST", self.put_doc),
            ("/{index}/_create/{doc_id:path}", "PUT POST", self.put_doc),
            ("/{index}/_doc/{doc_id:path}", "PUT POST", self.put_doc),
            ("/{index}/_doc/{doc_id:path}", "GET", self.get_doc),
            ("/{index}/_doc/{doc_id:path}", "DELETE", self.delete_doc),
            ("/{index}", "PUT", self.create_index),
            ("/{index}", "GET", self.get_index),
            ("/{index}", "DELETE", self.delete_index),
        ]

    async def info(self, _request: Request) -> _Answer:
        return 200, self._node.info()

    async def health(self, request: Request) -> _Answer:
        return 200, self._node.health(request.path_params.get("index"))

    async def thread_pool(self, request: Request) -> _Answer:
        row = self._node.thread_pool_row()
        wanted = request.query_params.get("h")
        if wanted:
            row = {name: row[name] for name in wanted.split(",") if name in row}
        asked = request.query_params.get("format", "")
        if asked == "json" or (not asked and "json" in request.headers.get("accept", "")):
            return 200, [dict(row)]
        lines = [" ".join(row.values())]
        if "v" in request.query_params:
            lines.insert(0, " ".join(row))
        return reply_text("\n".join(lines) + "\n")

    async def bulk(self, request: Request) -> _Answer:
        body = await read_body(request)
        with self._node.pool.coordinate(len(body)):
            writes = read_bulk(body, request.path_params.get("index"))
            return 200, await run_bulk(writes, self._node.pool, self._node.index_for)

    async def put_doc(self, request: Request) -> _Answer:
        doc_id = request.path_params.get("doc_id")
        creates = "/_create/" in request.url.path or (
            request.query_params.get("op_type") == "create"
        )
        body = await read_body(request)
        if not body.strip():
            raise parsing("request body is required")
        try:
            source = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise parsing(f"Invalid UTF-8: {error.reason}") from error
        write = Write(
            op=Op.CREATE if creates else Op.INDEX,
            index=request.path_params["index"],
            doc_id=uuid.uuid4().hex[:20] if doc_id is None else doc_id,
            source=source,
        )
        return await self._write(_conditioned(request, write))

    async def delete_doc(self, request: Request) -> _Answer:
        index, doc_id = request.path_params["index"], request.path_params["doc_id"]
        write = Write(op=Op.DELETE, index=index, doc_id=doc_id)
        return await self._write(_conditioned(request, write))

    async def _write(self, write: Write) -> _Answer:
        with self._node.pool.coordinate(len(write.source)):
            index = self._node.index_for(write)
            async with self._node.pool.slot(1):
                outcome = write_document(index, write)
        return outcome.status, outcome.body

    async def get_doc(self, request: Request) -> _Answer:
        index = self._node.index(request.path_params["index"])
        doc_id = request.path_params["doc_id"]
        doc = index.docs.get(doc_id)
        if doc is None or doc.source is None:
            return 404, {"_index": index.name, "_id": doc_id, "found": False}
        return 200, {
            "_index": index.name,
            "_id": doc_id,
            "_version": doc.version,
            "_seq_no": doc.seq_no,
            "_primary_term": 1,
            "found": True,
            "_source": doc.source,
        }

    async def search(self, request: Request) -> _Answer:
        body = await _json_body(request)
        for name in ("from", "size"):
            text = request.query_params.get(name, "")
            if text.isdecimal():
                body[name] = int(text)
        if "q" in request.query_params:
            raise illegal_argument("request [/_search] contains unrecognized parameter: [q]")
        return 200, search(self._indices(request), body)

    async def count(self, request: Request) -> _Answer:
        body, indices = await _json_body(request), self._indices(request)
        return 200, {"count": len(find(indices, body.get("query"))), "_shards": shards_ok(indices)}

    async def refresh(self, request: Request) -> _Answer:
        return 200, {"_shards": shards_ok(self._indices(request))}

    def _indices(self, request: Request) -> list[Index]:
        return self._node.indices(request.path_params.get("index"))

    async def mapping(self, request: Request) -> _Answer:
        indices = self._indices(request)
        if request.method == "GET":
            return 200, self._node.show_mappings(indices)
        self._node.change_mappings(indices, await _json_body(request))
        return 200, {"acknowledged": True}

    async def settings(self, request: Request) -> _Answer:
        indices = self._indices(request)
        if request.method == "GET":
            return 200, self._node.show_settings(indices)
        self._node.change_settings(indices, await _json_body(request))
        return 200, {"acknowledged": True}

    async def create_index(self, request: Request) -> _Answer:
        name = request.path_params["index"]
        self._node.create(name, await _json_body(request))
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    async def get_index(self, request: Request) -> _Answer:
        return 200, self._node.show(self._indices(request))

    async def delete_index(self, request: Request) -> _Answer:
        self._node.delete(request.path_params["index"])
        return 200, {"acknowledged": True}


def _conditioned(request: Request, write: Write) -> Write:
    return replace(
        write,
        version=_number(request, "version"),
        version_type=request.query_params.get("version_type", "internal"),
        if_seq_no=_number(request, "if_seq_no"),
    )


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise illegal_argument(f"Failed to parse long parameter [{name}] with value [{text}]")
    return int(text)
