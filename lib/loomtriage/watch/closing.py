"""Closing: what is different now that the alert resolved?"""

from __future__ import annotations

from loomtriage.report.text import md
from loomtriage.runner.diff import Diff

CAVEAT = (
    "The closing run is compared with the time before it, which lies inside the incident: its "
    "figures count, a cause of `none` there only says that nothing is worse than then."
)


def closing_report(found: Diff) -> str:
    """The diff of the run that the alert started and the run after it resolved, as Markdown."""
    runs = (
        f"- **Before:** {md(found.before)}, {md(found.windows[0])}",
        f"- **Now:** {md(found.after)}, {md(found.windows[1])}",
    )
    parts = [
        f"# Closed: {md(found.says)}",
        "\n".join(runs),
        CAVEAT,
        *(table.markdown() for table in found.tables()),
        "## For people\n\n> **To be filled by a person.** What ended it, and is it fixed?",
    ]
    return "\n\n".join(parts) + "\n"
