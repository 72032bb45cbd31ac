"""Which services make up a lab: one table, one entry for each."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from loomtriage.errors import TriageError
from loomtriage.lab.index import TOLERANT
from loomtriage.lab.servers import alertmanager, postgres, prometheus
from loomtriage.lab.servers.accounts import Account
from loomtriage.lab.state import ENV, INDEX, OWNER_ROLE, database_url
from loomtriage.lab.supervisor.plan import Plan

PLAIN: Mapping[str, str] = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "PYTHONUNBUFFERED": "1",
}


def _nothing() -> None:
    return None


def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One service.

    Attributes:
        name: of the service and of its log.
        argv: how it is started.
        env: all environment variables that it gets.
        ports: what it listens on; the first is the one that is shown.
        after: services that must be ready before it starts.
        ready: does it answer?
        furnish: what is done once, when it first answers.
        stop_signal: asks it to end.
        account: whom it runs as, None for us.
        folder: where it runs, None for the lab's folder.
        is_spare: starts only when it is ordered, and counts as missing never.
        scraped: how Prometheus comes to scrape a spare service, empty for the others.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ports: tuple[int, ...] = ()
    after: tuple[str, ...] = ()
    ready: Callable[[], bool] = _at_once
    furnish: Callable[[], None] = _nothing
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    folder: Path | None = None
    is_spare: bool = False
    scraped: str = ""


def children(plan: Plan) -> tuple[Child, ...]:
    """All services of a lab, in the order in which they start."""
    port = plan.ports
    dsn = database_url(
        port["postgres"], role=OWNER_ROLE, token=plan.token, scheme="postgresql+psycopg"
    )
    app = {"DATABASE_URL": dsn, "WORDLOOM_ENV": ENV, "LOG_LEVEL": "INFO"}
    table = (
        # Prometheus comes first although it needs the others' samples: it is slow to its first.
        _prometheus(plan),
        *_alertmanager(plan),
        _postgres(plan),
        _elastic(plan),
        _proxy(plan),
        _otlp(plan),
        _python("api", (port["api"],), {**app, **_tracing(plan, "wordloom-api")}, after=_API_NEEDS),
        _worker(plan, app, name="worker"),
        _worker(plan, app, name="worker-2"),
        _chronicle(plan, app),
    )
    if plan.load_per_s <= 0:
        return table
    load = {"LAB_API_URL": f"http://127.0.0.1:{port['api']}", "LAB_PER_S": f"{plan.load_per_s:g}"}
    return (*table, _python("load", (), load, after=("api", "worker", "chronicle")))


_API_NEEDS = ("postgres", "otlp", "proxy")
_WORKER_NEEDS = (*_API_NEEDS, "elastic")


def _postgres(plan: Plan) -> Child:
    port = plan.ports["postgres"]
    return Child(
        name="postgres",
        argv=postgres.command(plan.server, data=plan.data / "postgres", port=port),
        env=postgres.ENVIRONMENT,
        ports=(port,),
        ready=partial(postgres.accepts, port, token=plan.token),
        furnish=partial(postgres.furnish, port, token=plan.token, lab_id=plan.lab_id),
        # Fast shutdown: it does not wait for its clients, which may be gone.
        stop_signal=signal.SIGINT,
        account=plan.server.account,
    )


def _prometheus(plan: Plan) -> Child:
    port = plan.ports["prometheus"]
    return Child(
        name="prometheus",
        argv=prometheus.command(
            plan.prometheus,
            config=plan.root / "prometheus.yml",
            data=plan.data / "prometheus",
            port=port,
        ),
        env=PLAIN,
        ports=(port,),
        ready=partial(prometheus.has_samples, port),
    )


def _elastic(plan: Plan) -> Child:
    port = plan.ports["elastic_direct"]
    ours = _python("elastic", (port,), _secrets(plan))
    # Our worker creates its index; somebody else's finds it, as it does elsewhere.
    return replace(ours, furnish=partial(_make_index, port)) if plan.worker_cmd else ours


def _make_index(port: int) -> None:
    status: object
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        body = json.dumps({"mappings": dict(TOLERANT)})
        connection.request("PUT", f"/{INDEX}", body, {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        status = type(error).__name__
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise TriageError(
            f"The index {INDEX} cannot be created in the lab: {status}.",
            hint="Look at the log of elastic.",
        )


def _alertmanager(plan: Plan) -> tuple[Child, ...]:
    """There only when somebody wants to hear of alerts."""
    if plan.alertmanager is None:
        return ()
    port = plan.ports[alertmanager.PORT]
    argv = alertmanager.command(
        plan.alertmanager,
        config=plan.root / alertmanager.CONFIG,
        data=plan.data / "alertmanager",
        port=port,
    )
    ready = partial(answers, port, "/-/ready")
    folder = alertmanager.templates_of(plan.alertmanager)
    own = Child(
        name="alertmanager", argv=argv, env=PLAIN, ports=(port,), ready=ready, folder=folder
    )
    return (own,)


def _proxy(plan: Plan) -> Child:
    port = plan.ports
    own = {
        "LAB_ADMIN_PORT": str(port["proxy_admin"]),
        "LAB_PORT": str(port["elastic"]),
        "LAB_TARGET_PORT": str(port["elastic_direct"]),
        "LAB_OTLP_PORT": str(port["otlp_http"]),
        "LAB_OTLP_TARGET_PORT": str(port["otlp_http_direct"]),
    }
    ports = (port["proxy_admin"], port["elastic"], port["otlp_http"])
    return _python("proxy", ports, {**_secrets(plan), **own})


def _otlp(plan: Plan) -> Child:
    port = plan.ports
    own = {
        "LAB_OTLP_HTTP_PORT": str(port["otlp_http_direct"]),
        "LAB_OTLP_GRPC_PORT": str(port["otlp_grpc"]),
        "LAB_DATA": str(plan.data / "otlp"),
    }
    return _python("otlp", (port["jaeger"], port["otlp_http_direct"], port["otlp_grpc"]), own)


def _worker(plan: Plan, app: Mapping[str, str], *, name: str) -> Child:
    """A search worker; the one that is not the first is there for drills that need two."""
    is_first, port = name == "worker", plan.ports
    key = name.replace("-", "_")
    metrics, http = port[key], port[f"{key}_http"]
    own = {
        "ELASTIC_URL": f"http://127.0.0.1:{port['elastic']}",
        "ELASTIC_INDEX": INDEX,
        "OUTBOX_POLL_INTERVAL_SECONDS": "0.2",
        **_HASTE,
        **plan.worker_env,
        "OUTBOX_METRICS_PORT": str(metrics),
        "OUTBOX_HTTP_PORT": str(http),
        # Wordloom's default is the machine's name, which has no place in evidence.
        "OUTBOX_WORKER_ID": "worker-1" if is_first else name,
    }
    env = {**app, **_tracing(plan, "wordloom-search-outbox-worker"), **own}
    ours = replace(
        _python("worker", (http, metrics), env, after=_WORKER_NEEDS),
        name=name,
        is_spare=not is_first,
        scraped="" if is_first else prometheus.spare_target(metrics),
    )
    if not plan.worker_cmd:
        return ours
    # Somebody else's worker need not answer anything but scrapes.
    return replace(
        ours,
        argv=plan.worker_cmd,
        folder=plan.folder,
        ports=(metrics, http),
        ready=partial(answers, metrics, "/metrics"),
    )


def _chronicle(plan: Plan, app: Mapping[str, str]) -> Child:
    port = plan.ports
    own = {
        "OUTBOX_METRICS_PORT": str(port["chronicle"]),
        "OUTBOX_HTTP_PORT": str(port["chronicle_http"]),
        "OUTBOX_WORKER_ID": "chronicle-1",
        **_HASTE,
    }
    env = {**app, **_tracing(plan, "wordloom-chronicle-outbox-worker"), **own}
    ports = (port["chronicle_http"], port["chronicle"])
    return _python("chronicle", ports, env, after=_API_NEEDS)


# A drill lasts seconds, so waits are seconds too: rows drain soon after a fault is gone.
_HASTE: Mapping[str, str] = {
    "OUTBOX_LEASE_SECONDS": "5",
    "OUTBOX_RECLAIM_INTERVAL_SECONDS": "1",
    "OUTBOX_MAX_BACKOFF_SECONDS": "4",
}


def _secrets(plan: Plan) -> Mapping[str, str]:
    return {"LAB_TOKEN": plan.token, "LAB_ID": plan.lab_id}


def _tracing(plan: Plan, service: str) -> Mapping[str, str]:
    return {
        "WORDLOOM_TRACING_ENABLED": "1",
        "OTEL_SERVICE_NAME": service,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{plan.ports['otlp_http']}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_SAMPLER": "parentbased_always_on",
        # A stack of an exception event is in the log; thousands of copies in spans help nobody.
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "400",
    }


def _python(
    name: str, ports: tuple[int, ...], env: Mapping[str, str], *, after: tuple[str, ...] = ()
) -> Child:
    """One of our own services: `python -m loomtriage.lab.<name>`, healthy on its first port."""
    default = {"LAB_PORT": str(ports[0])} if ports else {}
    return Child(
        name=name,
        argv=(sys.executable, "-m", f"loomtriage.lab.{name}"),
        env={**PLAIN, **default, **env},
        ports=ports,
        after=after,
        ready=partial(answers, ports[0], "/healthz") if ports else _at_once,
    )


def answers(port: int, path: str) -> bool:
    """Is a GET of this path answered with 200?"""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
