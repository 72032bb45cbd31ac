"""Sampling: may all raw samples be asked for, or must the server thin them to one a step?"""

from __future__ import annotations

import math
from dataclasses import replace

from loomtriage.sources.deadline import Deadline
from loomtriage.sources.http import Reply
from loomtriage.sources.metrics.promql import promql, selector
from loomtriage.sources.metrics.promql_answer import read_vector
from loomtriage.sources.metrics.promql_server import PromqlServer
from loomtriage.sources.question import Question
from loomtriage.sources.tape import Unreadable

MAX_POINTS = 10_900
"""A series; servers refuse more than 11 000 in one answer."""
FEWER_POINTS = 1_000
"""A series, where the answer would be too many bytes."""
SURELY_RAW_S = 3_600.0
"""A window up to this long is asked raw at once: three scrapes a second stay in the budget."""
_NO_RAW = {"http_400", "http_404", "http_405", "http_422", "http_501"}


def samples(server: PromqlServer, question: Question) -> Reply:
    """Raw samples where they stay within the budget, else one value a step, with a caveat.

    Thinned values are raw values of the counters still, never rates; what happens between two
    steps, a reset among it, is not seen.
    """
    deadline = server.deadline()
    if question.window.seconds > SURELY_RAW_S:
        held = _held(server, question, deadline)
        if held > MAX_POINTS:
            why = f"a series holds {held} samples, more than {MAX_POINTS}"
            return _thinned(server, question, why=why, held=held, deadline=deadline)
    reply = server.query(promql(question), at=question.window.end, deadline=deadline)
    if reply.missing not in {"too_large", *_NO_RAW}:
        return reply
    is_large = reply.missing == "too_large"
    why = "all samples are too many bytes" if is_large else "the server gives no raw samples"
    held = _held(server, question, deadline)
    thin = _thinned(server, question, why=why, held=held, deadline=deadline)
    # The first refusal is told; but a server without raw samples is judged by what else it does.
    is_same = is_large or thin.missing in _NO_RAW
    return reply if thin.missing and is_same else thin


def _held(server: PromqlServer, question: Question, deadline: Deadline) -> int:
    """How many raw samples the longest series has, 0 when the server cannot say."""
    counted = f"max(count_over_time({promql(question)}))"
    reply = server.query(counted, at=question.window.end, deadline=deadline)
    if reply.missing:
        return 0
    try:
        return max((int(value) for _, value in read_vector(reply.body)), default=0)
    except (OverflowError, Unreadable, ValueError):
        return 0


def _thinned(
    server: PromqlServer, question: Question, *, why: str, held: int, deadline: Deadline
) -> Reply:
    """One value a step, the step never shorter than the time between two samples."""
    length = question.window.seconds
    between_s = length / held if held else 0.0
    for points in (MAX_POINTS, FEWER_POINTS):
        step_s = max(1, math.ceil(length / points), math.ceil(between_s))
        reply = server.query_range(
            selector(question), window=question.window, step_s=step_s, deadline=deadline
        )
        if reply.missing != "too_large":
            break
    if reply.missing:
        return reply
    said = f"thinned: {why}; one value every {step_s} s was asked for, resets between are not seen."
    return replace(reply, caveats=(*reply.caveats, said))
