"""Doubts: what can be observed beside quiet counters, and must be said under an unknown cause?"""

from __future__ import annotations

from enum import StrEnum


class Doubt(StrEnum):
    """Stable ids of what speaks against health although no rule knows its cause."""

    CLOCKS = "clocks"
    CRASH = "crash"
    SILENT_LOG = "silent_log"
    SILENT_SPANS = "silent_spans"
    SLOWER_STEP = "slower_step"
