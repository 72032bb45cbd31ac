"""Worker parts: how a search worker is put together; nothing is started here."""

from __future__ import annotations

import logging

import httpx

from loomtriage.contract.keys import SEARCH
from loomtriage.lab.outbox.assembly import (
    Projection,
    Signals,
    build_desk,
    build_runtime,
    build_taker,
    build_upkeep,
)
from loomtriage.lab.outbox.loop import Worker
from loomtriage.lab.outbox.per_event import PerEvent
from loomtriage.lab.telemetry.jsonlog import EventLog, one_line
from loomtriage.lab.worker.bulk import Bulk
from loomtriage.lab.worker.documents import Documents
from loomtriage.lab.worker.es_client import ElasticClient
from loomtriage.lab.worker.projection import search_attempt
from loomtriage.lab.worker.settings import WorkerSettings

INDEX_CHECK_S = 5.0


def build_worker(settings: WorkerSettings, *, elastic: ElasticClient, signals: Signals) -> Worker:
    """Join the parts of a search worker."""
    own, projection = settings.outbox, _projection(settings.index)
    runtime = build_runtime(
        own,
        projection,
        ping_target=(lambda: elastic.ping(1.0)) if settings.is_es_required else (lambda: ""),
    )
    desk = build_desk(own, projection, runtime=runtime, signals=signals)
    documents = Documents(desk=desk, elastic=elastic)
    per_event = PerEvent(desk, search_attempt(documents), concurrency=own.concurrency)
    return Worker(
        settings=own,
        runtime=runtime,
        taker=build_taker(own, desk, signals=signals),
        desk=desk,
        upkeep=build_upkeep(own, desk, runtime=runtime, signals=signals),
        meters=signals.meters,
        process=Bulk(documents, signals.meters).process if settings.is_bulk else per_event.process,
        side_jobs={
            "index": (INDEX_CHECK_S, lambda: _ensure_index(elastic, settings.index, signals.log))
        },
        close_target=elastic.close,
    )


def _projection(index: str) -> Projection:
    return Projection(
        name=SEARCH, tracer="wordloom.search_outbox_worker", marks={"wordloom.es_index": index}
    )


def _ensure_index(elastic: ElasticClient, index: str, log: EventLog) -> None:
    try:
        is_new = elastic.ensure_index()
    except httpx.HTTPError as error:
        # Elasticsearch being away is told by the rows; here it only delays a new index.
        log.emit(logging.DEBUG, "outbox.index_unknown", error=one_line(error))
        return
    if is_new:
        log.emit(logging.INFO, "outbox.index_made", es_index=index)
