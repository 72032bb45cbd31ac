"""A PromQL answer's bytes -> series, samples and what the server warns of, without any I/O."""

from __future__ import annotations

from typing import Any

from loomtriage.sources.json_text import read_json
from loomtriage.sources.metrics.points import Document
from loomtriage.sources.metrics.sample_series import Series
from loomtriage.sources.redact import safe
from loomtriage.sources.tape import Unreadable

MAX_SERIES = 50_000
_WARNINGS_SHOWN = 5


def read_matrix(body: bytes) -> tuple[list[Series], tuple[str, ...]]:
    """Series and caveats of a `matrix` answer.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    document = Document(body)
    found, notes = _result(document.answer, body, "matrix")
    if len(found) > MAX_SERIES:
        notes = (*notes, f"truncated: {MAX_SERIES} of {len(found)} series were kept.")
    found = found[:MAX_SERIES]
    try:
        series = [_series(one, document) for one in found if "values" in one]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Unreadable("wrong_content", "A series of the answer has another shape.") from None
    if len(series) < len(found):
        notes = (*notes, f"{len(found) - len(series)} native histograms were left out.")
    return series, notes


def read_vector(body: bytes) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each sample of a `vector` answer.

    Raises:
        Unreadable: the body is damaged or has another shape.
    """
    found, _ = _result(read_json(body), body, "vector")
    try:
        return [(dict(one["metric"]), float(one["value"][1])) for one in found]
    except (IndexError, KeyError, TypeError, ValueError):
        raise Unreadable("wrong_content", "A sample of the answer has another shape.") from None


def read_data(body: bytes, kind: type) -> tuple[Any, tuple[str, ...]]:
    """The `data` of any answer of the API, and what the server warns of.

    Raises:
        Unreadable: the body is damaged, or `data` is no `kind`.
    """
    return _data(read_json(body), body, kind)


def _data(answer: object, body: bytes, kind: type) -> tuple[Any, tuple[str, ...]]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not isinstance(data, kind):
        said = safe(body[:400].decode("utf-8", "replace"))
        raise Unreadable("wrong_content", f"No PromQL answer: {said}")
    told = answer.get("warnings")
    warnings = told[:_WARNINGS_SHOWN] if isinstance(told, list) else []
    notes = [f"partial: Prometheus warns: {safe(str(text), limit=160)}" for text in warnings]
    if answer.get("isPartial") is True:
        notes.append("partial: the server says that its answer is not whole.")
    return data, tuple(notes)


def _result(answer: object, body: bytes, kind: str) -> tuple[list[Any], tuple[str, ...]]:
    data, notes = _data(answer, body, dict)
    result = data.get("result")
    if data.get("resultType") != kind or not isinstance(result, list):
        raise Unreadable("wrong_content", f"The answer holds no {kind}.")
    return result, notes


def _series(one: dict[str, Any], document: Document) -> Series:
    labels = {str(name): str(value) for name, value in one["metric"].items()}
    times, values = document.points(one["values"])
    return Series(labels=labels, times=times, values=values)
