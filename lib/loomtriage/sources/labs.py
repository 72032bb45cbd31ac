"""Wordloom's own evidence folders as sources: metrics, traces and log lines of one finished run.

What the harness concluded, and what it calls the run, is never read: the triage stays blind.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.errors import UsageError
from loomtriage.model import Window
from loomtriage.sources.files import read_file
from loomtriage.sources.lines.files import LogFile
from loomtriage.sources.lines.reader import Reading, read_lines
from loomtriage.sources.logs import MAX_FILE_BYTES, Logs, read_files
from loomtriage.sources.metrics.promql import wire_names
from loomtriage.sources.metrics.snapshots import Process, Times, estimate, matrix, read_processes
from loomtriage.sources.prometheus import Prometheus
from loomtriage.sources.question import Question
from loomtriage.sources.source import Sources
from loomtriage.sources.spans.exports import Exports, read_exports
from loomtriage.sources.tape import RawAnswer, Tape
from loomtriage.sources.traces import Traces

_PARTS = ("_metrics", "_logs", "_exports")
_LOG = re.compile(r"^worker(\d{1,3}|-v\d{1,3})?-")
_ENV = re.compile(
    rb"/wordloom_(dev|test|sandbox)\b|\bwordloom-(dev|test|sandbox)-search-index\b"
    rb'|"wordloom_(dev|test|sandbox)"'
)
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabsEvidence:
    """One evidence folder, opened.

    Attributes:
        sources: metrics, traces and logs; there are no rows.
        window: the run, from its signals (aware UTC).
        baseline: None, a run holds no time before its fault.
        env: from the name of database or index, empty when neither shows.
        caveats: stated limits, one sentence each.
    """

    sources: Sources
    window: Window
    baseline: Window | None
    env: str
    caveats: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Everything that was read to know when the run was."""

    processes: tuple[Process, ...]
    times: dict[str, Times]
    exports: Exports
    logs: tuple[LogFile, ...]
    readings: tuple[Reading, ...]
    triggered: frozenset[str]
    env: str
    window: Window


def labs(folder: Path, *, tape: Tape) -> LabsEvidence:
    """Open the evidence folder of one Wordloom run.

    Raises:
        UsageError: the folder is none, or nothing in it carries a time.
    """
    run = _read(folder)
    sources = Sources(
        spec="labs",
        metrics=Prometheus("", tape=tape, ask=lambda question: _metrics(run, question)),
        traces=Traces(
            "", tape=tape, ask=lambda question: run.exports.answer(question, run=run.window)
        ),
        logs=Logs((), tape=tape, ask=lambda question: read_files(run.logs, window=question.window)),
    )
    return LabsEvidence(
        sources=sources,
        window=run.window,
        baseline=None,
        env=run.env,
        caveats=(*_caveats(run), *_foreign_rows(run)),
    )


def _read(folder: Path) -> _Run:
    try:
        present = [part for part in _PARTS if (folder / part).is_dir()]
    except OSError:
        present = []
    if not present:
        parts = (at for deep in ("*/*", "*/*/*") for at in sorted(folder.glob(deep)))
        run = next((at.parent for at in parts if at.name in _PARTS), "<scenario>/<run id>")
        raise UsageError(
            f"{folder} is no Wordloom evidence folder: it has no _metrics, _logs or _exports.",
            hint=f"Give the folder of one run, such as {run}.",
        )
    processes = read_processes(folder / "_metrics")
    exports = read_exports(folder / "_exports", run_folder=folder)
    logs = _log_files(folder / "_logs")
    data = [_bytes(file.path) for file in logs]
    readings = tuple(read_lines(d, file=f.name) for d, f in zip(data, logs, strict=True))
    times, window = _when(processes, exports, readings)
    return _Run(
        processes=processes,
        times=times,
        exports=exports,
        logs=logs,
        readings=readings,
        triggered=_triggered(folder),
        env=_env([*data, *(str(trace).encode() for trace in exports.traces)]),
        window=window,
    )


