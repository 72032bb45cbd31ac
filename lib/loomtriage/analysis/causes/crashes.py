"""Crashes: which log files end with an exception that nobody caught?"""

from __future__ import annotations

import pandas as pd

from loomtriage.contract.events import UNCAUGHT


def crashed(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines that stand for such an end."""
    return lines[lines["event"] == UNCAUGHT]


def says(lines: pd.DataFrame) -> tuple[str, ...]:
    """Each such end in words."""
    told = crashed(lines)[["file", "message", "line"]]
    return tuple(
        f"{file} ends with an uncaught {message} (line {line})"
        for file, message, line in told.itertuples(index=False)
    )
