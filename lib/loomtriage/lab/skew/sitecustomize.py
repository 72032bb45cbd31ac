"""Shifts the wall clock of the Python process that finds this file on its PYTHONPATH.

No privilege and no code of the process is needed, and nothing else on the machine is touched: a
time namespace would shift all clocks but this one. `time.time` and `time.time_ns` tell the time
LAB_CLOCK_SKEW_S seconds later (earlier when negative), so that log records and spans do; what C
code asks the system directly (`datetime.now`) and the monotonic clocks stay right.
"""

from __future__ import annotations

import os
import time

VARIABLE = "LAB_CLOCK_SKEW_S"


def shift(skew_s: float) -> None:
    """Replace both wall clocks of the time module."""
    true_time, true_time_ns, skew_ns = time.time, time.time_ns, int(skew_s * 1e9)
    vars(time)["time"] = lambda: true_time() + skew_s
    vars(time)["time_ns"] = lambda: true_time_ns() + skew_ns


if VARIABLE in os.environ:
    shift(float(os.environ[VARIABLE]))
