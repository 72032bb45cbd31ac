"""Stages: short stories of pull, check, judge, show; one page of triage each."""

from __future__ import annotations

from collections.abc import Callable

from loomtriage.model.collect import Collection, collect
from loomtriage.stages.result import StageResult

STAGES: Collection[Callable[..., StageResult]] = collect(
    "loomtriage.stages",
    "preflight",
    "narrow",
    "locate",
    "explain",
    attribute="{name}",
    kind=object,
)
"""In the order of the path."""

__all__ = ["STAGES", "StageResult"]
