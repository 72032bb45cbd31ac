"""The commands that ask log files of any size directly, without a case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from loomtriage.cli.options import End, Last, Start, parameters_of
from loomtriage.cli.terminal import fail, printable
from loomtriage.errors import Exit, UsageError

app = typer.Typer(help="Ask log files directly.", no_args_is_help=True, rich_markup_mode=None)
MAX_ROWS = 25
"""Values shown in a terminal; `--json` gives every one."""

Files = Annotated[
    list[str], typer.Argument(help="Files, folders (their .log and .jsonl) or patterns.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]


@app.command("count")
def count(  # noqa: PLR0913, PLR0917  (one parameter per documented option)
    files: Files,
    by: Annotated[str, typer.Option(help="Key whose values are counted.")] = "reason",
    start: Start = "",
    end: End = "",
    last: Last = "",
    as_json: AsJson = False,
) -> None:
    """Count log lines by what they say under one key; every skipped byte is accounted for.

    Example: loomtriage logs count worker.jsonl --by reason
    """
    from loomtriage.model import Window
    from loomtriage.sources.lines.counts import counts

    given = parameters_of(last=last, start=start, end=end)
    window = Window.parse(given["start"], given["end"]) if any(given.values()) else None
    answer = counts(_paths(files), by, window=window)
    _check(answer.tallies, answer.unread, files)
    rows, whole = answer.table().to_numpy().tolist(), answer.total()
    if as_json:
        told = {
            "by": by,
            "lines": dict(rows),
            "parsed": whole.parsed,
            "parsed_bytes": whole.parsed_bytes,
            "skipped": answer.skipped().to_dict("records"),
            "unread": dict(answer.unread),
        }
        print(json.dumps(told, indent=1))
    else:
        for value, lines in rows[:MAX_ROWS]:
            print(f"{lines:>12}  {printable(value) or f'(no {by})'}")
        if len(rows) > MAX_ROWS:
            print(f"and {len(rows) - MAX_ROWS} more values; --json shows all.")
        print(f"{whole.parsed} log lines, {whole.parsed_bytes} bytes.")
        for kind, size in sorted(whole.skipped.items()):
            print(f"Skipped as {kind}: {whole.skipped_lines[kind]} lines, {size} bytes.")
        _say_unread(answer.unread)
    raise typer.Exit(int(Exit.OK if rows else Exit.NO_DATA))


@app.command("find")
def find(
    files: Files,
    value: Annotated[str, typer.Argument(help="The id, as it stands in the lines.")],
    key: Annotated[str, typer.Option(help="Key that has this value.")] = "trace_id",
    index: Annotated[
        bool, typer.Option("--index", help="Make an index once and look up by it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find the log lines that carry an id, whatever the size of the files.

    Example: loomtriage logs find worker.jsonl 4bf92f3577b34da6a3ce929d0e0e4736 --key trace_id
    """
    from loomtriage.settings import settings
    from loomtriage.sources.lines.lookup import index_files, lookup

    paths = _paths(files)
    cache = settings().home_dir() / "log-indices" if index else None
    if cache is not None:
        index_files(paths, cache=cache, key=key)
    answer = lookup(paths, value, key=key, cache=cache)
    _check(answer.accounts, answer.unread, files)
    if as_json:
        told = {
            "key": key,
            "value": value,
            "lines": [{"file": one.file, "line": one.line, "raw": one.raw} for one in answer.lines],
            "lines_seen": {name: one.lines_seen for name, one in answer.accounts.items()},
            "no_rows": {name: dict(one.no_rows) for name, one in answer.accounts.items()},
            "unread": dict(answer.unread),
        }
        print(json.dumps(told, indent=1))
    else:
        for one in answer.lines:
            print(printable(f"{one.file}:{one.line}: {one.raw}"))
        for name, account in answer.accounts.items():
            others = ", ".join(f"{kind} {n}" for kind, n in sorted(account.no_rows.items()))
            how = "have it, by index" if account.by_index else "hold it"
            seen = f"{name}: {account.hits} of {account.lines_seen} lines {how}"
            print(printable(seen + (f"; no log line of that {key}: {others}." if others else ".")))
        _say_unread(answer.unread)
    raise typer.Exit(int(Exit.OK if answer.lines else Exit.NO_DATA))


def _paths(files: Sequence[str]) -> list[Path]:
    if "-" in files:
        raise UsageError("Standard input is read by cases only.", hint="Give a file here.")
    return [Path(one).expanduser() for one in files]


def _check(read: Mapping[str, object], unread: Mapping[str, str], files: Sequence[str]) -> None:
    """Fail with one line when nothing could be read at all."""
    if not read:
        why = "; ".join(f"{name}: {reason}" for name, reason in unread.items())
        fail(f"No log file could be read: {why or ', '.join(files)}. Check the path.", Exit.NO_DATA)


def _say_unread(unread: Mapping[str, str]) -> None:
    for name, why in unread.items():
        print(printable(f"{name} was not read: {why}."))
