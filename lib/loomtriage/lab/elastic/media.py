"""Elastic media: which media types an 8.x server takes, and in which one it answers."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from loomtriage.lab.elastic.errors import ElasticError, Json, Problem

_COMPATIBLE = re.compile(
    r"application/vnd\.elasticsearch\+(?P<form>x-ndjson|json)\s*;\s*compatible-with=(?P<major>\d+)"
)
_BODY_TYPES = ("application/json", "application/x-ndjson", "application/vnd.elasticsearch+")
_MAJORS = ("8", "7")
_PRODUCT = {"X-Elastic-Product": "Elasticsearch"}


class UnsupportedMedia(Exception):
    """The body has a content type that Elasticsearch does not read."""


def check_media(request: Request) -> None:
    """Refuse what an 8.x server refuses.

    The content type matters for safety too: a web page cannot send JSON to another origin without
    asking first, and nobody here says yes.

    Raises:
        ElasticError: 400 for a client of another major version.
        UnsupportedMedia: a body that is neither JSON nor newline-delimited JSON.
    """
    for header in ("Accept", "Content-Type"):
        value = request.headers.get(header, "")
        found = _COMPATIBLE.search(value)
        if found is not None and found["major"] not in _MAJORS:
            raise _wrong_major(header, value, found["major"])
    has_body = "transfer-encoding" in request.headers or request.headers.get(
        "content-length", "0"
    ) not in ("", "0")
    kind = request.headers.get("content-type", "")
    if has_body and not kind.startswith(_BODY_TYPES):
        raise UnsupportedMedia(f"Content-Type header [{kind}] is not supported")


def _wrong_major(header: str, value: str, major: str) -> ElasticError:
    reason = f"{header} version must be either version 8 or 7, but found {major}. {header}={value}"
    return ElasticError(
        Problem(
            status=400,
            type="media_type_header_exception",
            reason=f"Invalid media-type value on headers [{header}]",
            cause=("status_exception", reason),
        )
    )


def reply(request: Request, status: int, body: Json | list[Json] | None) -> Response:
    """A response in the media type that the client asked for, with the product header."""
    if body is None:
        return Response(status_code=status, headers=_PRODUCT)
    found = _COMPATIBLE.search(request.headers.get("accept", ""))
    media = "application/json"
    if found is not None:
        media = f"application/vnd.elasticsearch+json;compatible-with={found['major']}"
    return JSONResponse(body, status_code=status, headers=_PRODUCT, media_type=media)


def reply_text(text: str) -> Response:
    """A plain text response, as the `_cat` endpoints give."""
    return Response(text, headers=_PRODUCT, media_type="text/plain")
