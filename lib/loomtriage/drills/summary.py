"""Summary: what did several drills come to, in one table and one exit code?

It reads what `drill.json` keeps, so it does not matter which process performed a drill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loomtriage.drills.book import DRILLS
from loomtriage.drills.signals import exit_of
from loomtriage.errors import Exit
from loomtriage.model import State
from loomtriage.model.verdict import EXIT_OF_STATE
from loomtriage.report.tables import Table

_EXIT_OF = {
    State.OK.value: Exit.OK,
    State.WARN.value: EXIT_OF_STATE[State.WARN],
    State.NO_DATA.value: Exit.NO_DATA,
    Exit.USAGE.name: Exit.USAGE,
    Exit.REFUSED.name: Exit.REFUSED,
    State.ERROR.value: Exit.ERROR,
    State.BAD.value: Exit.BAD,
}
"""Exit code of what a drill came to, from best to worst; an error goes by its exit code's name."""


def has_ended(drill: Mapping[str, object]) -> bool:
    """Whether a drill came to its own end; one that was refused or broke off has no phases."""
    return bool(drill["phases"])


def exit_code_of(drills: Iterable[Mapping[str, object]], *, errors: Iterable[int] = ()) -> int:
    """One exit code for several drills: a signal first, then the worst state.

    Args:
        drills: their results, in the form that `drill.json` keeps.
        errors: exit codes of what failed around them: a lab that did not start, a process.
    """
    kept, codes = list(drills), [int(code) for code in errors]
    by_signal = [int(exit_of(str(one["interrupted"]))) for one in kept if one["interrupted"]]
    by_signal += [code for code in codes if code >= Exit.HANGUP - 1]
    if by_signal:
        return max(by_signal)
    states = [str(one["state"]) for one in kept]
    told = {_EXIT_OF[state] for state in states}
    states += [_state_of(code) for code in codes if code not in told]
    return int(_EXIT_OF[max(states, key=list(_EXIT_OF).index, default=State.NO_DATA.value)])


def _state_of(code: int) -> str:
    name = next((one.name for one in Exit if one == code), "")
    return name if name in _EXIT_OF else State.ERROR.value


def summary_table(drills: Sequence[Mapping[str, object]], *, asked: int) -> Table:
    """One row per drill that was performed or tried, in the order of the book.

    Args:
        drills: results, in the form that `drill.json` keeps.
        asked: how many there should be.
    """
    several = len({one["seed"] for one in drills}) > 1
    rows = [
        (
            f"{one['id']} seed {one['seed']}" if several else str(one["id"]),
            str(one["state"]),
            _cause(one["triage"]),
            ("yes" if one["restored"] else "NO") if has_ended(one) else "-",
            str(one["says"]),
        )
        for one in sorted(drills, key=_place)
    ]
    left = asked - len(drills)
    return Table(
        id="summary",
        title="What the drills came to",
        columns=("drill", "state", "triage", "restored", "sentence"),
        rows=tuple(rows),
        note=f"{left} of {asked} drills were not performed." if left > 0 else "",
    )


def _place(drill: Mapping[str, object]) -> tuple[int, int]:
    return list(DRILLS).index(str(drill["id"])), int(str(drill["seed"]))


def _cause(triage: object) -> str:
    return str(triage["cause"]) if isinstance(triage, Mapping) else "-"
