"""The benchmark of metric frames reads the same values on both sides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_both_sides_read_the_same_values():
    """On a small answer both builders agree, and both ratios are printed, the time's last."""
    command = (sys.executable, ROOT / "benchmarks" / "metric_frames.py", "6", "20", "1")
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    *_, memory, ratio = told.stdout.splitlines()
    assert memory.startswith("memory_ratio=")
    assert float(ratio.removeprefix("ratio=")) > 0
