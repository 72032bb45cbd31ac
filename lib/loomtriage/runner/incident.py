"""Incident report: how does a finished run become a draft that people go on writing?"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from loomtriage.case import Case, open_case
from loomtriage.errors import BundleDamaged, UsageError
from loomtriage.evidence import secrets_of
from loomtriage.report.page import Section
from loomtriage.report.postmortem import Postmortem, Story, html
from loomtriage.report.postmortem_md import markdown
from loomtriage.runner.execute import Kernel, run_notebook
from loomtriage.runner.folder import Staging, windows_json
from loomtriage.runner.path import investigate, read_section, seal, source_names
from loomtriage.runner.scan import refuse_secrets
from loomtriage.runner.ticking import ticking
from loomtriage.runner.verdict import fitted
from loomtriage.settings import shipped
from loomtriage.sources.manifest import NAME, read_manifest
from loomtriage.stages import PATH
from loomtriage.stages.incident_timeline import ALERT_FILE
from loomtriage.stages.incident_told import CONCLUDES

Say = Callable[[str], None]
REPORT, SUMMARY = "incident.html", "incident.md"
CLOSING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"close": ("buckets", "why"), "retries": ("loops", "residue")}
)
"""Tables, by stage, that tell what becomes of the failed rows; shown where they hold any."""


def retell(run: Path, folder: Staging, *, kernel: Kernel, say: Say) -> Path:
    """A new run folder with all of a finished run, and its incident report.

    Where the run kept no results of its stages (an example), they are played again from its
    recorded answers. The verdict stays the run's own, byte for byte, where there is one to keep.

    Raises:
        UsageError: the folder is no run.
        BundleDamaged: the run does not match its manifest.
    """
    manifest = read_manifest(run)
    manifest.verify(run)
    kept = {k: v for k, v in manifest.parameters.items() if k in ("env", "projection")}
    parameters = {**kept, "source": f"run:{run}"}
    case = open_case("path", **parameters)
    if f"stages/{CONCLUDES}.json" not in manifest.files:
        found = investigate(folder, case=case, kernel=kernel, parameters=parameters, say=say)
        if (run / ALERT_FILE).is_file():
            shutil.copyfile(run / ALERT_FILE, folder.path / ALERT_FILE)
        add_incident(
            folder, case=case, kernel=kernel, parameters=parameters, say=say, run=manifest.id
        )
        return seal(folder, found)
    for name in manifest.files:
        target = folder.path / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(run / name, target)
    with ticking(say, "the kernel's start"):
        kernel.move_to(folder.path)
    add_incident(folder, case=case, kernel=kernel, parameters=parameters, say=say, run=manifest.id)
    refuse_secrets(folder.path, secrets_of(case.source))
    return folder.seal(
        {
            "parameters": {**manifest.parameters, "source": f"run:{run.name}"},
            "sources": manifest.sources,
            **windows_json(case.window, case.baseline),
        }
    )


def add_incident(  # noqa: PLR0913  (what is told, where, and who runs it)
    folder: Staging,
    *,
    case: Case,
    kernel: Kernel,
    parameters: Mapping[str, str],
    say: Say,
    run: str = "",
) -> None:
    """Run the incident notebook on what the path left in the folder, and write its report there.

    Args:
        folder: a run folder in the making, with the path's results in it.
        case: the path's case.
        kernel: a kernel whose folder is that one.
        parameters: the path's parameters.
        say: takes progress lines.
        run: id of the run that is told about; empty means the folder's own.

    Raises:
        NotebookFailed: the notebook left no result.
    """
    started = time.monotonic()
    with ticking(say, "incident"):
        run_notebook(
            "incident", folder.path, kernel=kernel, parameters={**parameters, "handover": "."}
        )
    sections = _sections(folder.path)
    result = json.loads((folder.path / "stages" / "incident.json").read_bytes())
    told = Postmortem(
        title="Incident report, draft",
        run=run or folder.id,
        verdict_json=fitted(json.loads((folder.path / "verdict.json").read_bytes()), case.source),
        story=Story.from_json(result["conclusion"]),
        charts=tuple(
            chart
            for name in ("explain", "narrow", "locate")
            if name in sections
            for chart in sections[name].charts[:1]
            if chart.png
        ),
        closing=tuple(
            table
            for name, ids in CLOSING.items()
            if name in sections
            for table in sections[name].tables
            if table.id in ids and table.rows
        ),
        generated_at=datetime.now(UTC),
        sources=tuple(sorted(source_names(case).items())),
    )
    folder.write(REPORT, html(told))
    folder.write(SUMMARY, markdown(told))
    say(f"incident  draft in {time.monotonic() - started:.1f} s")


def _sections(folder: Path) -> dict[str, Section]:
    left = [n for n in PATH if (folder / "stages" / f"{n}.json").is_file()]
    try:
        return {name: read_section(folder, name, None, seconds=0.0) for name in left}
    except (KeyError, TypeError, ValueError) as error:
        raise BundleDamaged(
            f"The stages' results have another form ({type(error).__name__}: {error}).",
            hint="Another version wrote them; loomtriage path --source run:DIR makes them again.",
        ) from None


def find_run(text: str) -> Path:
    """The run folder that somebody means: a path, or `example:ID`.

    Raises:
        UsageError: there is none.
    """
    kind, _, rest = text.partition(":")
    known = kind == "example" and rest.replace("_", "").isalnum()
    path = shipped("runbooks/examples") / rest if known else Path(text).expanduser()
    if not (path / NAME).is_file():
        raise UsageError(
            f"{text[:160]!r} is no run folder.",
            hint="Give one that a run wrote (loomtriage runs lists them), or example:ID.",
        )
    return path


def keep_alert(folder: Staging, alert: Mapping[str, object]) -> None:
    """Put what an alert said into the run folder, where the incident report finds it."""
    folder.write_json(ALERT_FILE, alert)