def _when(
    processes: tuple[Process, ...], exports: Exports, readings: tuple[Reading, ...]
) -> tuple[dict[str, Times], Window]:
    """Scrape times and the run's window, from the signals alone.

    `created_at` in the recipe is local time without offset, so it is not read.
    """
    stamps = [stamp.timestamp() for stamp in exports.stamps]
    not_after = max(stamps, default=math.inf)
    last_of = {r.lines[0].file: r.last.timestamp() for r in readings if r.lines and r.last}
    times = {}
    for process in processes:
        seen = last_of.get(f"{process.name}.log", 0.0)
        found = estimate(process, last_seen=seen, not_after=not_after)
        if found is not None:
            times[process.name] = found
    starts = [t.start for t in times.values()]
    starts += [r.first.timestamp() for r in readings if r.first is not None]
    starts = starts or [span.start_ns / 1e9 for span in exports.spans]
    if not starts:
        raise UsageError(
            "Nothing in the evidence folder carries a time.",
            hint="Give a run with scrapes, structured logs or exported traces.",
        )
    start = min(starts)
    ends = [start, exports.last_end(since=start), *last_of.values()]
    ends += [t.after for t in times.values()]
    return times, Window(_utc(math.floor(start)), _utc(math.floor(max(ends)) + 1))


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _metrics(run: _Run, question: Question) -> RawAnswer:
    trouble = [text for process in run.processes for text in process.trouble]
    timed = {p.name: (p, run.times[p.name]) for p in run.processes if p.name in run.times}
    caveats = tuple(f"partial: {text}" for text in trouble)
    if not timed:
        missing = next((p.missing for p in run.processes if p.missing), "not_recorded")
        hint = "No scrape of this run can be read; take the counters from a live source."
        said = "\n".join(trouble).encode()
        return RawAnswer(body=said, media="txt", missing=missing, hint=hint, caveats=caveats)
    wanted = question.scope.env
    if wanted and run.env and wanted != run.env:
        hint = f"This run is of env={run.env}, the question is about {wanted}."
        return RawAnswer(missing="empty", hint=hint, caveats=caveats)
    estimated = (
        "estimated: the scrapes carry no time; it was estimated from counters' birth, the oldest "
        "row's age and the last log line. Counters are taken as 0 when their process started."
    )
    body = matrix(timed, names=wire_names(question), env=run.env)
    return RawAnswer(body=body, caveats=(*caveats, estimated))


def _caveats(run: _Run) -> list[str]:
    caveats = ["estimated: the run's window comes from its signals; a run has no baseline."]
    if run.env:
        caveats.append(f"env={run.env} was read from the name of the database or the index.")
    moved = [text for process in run.processes for text in process.moved_before]
    if moved:
        more = f" and {len(moved) - _SHOWN} more" if len(moved) > _SHOWN else ""
        shown = "; ".join(moved[:_SHOWN])
        caveats.append(f"contaminated: not zero before the first scrape: {shown}{more}.")
    return caveats


def _foreign_rows(run: _Run) -> list[str]:
    seen = run.exports.rows(run.window)
    for reading in run.readings:
        for line in reading.lines:
            named = str(line.fields.get("outbox_event_id", "")).lower()
            if "outbox event" in line.message:
                named += " " + line.message.lower()
            seen |= set(_UUID.findall(named))
    foreign = seen - run.triggered
    if not run.triggered or not foreign:
        return []
    says = (
        f"foreign: {len(foreign)} of {len(seen)} outbox rows in spans and lines were not triggered"
    )
    return [f"{says} by this run, which triggered {len(run.triggered)}."]


def _triggered(folder: Path) -> frozenset[str]:
    found: set[str] = set()
    for path in sorted(folder.glob("_outbox_event_id*.txt")):
        text = _bytes(path).decode("utf-8-sig", "replace")
        found |= set(_UUID.findall(text.lower()))
    return frozenset(found)


def _log_files(folder: Path) -> tuple[LogFile, ...]:
    """Log files under neutral names: Wordloom's carry the scenario."""
    files = []
    for number, path in enumerate(sorted(folder.glob("*.log")), start=1):
        match = _LOG.match(path.name)
        name = f"worker{match[1] or ''}.log" if match else f"log{number}.log"
        files.append(LogFile(path=path, name=name))
    return tuple(files)


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path, max_bytes=MAX_FILE_BYTES).data
    except OSError:
        return b""


def _env(texts: list[bytes]) -> str:
    """The one environment that database or index names agree on, never guessed."""
    found = {
        next(part for part in match.groups() if part)
        for text in texts
        for match in _ENV.finditer(text.replace(b"'", b'"'))
    }
    return found.pop().decode() if len(found) == 1 else ""
