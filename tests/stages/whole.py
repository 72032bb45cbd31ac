"""The path without notebooks: stage functions in order, in this process."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from loomtriage.case import Case, open_case
from loomtriage.evidence import Evidence
from loomtriage.runner.path import read_section
from loomtriage.runner.verdict import build_verdict
from loomtriage.settings import shipped
from loomtriage.stages import PATH, STAGES

EXAMPLES = shipped("runbooks/examples")


@cache
def verdict_of(source: str, without: tuple[str, ...] = ()) -> Mapping[str, object]:
    """`verdict.json` of a source that does not change, worked out once; it is only to be read."""
    with TemporaryDirectory() as folder:
        return triage(source, Path(folder), without=without)


def triage(source: str, folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, object]:
    """`verdict.json` of a source, with some of its signals taken away; no chart is drawn."""
    case = blind(open_case("path", source=source, handover=str(folder)), without)
    sections = []
    for stage in PATH:
        opened = open_case(stage, source=source, handover=str(folder))
        STAGES.get(stage, noun="stage")(replace(blind(opened, without), pictures=False))
        sections.append(read_section(folder, stage, None, seconds=0.0))
    return build_verdict(case, folder, tuple(sections))


def blind(case: Case, without: tuple[str, ...]) -> Case:
    """The same case with some sources not configured."""
    gone = dict.fromkeys(without)
    evidence: Evidence = case.evidence
    return replace(case, evidence=replace(evidence, sources=replace(evidence.sources, **gone)))


def copy_example(name: str, target: Path) -> Path:
    """A private copy of an example, to be damaged."""
    shutil.copytree(EXAMPLES / name, target / name)
    return target / name
