"""Prints which alerts the recorded drills raised, and fails where that is not what was meant.

Usage: .ci/alerts [FOLDER OF RUN FOLDERS], by default the committed examples.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loomtriage.contract.alerts import ALERTS
from loomtriage.drills.alert_matrix import lines, offences, read_raised, unproven

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Print the matrix; 1 when it is not as meant, 3 when nothing was recorded."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "runbooks/examples"
    raised = read_raised(folder)
    if not raised:
        print("No recorded drill says which alerts it raised. Record one: loomtriage drill es_down")
        return 3
    print("F fired as it must, f fired as it may, . silent")
    for line in lines(raised):
        print(line)
    found = offences(raised)
    for says in found:
        print(says)
    for alert, drills in unproven(raised).items():
        print(f"{alert} is not proven here: {' and '.join(drills)} are not among these runs.")
    for alert in ALERTS:
        if not alert.fires_in:
            print(f"{alert.name} has no drill: a drill always has work. See .ci/idle.")
    print(f"{len(raised)} drills, {len(found)} offences.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
