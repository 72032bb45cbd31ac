"""Options that several commands share, each documented once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.errors import UsageError

Source = Annotated[
    str, typer.Option(help="live, lab[:NAME], example:ID, run:DIR or labs:DIR.", show_default=True)
]
Start = Annotated[str, typer.Option(help="Start of the window, ISO 8601 with offset.")]
End = Annotated[str, typer.Option(help="End of the window (exclusive), ISO 8601 with offset.")]
Last = Annotated[str, typer.Option(help="Window that ends now: 90s, 15m, 2h.")]
Baseline = Annotated[
    str, typer.Option(help="Length of the baseline, or its start; default: as long.")
]
Env = Annotated[str, typer.Option(help="Keep to this environment.")]
Projection = Annotated[str, typer.Option(help="Keep to this projection.")]
Out = Annotated[str, typer.Option(help="Folder that receives the run folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")]
JsonLines = Annotated[
    bool, typer.Option("--json", help="Print each drill as one line of JSON: verdict and result.")
]
Ports = Annotated[str, typer.Option(help="fixed (the documented ports) or auto (free ones).")]
Name = Annotated[str, typer.Option("--name", help="Name of the lab.")]


def parameters_of(*, last: str, **given: str) -> dict[str, str]:
    """Parameters of a case; `last` becomes a window that ends now."""
    if not last:
        return given
    if given["start"] or given["end"]:
        raise UsageError("--last and --start/--end exclude each other.", hint="Give one of them.")
    from loomtriage.model import Window
    from loomtriage.model.window import iso, parse_span

    window = Window.last(parse_span(last, name="--last"), now=datetime.now(UTC))
    return {**given, "start": iso(window.start), "end": iso(window.end)}


def out_dir(text: str) -> Path:
    """Folder that receives the run folder: `--out`, else the setting."""
    from loomtriage.settings import settings

    return Path(text).expanduser().absolute() if text else settings().runs_dir()


def worker_command(text: str) -> tuple[str, ...]:
    """The words of `--worker-cmd`, as a shell would take them; none when it is empty.

    Raises:
        UsageError: it is no command, with a quote that does not end.
    """
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"The worker command cannot be read: {error}.", hint="Close its quotes."
        ) from None


def lab_root(name: str) -> Path:
    """Folder of the lab of that name."""
    from loomtriage.evidence import check_lab_name
    from loomtriage.settings import settings

    return settings().home_dir() / "labs" / check_lab_name(name)
