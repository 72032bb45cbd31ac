"""Shows in a lab that OutboxNoTraffic fires when nobody writes any more, and is silent before.

Drills always have work, so none of them can raise it. It starts a lab of its own, writes for a
while, stops, waits for the alert, and ends the lab; it takes about 90 s.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from loomtriage import lab as labs
from loomtriage.contract.alerts import BY_NAME
from loomtriage.contract.rules import LAB, scaled_s
from loomtriage.drills.loopback import ask_json
from loomtriage.drills.waiting import wait_until
from loomtriage.lab.load import Load
from loomtriage.report import loose
from loomtriage.settings import settings

if TYPE_CHECKING:
    from loomtriage.lab import LabState

ALERT = BY_NAME["OutboxNoTraffic"]
WORK_S = 15.0
SLACK_S = 15.0


def alerts(lab: LabState) -> dict[str, str]:
    """Every alert that is pending or firing now, with its state."""
    url = f"{lab.prometheus_url}/api/v1/query?{urlencode({'query': 'ALERTS'})}"
    found = loose.maps(loose.mapping(ask_json(url).get("data")).get("result"))
    labels = [loose.mapping(one.get("metric")) for one in found]
    return {loose.word(one, "alertname"): loose.word(one, "alertstate") for one in labels}


def work(lab: LabState) -> str:
    """Write for a while; which alerts there were meanwhile."""
    load = Load(lab.api_url, per_s=8, seed=7_002)
    load.start()
    try:
        time.sleep(WORK_S)
        return ", ".join(alerts(lab))
    finally:
        load.stop()


def main() -> int:
    """Watch it; 1 when the alert was not silent under work, or did not fire without."""
    root = settings().home_dir() / "labs" / f"idle-{secrets.token_hex(3)}"

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    try:
        lab = labs.up(root, ports="auto", say=say, owner_pid=os.getpid())
        loud = work(lab)
        quiet_s = scaled_s(1800, LAB)  # the range of its expression
        took = []
        for state, within_s in (("pending", quiet_s), ("firing", scaled_s(ALERT.for_s, LAB))):
            waited = wait_until(
                lambda state=state: "" if alerts(lab).get(ALERT.name) == state else f"not {state}",
                within_s=within_s + SLACK_S,
                what=ALERT.name,
                say=say,
            )
            took.append((state, waited))
        others = sorted(set(alerts(lab)) - {ALERT.name})
    finally:
        labs.down(root, say=say)
        shutil.rmtree(root, ignore_errors=True)
    print(f"alerts while {WORK_S:g} s of work went on: {loud or 'none'}")
    for state, waited in took:
        print(f"{ALERT.name} {waited.lacking or state} after {waited.seconds:.0f} s more")
    print(f"other alerts at the end: {', '.join(others) or 'none'}")
    return 1 if loud or others or any(waited.lacking for _, waited in took) else 0


if __name__ == "__main__":
    sys.exit(main())
