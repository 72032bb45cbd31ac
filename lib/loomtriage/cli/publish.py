"""The command that writes published files, or says where the tree drifted from them."""

from __future__ import annotations

from typing import Annotated

import typer

from loomtriage.errors import Exit

app = typer.Typer()


@app.command()
def publish(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a file would change.")
    ] = False,
) -> None:
    """Write drill notebooks, runbooks, alert rules, dashboard and their pages.

    Example: loomtriage publish --check
    """
    from loomtriage.publish import files

    root = files.checkout()
    wanted = files.published(root)
    if not check:
        changed = files.publish(root, wanted)
        for path in changed:
            print(f"written   {path}" if path in wanted else f"removed   {path}")
        print(f"{len(wanted)} published files, {len(changed)} changed.")
        return
    drifted = files.drift(root, wanted)
    for one in drifted:
        print(one)
    if drifted:
        print("Run: loomtriage publish")
        raise typer.Exit(int(Exit.BAD))
    print(f"OK: {len(wanted)} published files as contract, drill book and notebooks have it.")
