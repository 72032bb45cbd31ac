"""The command line: every failure becomes one line and its exit code."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from loomtriage.cli import (
    closeout,
    commands,
    compare,
    doctor,
    drill,
    grade,
    incident,
    lab,
    logs,
    pivot,
    publish,
    train,
    watch,
)
from loomtriage.cli.terminal import fail
from loomtriage.errors import Exit, TriageError

app = typer.Typer(
    name="loomtriage",
    help="Metrics narrow, traces locate, logs prove; drills make it muscle memory.",
    epilog="With -v anywhere in a command, a failure shows its traceback.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(commands.app)
app.add_typer(compare.app)
app.add_typer(drill.app)
app.add_typer(doctor.app)
app.add_typer(grade.app)
app.add_typer(incident.app)
app.add_typer(pivot.app)
app.add_typer(publish.app)
app.add_typer(train.app)
app.add_typer(watch.app)
app.add_typer(closeout.app, name="close-out")
app.add_typer(lab.app, name="lab")
app.add_typer(logs.app, name="logs")


def main(argv: list[str] | None = None) -> None:
    """Entry point: every failure becomes one line and its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    verbose = "-v" in arguments
    # What a retry came to is said by the source itself.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    command = typer.main.get_command(app)
    try:
        code = command.main(
            [a for a in arguments if a != "-v"], prog_name="loomtriage", standalone_mode=False
        )
    except TyperException as error:
        _usage(error)
    except TriageError as error:
        if verbose:
            raise
        fail(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        fail("Interrupted.", Exit.INTERRUPTED)
    except BrokenPipeError:
        os._exit(int(Exit.OK))
    except Exception as error:
        if verbose:
            raise
        from loomtriage.sources.redact import safe

        text = _sentence(safe(f"{type(error).__name__}: {error}", limit=300))
        fail(f"{text} This is a defect; run again with -v for the traceback.", Exit.ERROR)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: TyperException) -> NoReturn:
    """What is wrong with the words of a command, and whose help says more."""
    says = error.format_message()
    if says.startswith("Usage:"):  # a command that needs words was given none
        print(says, file=sys.stderr)
        sys.exit(int(Exit.USAGE))
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "loomtriage"
    fail(f"{_sentence(says)} See `{command} --help`.", Exit.USAGE)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
