"""Result: what did a drill come to, and why?

A drill that proved nothing is NO_DATA, whatever its numbers look like: no witness, no work done,
a source missing. A lab that was not restored is BAD all the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from loomtriage.analysis.joins import Coverage
from loomtriage.drills.alerts import AlertSeen
from loomtriage.drills.drill import Drill
from loomtriage.drills.joins import check_joins
from loomtriage.errors import Exit
from loomtriage.model import Finding, Scope, State
from loomtriage.model.verdict import EXIT_OF_STATE, worst

RESULT_FILE = "drill.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageAnswer:
    """What the triage said; it was given two windows and nothing else.

    Attributes:
        also: causes that it named beside the first.
        doubts: what it observed beside an unknown cause, ids of `contract.doubts`.
        missing: signals that it had to do without.
        coverage: of failing events, how many things of one signal resolve in the next.
    """

    cause: str
    state: State
    scope: Scope = field(default_factory=Scope)
    step: Mapping[str, str] = field(default_factory=dict)
    headline: str = ""
    also: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The form that a drill's result keeps."""
        return {
            "cause": self.cause,
            "state": self.state.value,
            "scope": self.scope.as_json(),
            "step": dict(self.step),
            "headline": self.headline,
            "also": list(self.also),
            "doubts": list(self.doubts),
            "missing": list(self.missing),
            "coverage": {edge.edge: edge.as_json() for edge in self.coverage},
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
        invalid: why it proved nothing, empty when it did. Its sentence may say something worse.
        fits: drills whose expectations were met, see `cross`.
        alerts: what Prometheus' own rules said between apply and revert.
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
    invalid: str = ""
    fits: tuple[str, ...] = ()
    alerts: tuple[AlertSeen, ...] = ()

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
            "invalid": self.invalid,
            "fits": list(self.fits),
            "alerts": [alert.as_json() for alert in self.alerts],
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
        told = "the lab was restored."
        if restored.state not in (State.OK, State.WARN):
            told = f"the lab may not be restored. {restored.says}"
        return State.NO_DATA, f"Interrupted by {interrupted}; {told}"
    broken = next((f for f in findings if f.state is State.ERROR), None)
    if invalid:
        return (State.ERROR, broken.says) if broken else (State.NO_DATA, f"Invalid: {invalid}.")
    judged = (*findings, restored)
    state = worst(finding.state for finding in judged)
    if state is State.OK:
        return state, "Witnessed, expected, named by the triage, and restored."
    return state, next(finding.says for finding in judged if finding.state is state)


def is_proven(result: Mapping[str, object]) -> bool:
    """Whether a drill proved what it did, by the content of its `drill.json`.

    A file that does not say whether the drill was invalid proves nothing.
    """
    return bool(result.get("witness")) and result.get("invalid") == ""


def grade(answer: TriageAnswer, drill: Drill) -> tuple[Finding, ...]:
    """Whether the triage named the drill's cause, where, and by signals that hold together.

    No cause for want of data, and no cause without the observation that the drill demands, are
    NO_DATA. Scope and joins count only under a right cause: a right place for a wrong reason
    helps nobody.
    """
    named = _named(answer, drill)
    if named.state in (State.BAD, State.NO_DATA):
        return (named,)
    return (named, *_placed(answer, drill), *check_joins(answer.coverage))


def is_observed(drill: Drill, doubts: Collection[str]) -> bool:
    """Whether the triage saw what the drill demands beside an unknown cause."""
    return drill.doubt is None or drill.doubt in doubts


def _named(answer: TriageAnswer, drill: Drill) -> Finding:
    says = f"The triage says {answer.cause!r}; the drill's cause is {drill.cause!r}."
    named = Finding(check="drill.triage", state=State.OK, says=says)
    if answer.cause not in (drill.cause, *drill.accept):
        is_thin = answer.cause == "unknown" and (
            answer.state is State.NO_DATA or bool(answer.missing)
        )
        if is_thin:
            says += f" It had no {' and no '.join(answer.missing) or 'data'}."
        return replace(named, says=says, state=State.NO_DATA if is_thin else State.BAD)
    if not is_observed(drill, answer.doubts):
        says += f" It did not observe {drill.doubt!s}, and knew nothing for want of that."
        return replace(named, says=says, state=State.NO_DATA)
    unnamed = [name for name in drill.faults if name not in (answer.cause, *answer.also)]
    if unnamed:
        says += f" {' and '.join(unnamed)} stood as well, and was not named."
        return replace(named, says=says, state=State.WARN)
    return named


def _placed(answer: TriageAnswer, drill: Drill) -> tuple[Finding, ...]:
    """Whether the scope is the drill's; nothing where the drill has none."""
    wanted = {key: value for key, value in drill.scope.as_json().items() if value}
    if not wanted:
        return ()
    found = answer.scope.as_json()
    wrong = [f"{key}={found.get(key) or 'any'}" for key in wanted if found.get(key) != wanted[key]]
    told = ", ".join(f"{key}={value}" for key, value in wanted.items())
    says = f"The drill's scope is {told}; the triage says {', '.join(wrong) or 'the same'}."
    state = State.WARN if wrong else State.OK
    return (Finding(check="drill.scope", state=state, says=says),)


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
