"""Builds the evidence folder of a Wordloom run, as its harness would leave it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC).timestamp()
MINE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
DSN = "postgresql+psycopg://wordloom:hunter2@localhost:5435/wordloom_test"


def scrape(*, processed=0.0, age=100.0, retry=None):
    """One scrape of the search worker."""
    born = f"{START + 1:.3f}"
    lines = [
        "# TYPE outbox_processed_total counter",
        f'outbox_processed_total{{op="upsert",projection="search_index_to_elastic"}} {processed}',
        "# TYPE outbox_processed_created gauge",
        f'outbox_processed_created{{op="upsert",projection="search_index_to_elastic"}} {born}',
        "# TYPE outbox_oldest_age_seconds gauge",
        f'outbox_oldest_age_seconds{{projection="search_index_to_elastic"}} {age}',
    ]
    if retry is not None:
        labels = 'op="upsert",projection="search_index_to_elastic",reason="es_429"'
        lines += [
            "# TYPE outbox_retry_scheduled_total counter",
            f"outbox_retry_scheduled_total{{{labels}}} {retry}",
        ]
    return "\n".join(lines) + "\n"


def span(trace, at, *, row=MINE):
    """One span `at` seconds after the start, in the older Jaeger form."""
    return {
        "traceID": f"{trace:032x}",
        "spanID": f"{trace:016x}",
        "operationName": "outbox.process",
        "references": [],
        "startTime": int((START + at) * 1e6),
        "duration": 1000,
        "tags": [{"key": "wordloom.outbox_event_id", "type": "string", "value": row}],
        "processID": "p1",
    }


def export(*spans):
    """A Jaeger answer, each span a trace."""
    processes = {"p1": {"serviceName": "wordloom-search-outbox-worker", "tags": []}}
    traces = [{"traceID": s["traceID"], "spans": [s], "processes": processes} for s in spans]
    return json.dumps({"data": traces, "total": 0, "limit": 0})


def line(at, message, **more):
    """One log line `at` seconds after the start."""
    ts = datetime.fromtimestamp(START + at, UTC).isoformat()
    return (
        json.dumps({"ts": ts, "level": "ERROR", "logger": "w", "message": message, **more}) + "\n"
    )


def run(root, *, before=None, after=None, log=None, spans=None):
    """The folder of one run; what is given replaces the default."""
    folder = root / "es_429_inject" / "smoke-es-429-inject-20260214T220000"
    for part in ("_metrics", "_logs", "_exports"):
        (folder / part).mkdir(parents=True)
    failed = f"Failed to process outbox event {MINE}"
    texts = {
        "_metrics/metrics-before.txt": before or scrape(),
        "_metrics/metrics-after.txt": after or scrape(age=109.0, retry=3.0),
        "_logs/worker-smoke-es-429-inject-20260214T220000.log": log
        or f"[OK] Database: {DSN}\n{line(1.5, 'start')}{line(9, failed)}",
        "_exports/jaeger-traces-tags-20260214T140012.json": spans or export(span(1, 5)),
        "_outbox_event_id.txt": MINE + "\n",
        "_recipe.json": '{"scenario": "es_429_inject", "created_at": "2026-02-14 22:00:00"}',
        "_result.json": '{"scenario": "es_429_inject", "ok": true, "observed": {"x": 1}}',
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder
