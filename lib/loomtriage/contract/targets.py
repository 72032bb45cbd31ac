"""Targets: which processes Prometheus scrapes, on which port, and how is each brought back?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TARGET_LABELS = ("job", "instance", "env", "component")
"""Labels that the scrape configuration puts on every series."""
JOB_PREFIX = "wordloom-"
RELOAD = "curl -X POST http://localhost:9090/-/reload"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One process that answers `/metrics`.

    Attributes:
        name: what a person calls it.
        component: value of the `component` label.
        start: what brings it up; `{port}` stands for the port that is scraped.
        optional: why it may be down in peace, empty when it may not.
    """

    name: str
    component: str
    start: str
    optional: str = ""


_API = Target(
    name="API",
    component="api",
    start="Start the API on port {port}",
    optional="the API listens on one port of its job",
)
_SEARCH = Target(
    name="search worker",
    component="worker",
    start="Start the search worker with OUTBOX_METRICS_PORT={port}",
)
_CHRONICLE = Target(
    name="chronicle worker",
    component="worker",
    start="Start the chronicle worker with OUTBOX_METRICS_PORT={port}",
)
_DRILL = Target(
    name="worker of a drill",
    component="worker",
    start="Nothing to do: it is up while a drill runs",
    optional="it is up only while a drill runs",
)

BY_PORT: Mapping[int, Target] = MappingProxyType(
    {
        8000: _API,
        30001: _API,
        30011: _API,
        9108: _SEARCH,
        9109: _SEARCH,
        9110: _CHRONICLE,
        9129: _DRILL,
    }
)
"""The documented ports; a lab on free ports is told by its jobs."""

DRILL_JOB = "wordloom-drill"
"""Job of workers that are up only while a drill runs; no alert misses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeJob:
    """One job of Prometheus; every port belongs to one job, and so to one environment.

    Attributes:
        job: its name.
        env, component: the static labels of its series.
        ports: on the host where the application runs.
    """

    job: str
    env: str
    component: str
    ports: tuple[int, ...]


SCRAPED: tuple[ScrapeJob, ...] = (
    ScrapeJob(job="wordloom-api-dev", env="dev", component="api", ports=(8000, 30001)),
    ScrapeJob(job="wordloom-worker-dev", env="dev", component="worker", ports=(9108, 9110)),
    ScrapeJob(job="wordloom-api-test", env="test", component="api", ports=(30011,)),
    ScrapeJob(job="wordloom-worker-test", env="test", component="worker", ports=(9109,)),
    ScrapeJob(
        job=DRILL_JOB,
        env="drill",
        component="worker",
        ports=(9126, 9127, 9129, 19110, 19111, 19128, 19129, 19130),
    ),
)


def target_of(*, job: str, component: str, instance: str) -> Target:
    """The process behind a target: by its documented port, else by job and component."""
    if job == DRILL_JOB:
        return _DRILL
    known = BY_PORT.get(port_of(instance))
    if known is not None:
        return known
    if component == "api" or job.startswith(f"{JOB_PREFIX}api"):
        return _API
    return _CHRONICLE if job.startswith(f"{JOB_PREFIX}chronicle") else _SEARCH


def port_of(instance: str) -> int:
    """Port of `host:port`, 0 when it names none."""
    tail = instance.rpartition(":")[2]
    return int(tail) if tail.isascii() and tail.isdigit() else 0
