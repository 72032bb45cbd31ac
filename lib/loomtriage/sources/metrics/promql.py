"""PromQL: with which text is a server asked for the samples, exemplars or alerts of a question?"""

from __future__ import annotations

import math
import re

from loomtriage.contract.catalogue import BY_WIRE, MetricType
from loomtriage.errors import UsageError
from loomtriage.model import Kind, Scope, Window
from loomtriage.sources.question import Question
from loomtriage.sources.redact import safe

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def promql(question: Question) -> str:
    """The text that brings every asked sample, exemplar or alert; targets need none.

    Raises:
        UsageError: a metric name is none, or there is none.
    """
    if question.kind is Kind.TARGETS:
        return ""
    chosen = selector(question)
    if question.kind is Kind.EXEMPLARS:
        return chosen
    return f"{chosen}[{span_s(question.window)}s]"


def selector(question: Question) -> str:
    """The instant selector of the asked series.

    A matcher on `projection` would lose `up` and every other series without that label, and an
    alert may have been aggregated over envs, so those are cut out of the answer instead.

    Raises:
        UsageError: a metric name is none, or there is none.
    """
    if question.kind is Kind.ALERTS:
        return "ALERTS"
    names = wire_names(question)
    which = f'__name__="{names[0]}"' if len(names) == 1 else f'__name__=~"{"|".join(names)}"'
    matchers = (which, Scope(env=question.scope.env).selector("env"))
    return f"{{{','.join(text for text in matchers if text)}}}"


def span_s(window: Window) -> int:
    """Whole seconds that hold the window.

    Servers differ in whether the left edge belongs to a range, so one second more is asked; the
    answer is cut to `[start, end)`.
    """
    return math.ceil(window.seconds) + 1


def wire_names(question: Question) -> tuple[str, ...]:
    """Names of the asked series, sorted; a histogram stands for its parts.

    Raises:
        UsageError: a metric name is none, or there is none.
    """
    names: set[str] = set()
    for name in question.metrics:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{safe(name)!r} is no metric name.", hint="Take the names from the catalogue."
            )
        known = BY_WIRE.get(name)
        histogram = known is not None and known.type is MetricType.HISTOGRAM
        names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if histogram else {name}
    if not names:
        raise UsageError("No metric is asked for.", hint="Name at least one of the catalogue.")
    return tuple(sorted(names))
