"""Closing: what is different now that the alert resolved, and what is that judged by?"""

from __future__ import annotations

from loomtriage.report.text import md
from loomtriage.runner.diff import Diff

AFTER = (
    "The second run's baseline does not end before the first one's window begins: what it takes "
    "for usual may be the incident. Its figures count; that it names no fault says only that "
    "nothing is worse than then."
)
BEFORE = (
    "The second run's baseline ends before the first one's window begins: it is judged by what "
    "was usual before the incident."
)
NOTHING = "The second run had no baseline: only its figures count."


def closing_report(found: Diff) -> str:
    """The diff of the run that the alert started and the run after it resolved, as Markdown."""
    baselines = [f", against {md(text)}" if text else "" for text in found.baselines]
    runs = (
        f"- **Before:** {md(found.before)}, {md(found.windows[0])}{baselines[0]}",
        f"- **Now:** {md(found.after)}, {md(found.windows[1])}{baselines[1]}",
    )
    judged = (AFTER if found.is_after else BEFORE) if found.baselines[1] else NOTHING
    parts = [
        f"# Closed: {md(found.says)}",
        "\n".join(runs),
        judged,
        *(table.markdown() for table in found.tables()),
        "## For people\n\n> **To be filled by a person.** What ended it, and is it fixed?",
    ]
    return "\n\n".join(parts) + "\n"
