"""What did the drill promise, what happened, and was everything put back?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loomtriage.model import State
from loomtriage.report import latency, loose
from loomtriage.report.tables import Table
from loomtriage.report.text import text


@dataclass(frozen=True, slots=True, kw_only=True)
class Exam:
    """The drill's part of the page; whatever the drill did not say is empty."""

    id: str
    title: str
    state: State
    says: str
    expectations: tuple[tuple[State, str], ...]
    witness: tuple[str, ...]
    restored: str
    digests: tuple[tuple[str, str], ...]
    phases: tuple[tuple[str, str, str], ...]
    latency: Table | None
    notes: tuple[str, ...]


def read(drill: Mapping[str, object]) -> Exam:
    """Read what a drill left."""
    digests = ((name, loose.word(drill, f"{name}_digest")) for name in ("start", "end"))
    return Exam(
        id=loose.word(drill, "id"),
        title=loose.word(drill, "title") or "Drill",
        state=loose.state(drill.get("state")),
        says=loose.word(drill, "says"),
        expectations=tuple(
            (loose.state(entry.get("state")), loose.word(entry, "says"))
            for entry in loose.maps(drill.get("expectations"))
        ),
        witness=tuple(text(entry) for entry in loose.items(drill.get("witness"))),
        restored=_restored(drill),
        digests=tuple((name, digest) for name, digest in digests if digest),
        phases=tuple(_phase(entry) for entry in loose.maps(drill.get("phases"))),
        latency=latency.table(drill.get("latency")),
        notes=tuple(text(entry) for entry in loose.items(drill.get("notes"))),
    )


def _restored(drill: Mapping[str, object]) -> str:
    value = drill.get("restored")
    if value is None:
        return ""
    if not isinstance(value, bool):
        return text(value)
    start, end = loose.word(drill, "start_digest"), loose.word(drill, "end_digest")
    if not value:
        return "not restored: run loomtriage recover"
    if start and end:
        return "restored, digests equal" if start == end else "restored, but digests differ"
    return "restored"


def _phase(entry: Mapping[str, object]) -> tuple[str, str, str]:
    seconds = entry.get("seconds")
    lasted = loose.number(seconds, "s")
    return loose.word(entry, "name"), loose.when(entry.get("at")) if entry.get("at") else "", lasted
