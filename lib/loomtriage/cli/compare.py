"""The commands that carry runs around and set two of them side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.cli.options import Out, out_dir
from loomtriage.cli.terminal import printable, relative

app = typer.Typer()
CUT = 200
"""Letters of a sentence shown in a terminal; `--json` gives all of it."""


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A run folder, or example:ID.")],
    after: Annotated[str, typer.Argument(help="The later run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the diff as JSON.")] = False,
) -> None:
    """What changed between two runs: cause, state, scope, findings, figures.

    Example: loomtriage diff example:es_429 example:placebo
    """
    from loomtriage.runner.diff import diff as compare
    from loomtriage.runner.incident import find_run

    found = compare(find_run(before), find_run(after))
    if as_json:
        print(json.dumps(found.as_json(), indent=1))
        return
    print(printable(found.says))
    print(printable(f"before    {found.before}  {found.windows[0]}"))
    print(printable(f"after     {found.after}  {found.windows[1]}"))
    for table in found.tables():
        if table.id != "diff-findings":
            print(f"\n{printable(table.plain())}")
    # Sentences side by side would be wider than any terminal.
    for change in found.findings:
        print(printable(f"\n{change.what}"))
        print(printable(f"  before  {change.before[:CUT] or '-'}"))
        print(printable(f"  after   {change.after[:CUT] or '-'}"))


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="A run folder, or example:ID.")],
    to: Annotated[str, typer.Option(help="The zip to write; default: ID.zip here.")] = "",
) -> None:
    """Write a run folder as one zip that `loomtriage verify` accepts elsewhere.

    Example: loomtriage export example:es_429 --to es_429.zip
    """
    from loomtriage.runner.archive import export as write
    from loomtriage.runner.incident import find_run
    from loomtriage.sources.manifest import read_manifest

    where = find_run(run)
    target = Path(to or f"{read_manifest(where).id}.zip").expanduser().absolute()
    count = write(where, target)
    print(printable(f"OK: {relative(target)}, {count} files, {target.stat().st_size} bytes"))


@app.command(name="import")
def unpack(
    archive: Annotated[str, typer.Argument(help="A zip that `loomtriage export` wrote.")],
    out: Out = "",
) -> None:
    """Check a zip of a run and put the run folder among yours.

    Example: loomtriage import es_429.zip
    """
    from loomtriage.runner.archive import unpack as put

    print(printable(f"OK: {relative(put(Path(archive).expanduser(), out_dir(out)))}"))
