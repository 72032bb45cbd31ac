"""The commands that investigate, drill, and look at runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.cli.options import (
    Baseline,
    End,
    Env,
    Json,
    Last,
    Out,
    Projection,
    Source,
    Start,
    out_dir,
    parameters_of,
)
from loomtriage.cli.terminal import printable, relative, say, show
from loomtriage.errors import UsageError

app = typer.Typer()


@app.command()
def path(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    source: Source = "live",
    start: Start = "",
    end: End = "",
    last: Last = "",
    baseline: Baseline = "",
    env: Env = "",
    projection: Projection = "",
    out: Out = "",
    alert: Annotated[
        str, typer.Option(help="Alertmanager payload (JSON); gives window and scope.")
    ] = "",
    incident: Annotated[
        bool, typer.Option("--incident", help="Write the incident report too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the fixed path headless and write a run folder.

    Example: loomtriage path --source example:es_down
    """
    given = {"start": start, "end": end, "baseline": baseline, "env": env, "projection": projection}
    if alert:
        from loomtriage.cli.watch import parameters_of_alert

        parameters, kept = parameters_of_alert(alert, source=source, last=last, **given)
    else:
        parameters, kept = parameters_of(source=source, last=last, **given), None
    _investigate(
        "path",
        parameters,
        out=out,
        as_json=as_json,
        stages=(),
        extras=Extras(alert=kept, incident=incident),
    )


@app.command()
def run(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    stage: Annotated[str, typer.Argument(help="preflight, conform, narrow and so on to close.")],
    source: Source = "live",
    start: Start = "",
    end: End = "",
    last: Last = "",
    baseline: Baseline = "",
    env: Env = "",
    projection: Projection = "",
    out: Out = "",
    as_json: Json = False,
) -> None:
    """Run the path up to one stage's notebook; `conform` runs by itself.

    Example: loomtriage run narrow --source example:es_down
    """
    from loomtriage.stages import steps_to

    upto = steps_to(stage)
    parameters = parameters_of(
        source=source,
        start=start,
        end=end,
        last=last,
        baseline=baseline,
        env=env,
        projection=projection,
    )
    _investigate(stage, parameters, out=out, as_json=as_json, stages=upto)


@app.command()
def recover(as_json: Json = False) -> None:
    """Finish every open entry of the fault journals and give the labs back.

    Example: loomtriage recover
    """
    from loomtriage.drills.restore import recover as finish
    from loomtriage.settings import settings

    report = finish(settings().home_dir(), say=say)
    print(json.dumps(report.as_json(), indent=1) if as_json else report)
    raise typer.Exit(int(report.exit_code))


@app.command()
def verify(folder: Annotated[str, typer.Argument(help="A run folder, or a zip of one.")]) -> None:
    """Check a run folder, or a zip that `export` wrote, against its manifest.

    Example: loomtriage verify runbooks/examples/es_down
    """
    from loomtriage.sources.manifest import read_manifest

    where = Path(folder)
    if where.is_file():
        from loomtriage.runner.archive import verify_archive

        manifest, count = verify_archive(where)
    elif where.is_dir():
        manifest = read_manifest(where)
        count = manifest.verify(where)
    else:
        raise UsageError(f"{folder[:160]!r} is no folder.", hint="Give a run folder or a zip.")
    print(f"OK: {printable(where.name)}, {count} files as recorded on {manifest.created_at}")


@app.command()
def runs(out: Out = "", as_json: Json = False) -> None:
    """List the run folders, newest first.

    Example: loomtriage runs
    """
    from loomtriage.runner.folder import list_runs

    rows = list_runs(out_dir(out))
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['state']:<8}{row['cause'] or 'no triage':<20}{row['id']}")
    if not rows:
        print("No runs yet. Start with: loomtriage path --source example:es_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a run of the path may carry besides: the alert that asked for it, an incident report."""

    alert: Mapping[str, object] | None = None
    incident: bool = False


def _investigate(  # noqa: PLR0913  (what is asked, where, and how it is shown)
    what: str,
    parameters: Mapping[str, str],
    *,
    out: str,
    as_json: bool,
    stages: tuple[str, ...],
    extras: Extras | None = None,
) -> None:
    from loomtriage.runner.execute import warm_kernel

    with warm_kernel() as kernel:
        # Imported only now, so that the kernel warms up meanwhile on the other core.
        from loomtriage.case import open_case
        from loomtriage.runner.folder import staging
        from loomtriage.runner.incident import add_incident, keep_alert
        from loomtriage.runner.path import investigate, seal

        case = open_case("path", **parameters)
        with staging(what, out_dir(out)) as folder:
            found = investigate(
                folder,
                case=case,
                kernel=kernel,
                parameters=parameters,
                say=say,
                stages=stages,
            )
            if extras and extras.alert:
                keep_alert(folder, extras.alert)
            if extras and extras.incident:
                add_incident(folder, case=case, kernel=kernel, parameters=parameters, say=say)
            final = seal(folder, found)
    show(final, found.verdict, source=case.source, as_json=as_json)
    if extras and extras.incident and not as_json:
        print(f"incident  {printable(relative(final / 'incident.html'))}")
    raise typer.Exit(found.exit_code)
