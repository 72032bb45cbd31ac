"""Which spans does a question mean? Decided again on our side: servers ignore what is new."""

from __future__ import annotations

from loomtriage.contract.keys import canonical_projection, read_key, spellings
from loomtriage.model import Scope, Window
from loomtriage.sources.question import Question
from loomtriage.sources.spans.jaeger import Span


def belonging(spans: list[Span], question: Question) -> list[Span]:
    """Spans of the window and scope; whole traces where they were asked by id or attribute."""
    if question.trace_ids:
        return spans
    if question.attributes:
        carriers = {span.trace_id for span in spans if _carries(span, question)}
        return [span for span in spans if span.trace_id in carriers]
    return [
        span
        for span in spans
        if in_window(span, question.window) and _in_scope(span, question.scope)
    ]


def meets(span: Span, question: Question) -> bool:
    """Whether a search would find a trace by this span."""
    return (
        question.service in ("", span.service)
        and question.operation in ("", span.operation)
        and _carries(span, question)
    )


def in_window(span: Span, window: Window) -> bool:
    """Whether a span started in the window, to the microsecond."""
    return (
        round(window.start.timestamp() * 1e6)
        <= span.start_ns // 1000
        < round(window.end.timestamp() * 1e6)
    )


def _carries(span: Span, question: Question) -> bool:
    return in_window(span, question.window) and all(
        any(str(span.attributes.get(spelled, "")) == value for spelled in spellings(name))
        for name, value in question.attributes
    )


def _in_scope(span: Span, scope: Scope) -> bool:
    """A span without the key stays: the API's spans carry no projection."""
    for name, wanted in (
        ("env", scope.env),
        ("projection", canonical_projection(scope.projection)),
    ):
        found = read_key(name, span.attributes)
        if wanted and found and found != wanted:
            return False
    return True
