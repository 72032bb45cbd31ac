"""The command that turns a finished run into the draft of a post-mortem."""

from __future__ import annotations

from typing import Annotated

import typer

from loomtriage.cli.options import Out, out_dir
from loomtriage.cli.terminal import printable, relative, say

app = typer.Typer()


@app.command()
def incident(
    run: Annotated[str, typer.Argument(help="A run folder, or example:ID.")],
    out: Out = "",
) -> None:
    """Write the incident report of a finished run, HTML and Markdown, into a new run folder.

    Example: loomtriage incident example:es_429
    """
    from loomtriage.runner.execute import warm_kernel

    with warm_kernel() as kernel:
        from loomtriage.runner.folder import staging
        from loomtriage.runner.incident import REPORT, SUMMARY, find_run, retell

        told = find_run(run)
        with staging("incident", out_dir(out)) as folder:
            final = retell(told, folder, kernel=kernel, say=say)
    print(printable(f"report    {relative(final / REPORT)}"))
    print(printable(f"markdown  {relative(final / SUMMARY)}"))
