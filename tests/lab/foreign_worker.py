"""A search worker by somebody else: an older habit of logs, reasons and metrics, and no traces.

It shares not one line with the lab's worker. What it does otherwise, on purpose: reasons under
their old names, no trace ids, errors logged as free text with a stack below, metrics written by
hand and only there once it has polled, failed rows inside lag, no health endpoint, no order of
rows by entity, no version at Elasticsearch, and SIGTERM simply ends it. Standard library and
psycopg only: `python foreign_worker.py` with Wordloom's environment variables.
"""

import json
import logging
import math
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

ENV = os.environ
TABLE = "search_outbox_events"
PROJECTION = "search_index_to_elastic"
ME = ENV.get("OUTBOX_WORKER_ID", f"foreign-{os.getpid()}")
LEASE_S = float(ENV.get("OUTBOX_LEASE_SECONDS", "30"))
MAX_BACKOFF_S = float(ENV.get("OUTBOX_MAX_BACKOFF_SECONDS", "30"))
COUNTS, GAUGES = Counter(), {}
LOG = logging.getLogger("foreign")
TRANSIENT = {"es_429", "es_5xx", "es_timeout", "es_connect", "es_request_error"}

CLAIM = f"""UPDATE {TABLE} SET status = 'processing', owner = %s, processing_started_at = now(),
    lease_until = now() + make_interval(secs => %s), updated_at = now()
WHERE id IN (SELECT id FROM {TABLE} WHERE status = 'pending' AND processed_at IS NULL
    AND (next_retry_at IS NULL OR next_retry_at <= now())
    ORDER BY event_version LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING id, entity_type, entity_id, op, attempts"""
RECLAIM = f"""UPDATE {TABLE} SET status = 'pending', owner = NULL, lease_until = NULL,
    processing_started_at = NULL WHERE status = 'processing' AND lease_until < now()"""
