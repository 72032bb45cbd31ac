"""Result: what did a drill come to, and why?

A drill that proved nothing is NO_DATA, whatever its numbers look like: no witness, no work done,
a source missing. A lab that was not restored is BAD all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loomtriage.errors import Exit
from loomtriage.model import Finding, Scope, State
from loomtriage.model.verdict import EXIT_OF_STATE, worst

RESULT_FILE = "drill.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageAnswer:
    """What the triage said; it was given two windows and nothing else."""

    cause: str
    state: State
    scope: Scope = field(default_factory=Scope)
    step: Mapping[str, str] = field(default_factory=dict)
    headline: str = ""

    def as_json(self) -> dict[str, object]:
        """The form that a drill's result keeps."""
        return {
            "cause": self.cause,
            "state": self.state.value,
            "scope": self.scope.as_json(),
            "step": dict(self.step),
            "headline": self.headline,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase: its name, when it began (ISO, UTC), and how many seconds it took."""

    name: str
    at: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillResult:
    """What a drill came to.

    Attributes:
        expectations: expectations first, then the harness's own checks.
        witness: independent proofs that the fault stood.
        restored: whether the lab is what it was.
        start_digest, end_digest: SHA-256 over the lab at rest, empty where it was not taken.
        interrupted: name of the Unix signal that ended it early, empty if none.
    """

    id: str
    title: str
    state: State
    says: str
    expectations: tuple[Finding, ...] = ()
    witness: tuple[str, ...] = ()
    restored: bool = False
    start_digest: str = ""
    end_digest: str = ""
    phases: tuple[Phase, ...] = ()
    notes: tuple[str, ...] = ()
    triage: TriageAnswer | None = None
    seed: int = 0
    interrupted: str = ""

    @property
    def exit_code(self) -> Exit:
        """Exit code of the command that performed it."""
        if self.interrupted:
            from loomtriage.drills.signals import exit_of

            return exit_of(self.interrupted)
        return EXIT_OF_STATE[self.state]

    def as_json(self) -> dict[str, object]:
        """The form that `drill.json` keeps."""
        return {
            "id": self.id,
            "title": self.title,
            "state": self.state.value,
            "says": self.says,
            "expectations": [
                {"check": f.check, "state": f.state.value, "says": f.says, "value": f.value}
                for f in self.expectations
            ],
            "witness": list(self.witness),
            "restored": self.restored,
            "start_digest": self.start_digest,
            "end_digest": self.end_digest,
            "phases": [{"name": p.name, "at": p.at, "seconds": p.seconds} for p in self.phases],
            "notes": list(self.notes),
            "triage": self.triage.as_json() if self.triage else None,
            "seed": self.seed,
            "interrupted": self.interrupted,
        }


def conclude(
    findings: tuple[Finding, ...], *, invalid: str, restored: Finding, interrupted: str
) -> tuple[State, str]:
    """The drill's state and one sentence.

    Args:
        findings: expectations, the triage's grade and the harness's own checks.
        invalid: why the drill proved nothing, empty when it did.
        restored: whether the lab is what it was.
        interrupted: name of the Unix signal that ended it early, empty if none.
    """
    if restored.state is State.BAD:
        return State.BAD, restored.says
    if interrupted:
        return State.NO_DATA, f"Interrupted by {interrupted}; the lab was restored."
    broken = next((f for f in findings if f.state is State.ERROR), None)
    if invalid:
        return (State.ERROR, broken.says) if broken else (State.NO_DATA, f"Invalid: {invalid}.")
    judged = (*findings, restored)
    state = worst(finding.state for finding in judged)
    if state is State.OK:
        return state, "Witnessed, expected, named by the triage, and restored."
    return state, next(finding.says for finding in judged if finding.state is state)


def grade(answer: TriageAnswer, cause: str) -> Finding:
    """Whether the triage named the drill's cause; an abstention for want of data is NO_DATA."""
    says = f"The triage says {answer.cause!r}; the drill's cause is {cause!r}."
    if answer.cause == cause:
        state = State.OK
    elif answer.cause == "unknown" and answer.state is State.NO_DATA:
        state = State.NO_DATA
    else:
        state = State.BAD
    return Finding(check="drill.triage", state=state, says=says)


def write_result(folder: Path, result: DrillResult) -> None:
    """Write `drill.json` of mode 0600 in one step: the old one or the whole new one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{RESULT_FILE}.{os.getpid()}"
    text = json.dumps(result.as_json(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / RESULT_FILE)
