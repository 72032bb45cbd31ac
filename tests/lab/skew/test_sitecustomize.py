"""The wall clock of one process is shifted from outside, and nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from loomtriage.lab.control import skewed

CLOCKS = """
import logging, time
record = logging.makeLogRecord({})
stamp = logging.LogRecord("x", 20, "x", 1, "x", (), None).created
print(time.time(), time.time_ns() / 1e9, stamp, time.monotonic())
"""


def clocks(**env):
    run = (sys.executable, "-c", CLOCKS)
    told = subprocess.run(run, env={**os.environ, **env}, capture_output=True, check=True).stdout
    return [float(word) for word in told.split()]


def test_wall_clocks_are_shifted_and_the_monotonic_one_is_not():
    """All ways to ask Python for the time agree on the shift; durations stay true."""
    *wall, monotonic = clocks(**skewed(-7200))
    assert all(abs(shown - (time.time() - 7200)) < 600 for shown in wall)
    assert abs(monotonic - time.monotonic()) < 600


def test_without_the_variable_nothing_is_shifted():
    """The folder alone changes nothing."""
    *wall, _ = clocks(PYTHONPATH=skewed(1)["PYTHONPATH"])
    assert all(abs(shown - time.time()) < 600 for shown in wall)
