"""Files: what is published where, and does the tree hold exactly that?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from loomtriage.contract.alerts import ALERTS
from loomtriage.drills.book import DRILLS
from loomtriage.drills.drill import Drill
from loomtriage.errors import UsageError
from loomtriage.publish.alert_pages import alert_page, alerts_reference
from loomtriage.publish.dashboard import dashboard_json
from loomtriage.publish.dashboard_page import dashboard_page
from loomtriage.publish.drill_notebook import drill_notebook, story_of
from loomtriage.publish.monitoring import lab_rules_file, prometheus_file, rules_file
from loomtriage.publish.registry import registry_file
from loomtriage.publish.runbooks import runbooks_page
from loomtriage.settings import shipped
from loomtriage.sources.manifest import NAME as MANIFEST

NOTEBOOKS = "notebooks"
DRILL_NOTEBOOKS = "notebooks/drills"
RUNBOOKS = "runbooks/README.md"
ALERT_PAGES = "runbooks/alerts"
DASHBOARDS = "docker/grafana/dashboards"
PROMETHEUS = "docker/prometheus"
REFERENCE = "docs/reference"
WHOLE = {DRILL_NOTEBOOKS: "drill of the book", ALERT_PAGES: "alert", DASHBOARDS: "list of panels"}
"""Folders that hold nothing else than what is published into them, and what publishes it."""
EXAMPLES = "runbooks/examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One way in which the tree is not what would be published; paths are relative.

    Attributes:
        path: the file.
        says: what is the matter with it.
    """

    path: str
    says: str

    def __str__(self) -> str:
        return f"{self.path}: {self.says}"


def checkout() -> Path:
    """The folder of this checkout, which published files are written into.

    Raises:
        UsageError: the program is installed from a wheel, where nothing is to be written.
    """
    root = shipped(NOTEBOOKS).parent
    if not (root / "pyproject.toml").is_file():
        raise UsageError(
            "Only a checkout can be published into.", hint="Run it from a clone of the project."
        )
    return root


def published(root: Path, drills: Mapping[str, Drill] | None = None) -> dict[str, str]:
    """Every published file of a checkout: relative path to content.

    Args:
        root: the checkout, whose stage notebooks and recorded examples are listed.
        drills: by id, in teaching order; the book when not given.
    """
    known = DRILLS.all(noun="drill") if drills is None else drills
    after = {**dict(pairwise(known)), **({list(known)[-1]: ""} if known else {})}
    pages = {
        f"{DRILL_NOTEBOOKS}/{name}.ipynb": drill_notebook(drill, story_of(drill), after=after[name])
        for name, drill in known.items()
    }
    stages = sorted((root / NOTEBOOKS).glob("*.ipynb"))
    examples = [path.parent.name for path in (root / EXAMPLES).glob(f"*/{MANIFEST}")]
    return {
        **pages,
        RUNBOOKS: runbooks_page(stages, known, examples=examples),
        **_monitoring(known),
    }


def _monitoring(drills: Mapping[str, Drill]) -> dict[str, str]:
    """What the monitoring stack and its readers are given."""
    return {
        **{alert.page: alert_page(alert, drills) for alert in ALERTS},
        f"{PROMETHEUS}/prometheus.yml": prometheus_file(),
        f"{PROMETHEUS}/rules.yml": rules_file(),
        f"{PROMETHEUS}/lab-rules.yml": lab_rules_file(),
        f"{DASHBOARDS}/wordloom.json": dashboard_json(),
        f"{REFERENCE}/alerts.md": alerts_reference(drills),
        f"{REFERENCE}/dashboard.md": dashboard_page(),
        f"{REFERENCE}/registry/wordloom.yaml": registry_file(),
    }


def drift(root: Path, wanted: Mapping[str, str]) -> tuple[Drift, ...]:
    """Files that lack, differ, or are there although nothing publishes them; by path."""
    found = [
        Drift(path=path, says=says)
        for path, text in wanted.items()
        if (says := _differs(root / path, text))
    ]
    found += [
        Drift(path=path, says=f"no {source} publishes it")
        for folder, source in WHOLE.items()
        for path in (one.relative_to(root).as_posix() for one in (root / folder).glob("*"))
        if path not in wanted and not Path(path).name.startswith(".")
    ]
    return tuple(sorted(found, key=lambda one: one.path))


def publish(root: Path, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Write what drifted, and take away what nothing publishes any more; the paths."""
    changed = drift(root, wanted)
    for one in changed:
        path = root / one.path
        if one.path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[one.path], encoding="utf-8", newline="\n")
        elif path.suffix in {".ipynb", ".json", ".md"}:
            path.unlink()
    return tuple(one.path for one in changed)


def _differs(path: Path, text: str) -> str:
    if not path.is_file():
        return "is not written yet"
    return "" if path.read_bytes() == text.encode() else "differs from what is published"
