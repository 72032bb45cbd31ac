"""Search worker: carries outbox rows to Elasticsearch until it is told to stop.

Run as `python -m loomtriage.lab.worker` with Wordloom's environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loomtriage.contract.keys import SEARCH
from loomtriage.contract.spans import SEARCH_SERVICE
from loomtriage.lab.outbox.process import announce, checked_env, main, open_signals, run_to_end
from loomtriage.lab.telemetry.jsonlog import start_logging
from loomtriage.lab.telemetry.meters import BULK_METRICS, WORKER_METRICS, warm_bulk, warm_worker
from loomtriage.lab.worker.es_client import ElasticClient
from loomtriage.lab.worker.parts import build_worker
from loomtriage.lab.worker.settings import read_settings


def run_worker(env: Mapping[str, str]) -> None:
    """Run one search worker to its end.

    Raises:
        TriageError: it could not start.
    """
    settings = read_settings(env)
    start_logging(settings.outbox.log_level)
    settings = replace(settings, outbox=checked_env(settings.outbox))
    signals = open_signals(
        env,
        settings.outbox,
        service=SEARCH_SERVICE,
        projection=SEARCH,
        metrics=(*WORKER_METRICS, *BULK_METRICS),
    )
    warm_worker(signals.meters)
    warm_bulk(signals.meters)
    elastic = ElasticClient(settings.elastic_url, settings.index, provider=signals.provider)
    worker = build_worker(settings, elastic=elastic, signals=signals)
    announce(
        signals.log,
        settings.outbox,
        elastic=settings.elastic_url,
        es_index=settings.index,
        mode="es_bulk" if settings.is_bulk else "per_event",
    )
    run_to_end(worker, signals)


if __name__ == "__main__":
    main(run_worker)
