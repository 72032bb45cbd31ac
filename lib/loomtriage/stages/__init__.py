"""Stages: short stories of pull, check, judge, show; one page of triage each."""

from __future__ import annotations

from collections.abc import Callable

from loomtriage.model.collect import Collection, collect
from loomtriage.stages.result import StageResult

STAGES: Collection[Callable[..., StageResult]] = collect(
    "loomtriage.stages",
    "preflight",
    "conform",
    "narrow",
    "locate",
    "explain",
    "retries",
    "close",
    "incident",
    attribute="{name}",
    kind=object,
)
"""In the order of their notebooks."""

ASIDE = frozenset({"conform", "incident"})
"""Stages that are run by name only: they look for no cause."""

PATH = tuple(name for name in STAGES.names if name not in ASIDE)
"""The fixed path, in its order."""


def steps_to(stage: str) -> tuple[str, ...]:
    """The stages that a run of one stage takes: the path up to it, or a stage aside by itself.

    Raises:
        UsageError: there is no such stage.
    """
    STAGES.get(stage, noun="stage")
    return (stage,) if stage in ASIDE else PATH[: PATH.index(stage) + 1]


__all__ = ["ASIDE", "PATH", "STAGES", "StageResult", "steps_to"]
