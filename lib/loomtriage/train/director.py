"""Director: which process knows the truth while somebody else has the notebook?

Run as `python -m loomtriage.train.director`; the order stands in the first line of its input. It
tells what a trainee may know, one JSON object a line, and gives up when its input ends. So the
truth is never in the memory of the process that the trainee types into.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Mapping
from contextlib import suppress

from loomtriage.drills.signals import exit_on_signals
from loomtriage.errors import TriageError
from loomtriage.train.desk import from_file
from loomtriage.train.ordering import order_of
from loomtriage.train.play import play
from loomtriage.train.rounds import GaveUp, Opened


def direct(text: str) -> None:
    """Play the round that is ordered."""
    given = dict(json.loads(text))
    order = order_of(
        offline=bool(given["offline"]),
        seed=int(given["seed"]),
        limit_s=float(given["limit_s"]),
        level=str(given["level"]),
        board=str(given["board"]),
        source=str(given["source"]),
        who=str(given["who"]),
    )
    try:
        closed = play(
            order,
            from_file(say=lambda line: _tell({"says": line}), is_gone=_is_gone),
            say=lambda line: _tell({"says": line}),
            opened=_opened,
        )
    except GaveUp as error:
        _tell({"kind": "abandoned", "why": str(error)})
    else:
        tables = [closed.score.table(), closed.score.timers()]
        _tell({**closed.as_json(), "tables": [_plain(one) for one in tables]})


def _plain(table: object) -> Mapping[str, object]:
    return {name: getattr(table, name) for name in ("id", "title", "columns", "rows", "note")}


def _opened(opened: Opened) -> None:
    _tell({"kind": "opened", **opened.as_json()})


def _is_gone() -> bool:
    """Whether whoever ordered the round has closed our input."""
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not sys.stdin.readline()


def _tell(content: Mapping[str, object]) -> None:
    """One line for whoever ordered the round; when nobody listens any more the lab comes first."""
    with suppress(BrokenPipeError):
        os.write(1, json.dumps(content).encode() + b"\n")


if __name__ == "__main__":
    exit_on_signals()
    try:
        direct(sys.stdin.readline())
    except TriageError as error:
        _tell({"kind": "failed", "why": error.message, "hint": error.hint})
