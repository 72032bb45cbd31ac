"""The command that takes alerts in, triages each once, and closes it when it resolves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.cli.options import Out, Source, out_dir
from loomtriage.cli.terminal import say
from loomtriage.errors import UsageError

app = typer.Typer()


@app.command(name="watch-alerts")
def watch_alerts(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = "127.0.0.1:9099",
    token_file: Annotated[
        str, typer.Option(help="File with the shared secret; default: LOOMTRIAGE_WATCH_TOKEN.")
    ] = "",
    host: Annotated[
        list[str] | None, typer.Option(help="Name that callers may use besides loopback's.")
    ] = None,
    source: Source = "live",
    out: Out = "",
    inbox: Annotated[
        str,
        typer.Option(help="Private folder for accepted alerts; default: below LOOMTRIAGE_HOME."),
    ] = "",
    deadline: Annotated[int, typer.Option(help="Seconds that one run may take.")] = 300,
    at_once: Annotated[int, typer.Option(help="Runs at the same time.", min=1, max=8)] = 2,
    queue: Annotated[int, typer.Option(help="Alerts that may wait.", min=1, max=1000)] = 50,
    settle: Annotated[
        int, typer.Option(help="Seconds between `resolved` and the closing run.")
    ] = 120,
) -> None:
    """Receive Alertmanager webhooks; each alert starts the fixed path once, read-only.

    Example: loomtriage watch-alerts --listen 127.0.0.1:9099 --token-file token.txt
    """
    from loomtriage.evidence import open_evidence
    from loomtriage.settings import settings
    from loomtriage.sources import Live
    from loomtriage.watch.gate import LOOPBACK, Gate, read_token
    from loomtriage.watch.inbox import Inbox
    from loomtriage.watch.receive import listening
    from loomtriage.watch.serve import FILE, serve
    from loomtriage.watch.work import Order

    open_evidence(source, tape=Live())  # what cannot be opened now would fail at every alert
    gate = Gate(token=read_token(token_file), hosts=(*LOOPBACK, *(host or ())))
    if deadline < 1 or settle < 0:
        raise UsageError("A run needs time.", hint="Give --deadline and --settle in seconds.")
    room = Path(inbox).expanduser().absolute() if inbox else settings().home_dir() / "watch"
    order = Order(
        command=(sys.executable, "-m", "loomtriage.cli", "path"),
        source=source,
        out=out_dir(out),
        room=room,
        deadline_s=float(deadline),
        at_once=at_once,
    )
    accepted = Inbox(room / FILE, capacity=queue, settle_s=float(settle))
    serve(order, gate, listening(listen), inbox=accepted, say=say)


def parameters_of_alert(
    file: str, *, source: str, **given: str
) -> tuple[dict[str, str], Mapping[str, object]]:
    """Parameters of a case that an alert payload asks for, and what of the alert is kept.

    Raises:
        UsageError: the file is no payload, or options say the same as the alert does.
    """
    from loomtriage.watch.payload import MAX_BYTES, read_delivery
    from loomtriage.watch.question import alert_json
    from loomtriage.watch.question import parameters_of as asked_by

    twice = sorted(name for name, value in given.items() if value)
    if twice:
        raise UsageError(
            f"--alert and --{twice[0]} exclude each other.",
            hint="The alert gives window and scope.",
        )
    try:
        with Path(file).expanduser().open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"The alert payload {file[:160]!r} cannot be read: {error.strerror}.",
            hint="Give the JSON that Alertmanager posts.",
        ) from None
    delivery = read_delivery(content)
    parameters = asked_by(delivery, source=source, now=datetime.now(UTC))
    return parameters, alert_json(delivery)
