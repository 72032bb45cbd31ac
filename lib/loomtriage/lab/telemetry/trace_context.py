"""Which correlation id a request carries, and how it travels with an outbox row.

The outbox tables have no column for it, so it rides in the row's `tracestate` as the W3C member
`wordloom=<percent-encoded id>`: any W3C-aware reader passes it on untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.span import TraceState

from loomtriage.contract.keys import TRACESTATE_MEMBER

MEMBER = TRACESTATE_MEMBER
MAX_ID_CHARS = 128
"""Width of `chronicle_events.correlation_id`."""
MAX_MEMBER_CHARS = 256
"""W3C's bound of one tracestate value."""
MAX_TRACESTATE_CHARS = 1024

_ACCEPTED = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)
_PLAIN = ":/@+!$&'()*;"
"""Left readable in a tracestate value; comma, equals, percent and space are always encoded."""

_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """The id of one request.

    Attributes:
        value: never empty.
        refused: whether the caller sent an id that could not be taken.
    """

    value: str
    refused: bool


def is_acceptable(raw: str) -> bool:
    """Whether an id may be used as it is: printable ASCII, bounded, and fit for a tracestate."""
    return (
        len(raw) <= MAX_ID_CHARS
        and _ACCEPTED.fullmatch(raw) is not None
        and len(quote(raw, safe=_PLAIN)) <= MAX_MEMBER_CHARS
    )


def choose(header: str | None, *, cid: str | None, fresh: Callable[[], str]) -> Correlation:
    """The header's id, else the query's, else a fresh one.

    An id is taken whole or not at all: a shortened or cleaned one would match nothing that the
    caller has written down.
    """
    offered = [raw for raw in (header, cid) if raw]
    for raw in offered:
        if is_acceptable(raw):
            return Correlation(value=raw, refused=raw != offered[0])
    return Correlation(value=fresh(), refused=bool(offered))


def to_tracestate(correlation_id: str, *, inherited: str = "") -> str:
    """The tracestate of a row: our member first, then what the caller's trace carried."""
    value = quote(correlation_id, safe=_PLAIN)
    others = TraceState.from_header([inherited]) if inherited else TraceState()
    state = others.update(MEMBER, value).to_header()
    return state if len(state) <= MAX_TRACESTATE_CHARS else f"{MEMBER}={value}"


def correlation_of(tracestate: str | None) -> str:
    """The correlation id in a row's tracestate, empty when there is none that we accept."""
    for member in (tracestate or "")[: MAX_TRACESTATE_CHARS * 8].split(","):
        name, _, value = member.strip().partition("=")
        if name == MEMBER:
            decoded = unquote(value, errors="replace")
            return decoded if is_acceptable(decoded) else ""
    return ""


def parent_of(traceparent: str | None, *, tracestate: str | None) -> Context | None:
    """The remote context of a row, None when it has no valid traceparent."""
    if not traceparent:
        return None
    carrier: Mapping[str, str] = {"traceparent": traceparent, "tracestate": tracestate or ""}
    context = _W3C.extract(carrier, context=Context())
    return context if trace.get_current_span(context).get_span_context().is_valid else None


def link_of(context: Context | None) -> tuple[trace.Link, ...]:
    """A span link to a row's remote context, none without one."""
    if context is None:
        return ()
    return (trace.Link(trace.get_current_span(context).get_span_context()),)


def current_traceparent() -> str | None:
    """The W3C traceparent of the current span, None outside any span."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def current_tracestate() -> str:
    """The tracestate that the current span inherited, empty when none."""
    return trace.get_current_span().get_span_context().trace_state.to_header()