BACKLOG = f"""SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8,
    count(*) FILTER (WHERE status = 'processing'),
    count(*) FILTER (WHERE status = 'processing' AND lease_until < now())
FROM {TABLE} WHERE processed_at IS NULL"""
SOURCE = """SELECT text, snippet, rank_score, event_version FROM search_index
WHERE entity_type = %s AND entity_id = %s"""
FREE = "owner = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = now()"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with the time in UTC."""

    def format(self, record):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"ts": f"{stamp}.{int(record.msecs):03d}000+00:00", "level": record.levelname}
        line |= {"logger": record.name, **getattr(record, "fields", {})}
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(line)


def event(name, **fields):
    fields |= {"event": name, "layer": "worker", "projection": PROJECTION, "worker_id": ME}
    LOG.info(name, extra={"fields": fields})


def count(name, **labels):
    shown = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
    COUNTS[f"{name}{{{shown}}}"] += 1


def exposition():
    lines = []
    for name, values in (("counter", COUNTS), ("gauge", GAUGES)):
        for series, value in sorted(values.items()):
            lines += [f"# TYPE {series.partition('{')[0]} {name}", f"{series} {value}"]
    return "\n".join(dict.fromkeys(lines)) + "\n"


class Metrics(BaseHTTPRequestHandler):
    """Answers every path with the metrics."""

    def do_GET(self):
        body = exposition().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def send(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        ENV["ELASTIC_URL"] + path, data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status


def project(db, kind, entity, op):
    """Whether the row changed anything."""
    path = f"/{ENV['ELASTIC_INDEX']}/_doc/{kind}:{entity}"
    if op == "delete":
        return send("DELETE", path) == 200
    row = db.execute(SOURCE, (kind, entity)).fetchone()
    if row is None:
        LOG.info("Outbox upsert: no search_index row for %s %s skipping", kind, entity)
        return False
    text, snippet, rank, version = row
    rank = str(rank) if rank is not None and math.isnan(rank) else rank
    document = {"entity_type": kind, "entity_id": str(entity), "text": text, "snippet": snippet}
    send("PUT", path, {**document, "rank_score": rank, "event_version": version})
    return True


def reason_of(error):
    if isinstance(error, urllib.error.HTTPError):
        if error.code == 429:
            return "es_429"
        return "es_5xx" if error.code >= 500 else "es_4xx"
    if isinstance(error, TimeoutError):
        return "es_timeout"
    if isinstance(error, urllib.error.URLError):
        return "es_connect"
    return "es_request_error" if isinstance(error, OSError) else "unknown_exception"


def handle(db, row):
    row_id, kind, entity, op, attempts = row
    labels = {"projection": PROJECTION, "op": op}
    try:
        try:
            project(db, kind, entity, op)
        except urllib.error.HTTPError as error:
            if (op, error.code) != ("delete", 404):
                raise
            count("outbox_idempotent_noop_total", reason="es_404", **labels)
    except Exception as error:
        reason = reason_of(error)
        LOG.exception("Failed to process outbox event %s", row_id)
        count("outbox_failed_total", reason=reason, **labels)
        fail(db, row_id, attempts=attempts + 1, reason=reason, error=repr(error)[:500])
        kept = "retry_scheduled" if reason in TRANSIENT else "terminal_failed"
        count(f"outbox_{kept}_total", reason=reason, **labels)
        return "retry" if reason in TRANSIENT else "failed", reason
    db.execute(
        f"UPDATE {TABLE} SET status = 'done', processed_at = now(), {FREE}"
        " WHERE id = %s AND owner = %s",
        (row_id, ME),
    )
    count("outbox_processed_total", **labels)
    GAUGES[f'outbox_last_success_timestamp_seconds{{projection="{PROJECTION}"}}'] = time.time()
    return "ok", "none"


def fail(db, row_id, *, attempts, reason, error):
    status = "pending" if reason in TRANSIENT else "failed"
    wait_s = min(MAX_BACKOFF_S, 0.5 * 2 ** min(attempts, 10)) * (1 + random.random() / 10)
    db.execute(
        f"UPDATE {TABLE} SET status = %s, attempts = %s, error_reason = %s, error = %s,"
        f" next_retry_at = now() + make_interval(secs => %s), {FREE} WHERE id = %s AND owner = %s",
        (status, attempts, reason, error, wait_s if status == "pending" else None, row_id, ME),
    )


def poll(db):
    """Claim and work once; whether there was anything to do."""
    values = db.execute(BACKLOG).fetchone()
    names = ("lag_events", "oldest_age_seconds", "inflight_events", "stuck_processing_events")
    for name, value in zip(names, values, strict=True):
        GAUGES[f'outbox_{name}{{projection="{PROJECTION}"}}'] = value
    db.execute(RECLAIM)
    size = int(ENV.get("OUTBOX_BATCH_SIZE") or ENV.get("OUTBOX_BULK_SIZE") or 100)
    rows = db.execute(CLAIM, (ME, LEASE_S, size)).fetchall()
    event("outbox.claim_batch", batch_size=size, claimed=len(rows))
    if rows:
        ends = [handle(db, row) for row in rows]
        result = next((r for r in ("failed", "retry") if r in {e[0] for e in ends}), "ok")
        reasons = {reason for _, reason in ends if reason != "none"} or {"none"}
        reason = reasons.pop() if len(reasons) == 1 else "mixed"
        event("projection.process_batch", batch_size=len(rows), result=result, reason=reason)
    return bool(rows)


def main():
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=ENV.get("LOG_LEVEL", "INFO"), handlers=[handler])
    sys.stderr.write("[OK] a line that is no JSON, as old workers print\n")
    dsn = ENV["DATABASE_URL"].replace("postgresql+psycopg://", "postgresql://")
    port = int(ENV["OUTBOX_METRICS_PORT"])
    is_served = False
    while True:
        try:
            with psycopg.connect(dsn, autocommit=True, application_name=ME) as db:
                while True:
                    is_busy = poll(db)
                    if not is_served:
                        server = ThreadingHTTPServer(("127.0.0.1", port), Metrics)
                        threading.Thread(target=server.serve_forever, daemon=True).start()
                        is_served = True
                    if not is_busy:
                        time.sleep(float(ENV.get("OUTBOX_POLL_INTERVAL_SECONDS", "1")))
        except psycopg.Error:
            LOG.exception("database trouble")
            time.sleep(1)


if __name__ == "__main__":
    main()
