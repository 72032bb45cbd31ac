"""The load: steady, bounded, and honest about what was refused."""

from __future__ import annotations

import secrets

import httpx
import pytest

from loomtriage.errors import UsageError
from loomtriage.lab.load import Load, WritePlan
from tests.lab.pipeline import Bench, database, skip_without_server
from tests.lab.services import free_ports, service, until


def _draws(count, **settings):
    plan = WritePlan(**settings)
    return [plan.draw() for _ in range(count)]


def test_a_seed_draws_the_same_writes():
    """Two runs of one seed send the same writes; another seed sends others."""
    settings = {"ops": ("upsert", "delete"), "seed": 7}
    assert _draws(50, **settings) == _draws(50, **settings)
    assert _draws(50, **settings) != _draws(50, ops=("upsert", "delete"), seed=8)


def test_only_what_was_made_is_deleted_and_only_once():
    """A delete takes a block that an earlier write made and that is still there."""
    alive = set()
    for write in _draws(500, ops=("upsert", "delete", "delete"), seed=1):
        if write.op == "delete":
            alive.remove(write.entity_id)
        else:
            alive.add(write.entity_id)


@pytest.mark.parametrize("settings", [{"per_s": 0}, {"per_s": -1}, {"per_s": 5, "ops": ("drop",)}])
def test_senseless_load_is_refused(settings):
    """A rate or op that makes no sense is refused before a thread starts."""
    with pytest.raises(UsageError):
        Load("http://127.0.0.1:1", **settings)


def test_unanswered_writes_are_refused_ones():
    """When nobody listens, every write counts as refused, and none is remembered as written."""
    with Load(f"http://127.0.0.1:{free_ports(1)[0]}", per_s=200) as load:
        until(lambda: load.counts().refused >= 3, "a refusal")
    counts = load.counts()
    assert (counts.accepted, counts.sent) == (0, counts.refused)
    assert load.correlation_ids() == ()


def test_load_ends_by_itself():
    """A forgotten load stops when its time is over."""
    load = Load(f"http://127.0.0.1:{free_ports(1)[0]}", per_s=100, max_s=0.05)
    load.start()
    until(lambda: not load.is_running, "the end")
    assert load.stop() == load.stop()


def test_load_that_never_began_can_be_stopped():
    """Stop is harmless before start."""
    assert Load("http://127.0.0.1:1", per_s=1).stop().sent == 0


@pytest.mark.lab
def test_writes_arrive_with_their_ids_and_pause_when_told():
    """Every accepted write is an outbox row that carries its correlation id; a pause is a pause."""
    with skip_without_server(), database() as dsn:
        (port,) = free_ports(1)
        env = {
            "LAB_PORT": str(port),
            "DATABASE_URL": dsn.replace("postgresql://", "postgresql+psycopg://"),
            "WORDLOOM_ENV": "sandbox",
            "OTEL_SDK_DISABLED": "true",
        }
        url = f"http://127.0.0.1:{port}"
        with service("api", env, f"{url}/healthz"):
            load = Load(url, per_s=200, ops=("upsert", "delete"), seed=secrets.randbelow(1000))
            load.start()
            until(lambda: load.accepted >= 20, "20 writes")
            load.pause()
            until(lambda: load.counts() == load.counts(), "rest")
            counts = load.stop()
            metrics = httpx.get(f"{url}/metrics", trust_env=False).text
        rows = Bench.rows_of(dsn)
    ids = {row["tracestate"].removeprefix("wordloom=") for row in rows}
    assert counts.accepted == len(rows) == len(ids)
    assert set(load.correlation_ids()) <= ids
    made = [line for line in metrics.splitlines() if line.startswith("outbox_produced_total{")]
    assert sum(float(line.split()[-1]) for line in made) == counts.accepted
