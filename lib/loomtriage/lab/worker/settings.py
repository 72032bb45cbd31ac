"""Worker settings: what the search worker reads beside what every outbox worker does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loomtriage.lab.outbox.settings import Defaults, OutboxSettings, flag, read_outbox

DEFAULTS = Defaults(metrics_port=9108, batch_size=100, poll_s=1.0, max_backoff_s=30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """One search worker's settings.

    Attributes:
        outbox: what every outbox worker has.
        is_bulk: send bulk requests instead of one request a row.
        is_es_required: /readyz asks Elasticsearch too.
    """

    outbox: OutboxSettings
    elastic_url: str
    index: str
    is_bulk: bool
    is_es_required: bool


def read_settings(env: Mapping[str, str]) -> WorkerSettings:
    """The settings in an environment.

    Raises:
        UsageError: a variable is missing or is not what it should be.
    """
    return WorkerSettings(
        outbox=read_outbox(env, DEFAULTS),
        elastic_url=env.get("ELASTIC_URL") or "http://localhost:9200",
        index=env.get("ELASTIC_INDEX") or "wordloom-search-index",
        is_bulk=flag(env, "OUTBOX_USE_ES_BULK"),
        is_es_required=flag(env, "OUTBOX_REQUIRE_ES_READY"),
    )
