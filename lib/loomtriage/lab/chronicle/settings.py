"""Chronicle settings: what the chronicle worker reads beside what every outbox worker does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loomtriage.lab.outbox.settings import Defaults, OutboxSettings, number, read_outbox

DEFAULTS = Defaults(metrics_port=9110, batch_size=50, poll_s=0.2, max_backoff_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChronicleSettings:
    """One chronicle worker's settings.

    Attributes:
        outbox: what every outbox worker has.
        projection_version: version of the rule that makes entries, written with each of them.
    """

    outbox: OutboxSettings
    projection_version: int


def read_settings(env: Mapping[str, str]) -> ChronicleSettings:
    """The settings in an environment.

    Raises:
        UsageError: a variable is missing or is not what it should be.
    """
    name = "CHRONICLE_PROJECTION_VERSION"
    if not env.get(name):
        name = "OUTBOX_PROJECTION_VERSION"
    return ChronicleSettings(
        outbox=read_outbox(env, DEFAULTS),
        projection_version=int(number(env, name, 1, least=1)),
    )
