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
    from loomtriage.stages.conform import conform
    from loomtriage.stages.explain import explain
    from loomtriage.stages.locate import locate
    from loomtriage.stages.narrow import narrow
    from loomtriage.stages.preflight import preflight

_HOMES = {
    "open_case": "loomtriage.case",
    "preflight": "loomtriage.stages.preflight",
    "conform": "loomtriage.stages.conform",
    "narrow": "loomtriage.stages.narrow",
    "locate": "loomtriage.stages.locate",
    "explain": "loomtriage.stages.explain",
    "pivot": "loomtriage.pivoting",
    "show_drill": "loomtriage.drills.show",
    "Window": "loomtriage.model",
    "Scope": "loomtriage.model",
}

__all__ = [
    "Scope",
    "Window",
    "conform",
    "explain",
    "locate",
    "narrow",
    "open_case",
    "pivot",
    "preflight",
    "show_drill",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'loomtriage' has no attribute {name!r}")
