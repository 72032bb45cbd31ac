"""Failure triage for an outbox-to-Elasticsearch pipeline, stage by stage.

The public names; each is imported on first use so that `import loomtriage` stays instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loomtriage.case import open_case
    from loomtriage.drills.show import show_drill
    from loomtriage.model import Scope, Window
    from loomtriage.pivoting import pivot
    from loomtriage.stages.close import close
    from loomtriage.stages.conform import conform
    from loomtriage.stages.explain import explain
    from loomtriage.stages.incident import incident
    from loomtriage.stages.locate import locate
    from loomtriage.stages.narrow import narrow
    from loomtriage.stages.preflight import preflight
    from loomtriage.stages.retries import retries
    from loomtriage.train.answers import Answers
    from loomtriage.train.scoreboard import scoreboard
    from loomtriage.train.trainee import open_round

_HOMES = {
    "open_case": "loomtriage.case",
    "preflight": "loomtriage.stages.preflight",
    "conform": "loomtriage.stages.conform",
    "narrow": "loomtriage.stages.narrow",
    "locate": "loomtriage.stages.locate",
    "explain": "loomtriage.stages.explain",
    "retries": "loomtriage.stages.retries",
    "close": "loomtriage.stages.close",
    "incident": "loomtriage.stages.incident",
    "pivot": "loomtriage.pivoting",
    "show_drill": "loomtriage.drills.show",
    "open_round": "loomtriage.train.trainee",
    "Answers": "loomtriage.train.answers",
    "scoreboard": "loomtriage.train.scoreboard",
    "Window": "loomtriage.model",
    "Scope": "loomtriage.model",
}

__all__ = [
    "Answers",
    "Scope",
    "Window",
    "close",
    "conform",
    "explain",
    "incident",
    "locate",
    "narrow",
    "open_case",
    "open_round",
    "pivot",
    "preflight",
    "retries",
    "scoreboard",
    "show_drill",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'loomtriage' has no attribute {name!r}")
