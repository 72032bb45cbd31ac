"""API as a process: `python -m loomtriage.lab.api`, until SIGTERM.

Its environment: LAB_PORT, DATABASE_URL, WORDLOOM_ENV and OTEL_*.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping

import psycopg

from loomtriage.contract.spans import API_SERVICE
from loomtriage.errors import SourceUnavailable, TriageError
from loomtriage.lab.api.app import API_METRICS, build_api, warm_api
from loomtriage.lab.db_sessions import Sessions, guard_environment, plain_dsn, shown_dsn
from loomtriage.lab.serving import Endpoint, env_port, serve
from loomtriage.lab.telemetry.jsonlog import EventLog, start_logging
from loomtriage.lab.telemetry.meters import Meters
from loomtriage.lab.telemetry.tracing import plan_tracing, start_tracing


def run_api(env: Mapping[str, str]) -> None:
    """Serve until SIGTERM.

    Raises:
        TriageError: it could not start.
    """
    port = env_port("LAB_PORT")
    dsn = plain_dsn(env.get("DATABASE_URL", ""))
    sessions = Sessions(dsn, name=API_SERVICE)
    try:
        lab_env = guard_environment(sessions, wanted=env.get("WORDLOOM_ENV", "").strip())
    except psycopg.OperationalError as error:
        raise SourceUnavailable(
            f"The database at {shown_dsn(dsn)} does not answer.",
            hint="Start it, or correct DATABASE_URL.",
        ) from error
    log = EventLog(logger=logging.getLogger("loomtriage.lab.api"), bound={"env": lab_env})
    meters = Meters(API_METRICS, bound={"projection": ""})
    warm_api(meters)
    provider = start_tracing(
        plan_tracing(env, service=API_SERVICE),
        resource={"wordloom.env": lab_env, "service.instance.id": f"{API_SERVICE}:{port}"},
        log=log.bind(layer="startup"),
        count_loss=lambda: meters.add("trace_export_failures"),
    )
    app = build_api(sessions, provider=provider, meters=meters, log=log)
    log.emit(logging.INFO, "api.starting", layer="startup", database=shown_dsn(dsn), port=port)
    try:
        asyncio.run(serve([Endpoint(app=app, port=port)]))
    finally:
        sessions.close()
        provider.shutdown()


def main() -> None:
    """Run with this process's environment; a refusal is one log line and its exit code."""
    start_logging(os.environ.get("LOG_LEVEL", "INFO"))
    try:
        run_api(os.environ)
    except TriageError as error:
        logging.getLogger("loomtriage.lab.api").error("%s", error)  # noqa: TRY400  it says all
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
