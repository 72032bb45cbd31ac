"""A small pipeline in good health: what its servers and files say over one minute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from loomtriage.case import Case
from loomtriage.contract.keys import SEARCH
from loomtriage.evidence import Evidence
from loomtriage.model import Scope, Signal, Window
from loomtriage.sources import Live, Logs, Playback, Question, RawAnswer, Recording, Sources
from loomtriage.sources.outbox import Outbox
from loomtriage.sources.prometheus import Prometheus
from loomtriage.sources.traces import Traces
from tests.sources.documents import attrs, old, old_span, otlp, span

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
T0 = START.timestamp()
BASELINE = Window(START, START + timedelta(seconds=30))
WINDOW = Window(START + timedelta(seconds=30), START + timedelta(seconds=60))
SPAN = Window(BASELINE.start, WINDOW.end)
DAY_S = 86_400.0
WORKER = {"job": "wordloom-worker-search-sandbox", "instance": "w:9108", "env": "sandbox"}
TRACES = 4
LIMIT = 200


def answer(data: object, **more: object) -> bytes:
    """An answer of the PromQL API."""
    return json.dumps({"status": "success", "data": data, **more}).encode()


def matrix(*series: dict[str, object], **more: object) -> bytes:
    return answer({"resultType": "matrix", "result": list(series)}, **more)


def counters(*, seconds: int = 60, since: float = 0.0, **labels: str) -> list[dict[str, object]]:
    """`up`, work and lag of one worker, a sample a second."""
    told = {
        "up": lambda _: 1,
        "outbox_processed_total": lambda at: at + 1,
        "outbox_lag_events": lambda _: 0,
    }
    own = {"projection": SEARCH, "op": "upsert"}
    return [
        {
            "metric": {"__name__": name, **WORKER, **({} if name == "up" else own), **labels},
            "values": [[T0 + since + at, str(grows(at))] for at in range(seconds)],
        }
        for name, grows in told.items()
    ]


def alerts(*, since: float = 30.0) -> list[dict[str, object]]:
    """One alert, pending and then firing."""
    return [
        {
            "metric": {"__name__": "ALERTS", "alertname": "Lag", "alertstate": state, **WORKER},
            "values": [[T0 + since + at + i, "1"] for i in range(5)],
        }
        for state, at in (("pending", 0), ("firing", 5))
    ]


def targets(*, since: float = 58.0) -> list[dict[str, object]]:
    """An API and a worker, both up."""
    scraped = (START + timedelta(seconds=since)).isoformat()
    return [
        {
            "labels": {"job": f"wordloom-{name}", "instance": f"{name}:9108", "env": "sandbox"},
            "scrapeUrl": f"http://{name}:9108/metrics",
            "health": "up",
            "lastScrape": scraped,
        }
        for name in ("api", "worker")
    ]


def exemplars(*, since: float = 40.0) -> list[dict[str, object]]:
    """Two observations with a trace."""
    told = [
        {"labels": {"trace_id": f"{i:032x}"}, "value": "1", "timestamp": T0 + since + i}
        for i in (1, 2)
    ]
    return [{"seriesLabels": {"__name__": "outbox_processed_total", **WORKER}, "exemplars": told}]


def newer(
    *, traces: int = TRACES, since: float = 35.0, extra: tuple[dict[str, object], ...] = ()
) -> bytes:
    """Traces of a batch and its row, as Jaeger v3 and the collector write them."""
    return otlp(*_spans(traces, since), *extra)


def shuffled_newer() -> bytes:
    """The same, each child before its parent and the last trace first."""
    return otlp(*reversed(list(_spans(TRACES, 35.0))))


def _spans(traces: int, since: float) -> Iterator[dict[str, object]]:
    keys = attrs(wordloom__env="sandbox", wordloom__projection=SEARCH, batch_size=1)
    for i in range(1, traces + 1):
        at = since + i / 100
        batch, row = 2 * i, 2 * i + 1
        name = "projection.process_batch"
        yield span(batch, at=at, trace=i, name=name, kind=1, attributes=keys)
        parent = f"{batch:016x}"
        yield span(row, at=at + 0.001, trace=i, name="outbox.process", kind=1, parentSpanId=parent)


def older(*, since: float = 35.0, repeat: int = 1, backwards: bool = False) -> bytes:
    """One trace of four spans, as Jaeger before v3 writes it."""
    numbers = list(range(1, 5)) * repeat
    start = int((T0 + since) * 1e6)
    told = [old_span(i, wordloom__env="sandbox") | {"startTime": start + i} for i in numbers]
    return old(*(reversed(told) if backwards else told))


def log_lines(*, since: float = 31.0, count: int = 10) -> list[str]:
    """JSON lines of a worker at work."""
    told = []
    for i in range(count):
        ts = (START + timedelta(seconds=since + i)).isoformat()
        entry = {"ts": ts, "level": "INFO", "logger": "w", "event": "outbox.done", "n": i}
        told.append(json.dumps(entry | {"message": f"done {i}"}) + "\n")
    return told


def _rows() -> bytes:
    row = dict.fromkeys(
        ("next_retry_at", "lease_until", "error_reason", "error", "owner", "tracestate"), None
    )
    at = (START + timedelta(seconds=40)).isoformat()
    row |= {"projection": SEARCH, "id": "r1", "entity_type": "book", "entity_id": "b1"}
    row |= {"op": "upsert", "status": "done", "attempts": 1, "replay_count": 0, "traceparent": ""}
    row |= {"created_at": at, "updated_at": at, "processed_at": at}
    return json.dumps({"rows": [row], "counts": {SEARCH: {"done": 1}}}).encode()


def healthy_sources(folder: Path) -> Sources:
    """All four signals, answered from a recording."""
    recorded = {Signal.METRICS: matrix(*counters()), Signal.TRACES: newer()}
    lines = [
        json.dumps({"file": "w.log", "line": number, "raw": text.strip()}) + "\n"
        for number, text in enumerate(log_lines(), start=1)
    ]
    told = "".join(lines).encode()
    asked = Question(signal=Signal.ROWS, window=SPAN)
    Recording(folder).fetch(asked.key, lambda: RawAnswer(body=_rows()))
    tape = Playback(folder)
    every = Live()
    return Sources(
        spec="live",
        metrics=Prometheus("", tape=every, ask=lambda _: RawAnswer(body=recorded[Signal.METRICS])),
        traces=Traces("", tape=every, ask=lambda _: RawAnswer(body=recorded[Signal.TRACES])),
        logs=Logs((), tape=every, ask=lambda _: RawAnswer(body=told, media="jsonl")),
        rows=Outbox("", tape=tape),
    )


def case_of(sources: Sources) -> Case:
    """A case over baseline and window, by hand."""
    return Case(
        stage="preflight",
        source="live",
        window=WINDOW,
        baseline=BASELINE,
        scope=Scope(),
        evidence=Evidence(sources=sources),
        handover={},
        folder=None,
    )
