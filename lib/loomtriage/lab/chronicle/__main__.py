"""Chronicle worker: carries events to chronicle entries until it is told to stop.

Run as `python -m loomtriage.lab.chronicle` with Wordloom's environment variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from loomtriage.contract.keys import CHRONICLE
from loomtriage.contract.spans import CHRONICLE_SERVICE
from loomtriage.lab.chronicle.parts import build_chronicle
from loomtriage.lab.chronicle.settings import read_settings
from loomtriage.lab.outbox.process import announce, checked_env, main, open_signals, run_to_end
from loomtriage.lab.telemetry.jsonlog import start_logging
from loomtriage.lab.telemetry.meters import WORKER_METRICS, warm_worker


def run_chronicle(env: Mapping[str, str]) -> None:
    """Run one chronicle worker to its end.

    Raises:
        TriageError: it could not start.
    """
    settings = read_settings(env)
    start_logging(settings.outbox.log_level)
    settings = replace(settings, outbox=checked_env(settings.outbox))
    signals = open_signals(
        env,
        settings.outbox,
        service=CHRONICLE_SERVICE,
        projection=CHRONICLE,
        metrics=WORKER_METRICS,
    )
    # On spans, log lines and rows, and never on a metric: a label would split every series.
    log = signals.log.bind(projection_version=settings.projection_version)
    signals = replace(signals, log=log)
    warm_worker(signals.meters, ops=("upsert",))
    worker = build_chronicle(settings, signals=signals)
    announce(signals.log, settings.outbox, mode="per_event")
    run_to_end(worker, signals)


if __name__ == "__main__":
    main(run_chronicle)
