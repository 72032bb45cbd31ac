"""Elastic errors: how Elasticsearch 8 says no, in its own words and shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error of Elasticsearch.

    Attributes:
        status: HTTP status, of the response or of the bulk item.
        type: exception type on the wire.
        reason: sentence on the wire.
        extra: further fields beside the reason.
        cause: type and reason of `caused_by`, empty if none.
    """

    status: int
    type: str
    reason: str
    extra: Mapping[str, str] = field(default_factory=dict)
    cause: tuple[str, str] | None = None

    def error(self) -> Json:
        """The error object of a bulk item."""
        found: Json = {"type": self.type, "reason": self.reason, **self.extra}
        if self.cause is not None:
            found["caused_by"] = {"type": self.cause[0], "reason": self.cause[1]}
        return found

    def body(self) -> Json:
        """The body of a whole response."""
        root = {"type": self.type, "reason": self.reason, **self.extra}
        return {"error": {"root_cause": [root], **self.error()}, "status": self.status}


class ElasticError(Exception):
    """A request or a bulk item is refused with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.problem = problem


def illegal_argument(reason: str) -> ElasticError:
    """The 400 for a value that makes no sense."""
    return ElasticError(Problem(status=400, type="illegal_argument_exception", reason=reason))


def parsing(reason: str) -> ElasticError:
    """The 400 for a query or body that cannot be read."""
    return ElasticError(Problem(status=400, type="parsing_exception", reason=reason))


def index_not_found(name: str) -> ElasticError:
    """The 404 for an index that does not exist."""
    extra = {
        "resource.type": "index_or_alias",
        "resource.id": name,
        "index_uuid": "_na_",
        "index": name,
    }
    reason = f"no such index [{name}]"
    return ElasticError(
        Problem(status=404, type="index_not_found_exception", reason=reason, extra=extra)
    )


def queue_rejected(detail: str) -> ElasticError:
    """The 429 of a full write queue; an item's error inside a bulk."""
    return ElasticError(
        Problem(
            status=429,
            type="es_rejected_execution_exception",
            reason=f"rejected execution of primary operation on EsThreadPoolExecutor[{detail}]",
        )
    )


def coordinating_rejected(*, held_bytes: int, operation_bytes: int, max_bytes: int) -> ElasticError:
    """The 429 that refuses a whole request before any of its items is looked at."""
    detail = (
        f"coordinating_and_primary_bytes={held_bytes}, replica_bytes=0, all_bytes={held_bytes}, "
        f"coordinating_operation_bytes={operation_bytes}, "
        f"max_coordinating_and_primary_bytes={max_bytes}"
    )
    return ElasticError(
        Problem(
            status=429,
            type="es_rejected_execution_exception",
            reason=f"rejected execution of coordinating operation [{detail}]",
        )
    )


def answer_for(status: int) -> Problem:
    """What Elasticsearch says with this HTTP status when it cannot serve a write."""
    if status == 429:
        return coordinating_rejected(
            held_bytes=53_687_091, operation_bytes=4_096, max_bytes=53_687_091
        ).problem
    known = {
        403: ("cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)];"),
        404: ("index_not_found_exception", "no such index"),
        500: ("exception", "internal server error"),
        502: ("exception", "bad gateway"),
        503: (
            "cluster_block_exception",
            "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];",
        ),
        504: ("process_cluster_event_timeout_exception", "failed to process event within 30s"),
    }
    kind, reason = known.get(status, ("status_exception", f"answered with status {status}"))
    return Problem(status=status, type=kind, reason=reason)
