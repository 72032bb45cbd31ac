"""The commands of the embedded lab."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from loomtriage.cli import alert_demo
from loomtriage.cli.options import Name, Ports, lab_root, worker_command
from loomtriage.cli.terminal import say
from loomtriage.errors import Exit, TriageError, UsageError

app = typer.Typer(help="The embedded lab.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(alert_demo.app)


@app.command("up")
def lab_up(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    name: Name = "default",
    ports: Ports = "fixed",
    load: Annotated[
        float, typer.Option(help="Writes per second; 0, none, for a lab to drill in.", min=0.0)
    ] = 5.0,
    worker_cmd: Annotated[
        str, typer.Option(help="Command that runs in place of the lab's own search worker.")
    ] = "",
    webhook: Annotated[
        str, typer.Option(help="Address that an Alertmanager tells of the lab's alerts.")
    ] = "",
    webhook_token: Annotated[
        str, typer.Option(help="File with the token that it shows there.")
    ] = "",
) -> None:
    """Start the lab and wait until everything answers.

    Example: loomtriage lab up --ports auto
    """
    from loomtriage import lab
    from loomtriage.lab.supervisor.plan import Webhook

    if ports not in ("fixed", "auto"):
        raise UsageError(
            f"ports {ports[:40]!r} is neither fixed nor auto.", hint="Use --ports auto."
        )
    chosen: Literal["fixed", "auto"] = "auto" if ports == "auto" else "fixed"
    command = worker_command(worker_cmd)
    root = lab_root(name)
    token = str(Path(webhook_token).expanduser().absolute()) if webhook_token else ""
    told = Webhook(url=webhook, token_file=token) if webhook else None
    state = lab.up(root, ports=chosen, say=say, load_per_s=load, worker_cmd=command, webhook=told)
    for service, port in sorted(state.ports.items()):
        print(f"{service:<16}127.0.0.1:{port}")
    print(f"Triage it with: loomtriage path --source lab:{name} --last 1m")


@app.command("down")
def lab_down(name: Name = "default") -> None:
    """Stop the lab.

    Example: loomtriage lab down
    """
    from loomtriage import lab

    root = lab_root(name)
    _warn_of_drill(root)
    lab.down(root, say=say)
    print(f"The lab {name!r} is down.")


def _warn_of_drill(root: Path) -> None:
    """Say whose drill is cut off; which drill it is, nobody may know before its triage."""
    from loomtriage import lab
    from loomtriage.drills.lock import holder
    from loomtriage.settings import settings

    try:
        held = holder(settings().home_dir(), lab.read_state(root).lab_id)
    except TriageError:
        return  # no lab that could be read is there
    if held is not None:
        say(
            f"A drill runs in this lab (process {held.pid} since {held.since}); "
            "without the lab it proves nothing."
        )


@app.command("status")
def lab_status(name: Name = "default") -> None:
    """Show each service of the lab.

    Example: loomtriage lab status
    """
    from loomtriage import lab

    rows = lab.status(lab_root(name))
    for row in rows:
        print(f"{row.name:<14}{row.state:<10}{row.port or '':<8}{row.pid or '':<9}{row.says}")
    healthy = all(row.state == "ready" for row in rows)
    raise typer.Exit(int(Exit.OK if healthy else Exit.BAD))
