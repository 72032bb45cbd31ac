"""Told: what did the earlier stages of this investigation find?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loomtriage.case import Case
from loomtriage.errors import BundleDamaged
from loomtriage.model import Finding, Scope, Verdict
from loomtriage.stages import PATH, STAGES
from loomtriage.stages.result import load_verdict

CONCLUDES = "explain"
"""The stage without whose result there is nothing to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The earlier stages, as far as an incident report needs them.

    Attributes:
        verdicts: by stage, in the order of the path.
        conclusion: the cause block of the explain stage, empty when it left none.
        left: what the stages handed over, by key.
        caveats: stated limits that the stages named.
    """

    verdicts: Mapping[str, Verdict]
    conclusion: Mapping[str, object]
    left: Mapping[str, object]
    caveats: tuple[str, ...]

    def findings(self, check: str) -> tuple[Finding, ...]:
        """All findings of one check."""
        return tuple(f for v in self.verdicts.values() for f in v.findings if f.check == check)

    def text(self, key: str) -> str:
        """One handed-over value as text, empty when there is none."""
        value = self.left.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """One handed-over list as texts, empty when there is none."""
        value = self.left.get(key)
        return tuple(map(str, value)) if isinstance(value, list) else ()


def tell(case: Case) -> Told:
    """The stages' results out of the run folder; by hand, without one, the path is played here.

    Raises:
        BundleDamaged: a result in the run folder is none.
    """
    folder = case.folder / "stages" if case.folder else None
    if folder is not None and (folder / f"{CONCLUDES}.json").is_file():
        return _read(case, folder)
    return _play(case)


def _read(case: Case, folder: Path) -> Told:
    contents = {name: _content(folder / f"{name}.json") for name in PATH}
    there = {name: content for name, content in contents.items() if content}
    caveats = [str(text) for content in there.values() for text in content["caveats"]]
    conclusion = there.get(CONCLUDES, {}).get("conclusion", {})
    return Told(
        verdicts={name: load_verdict(content["verdict"]) for name, content in there.items()},
        conclusion=conclusion,
        left=case.handover,
        caveats=tuple(dict.fromkeys(caveats)),
    )


def _play(case: Case) -> Told:
    left: dict[str, object] = {}
    results = {}
    for name in PATH:
        scope = left.get("scope")
        opened = replace(
            case,
            stage=name,
            folder=None,
            handover=dict(left),
            scope=Scope(**scope) if isinstance(scope, dict) else case.asked,
        )
        results[name] = STAGES.get(name, noun="stage")(opened)
        left.update(results[name].handover)
    caveats = [text for result in results.values() for text in result.caveats]
    return Told(
        verdicts={name: result.verdict for name, result in results.items()},
        conclusion=results[CONCLUDES].conclusion,
        left=left,
        caveats=tuple(dict.fromkeys(caveats)),
    )


def _content(path: Path) -> dict:  # type: ignore[type-arg]  # our own file, read key by key
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
        return {**content, "verdict": content["verdict"], "caveats": list(content["caveats"])}
    except (ValueError, TypeError, KeyError):
        raise BundleDamaged(
            f"stages/{path.name} is no stage's result.", hint="Run the path again."
        ) from None
