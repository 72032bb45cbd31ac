"""One investigation: validated parameters, windows, scope and sources, opened in one place."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from loomtriage.contract import catalogue
from loomtriage.contract.catalogue import MetricType
from loomtriage.contract.keys import (
    CHRONICLE,
    OUTBOX_TABLES,
    PROJECTION_ALIASES,
    canonical_projection,
)
from loomtriage.contract.spans import BATCH, CHRONICLE_SERVICE, SEARCH_SERVICE
from loomtriage.errors import Refused, UsageError
from loomtriage.evidence import SET_BY, Evidence, open_evidence, secrets_of
from loomtriage.handover import before, read_handover
from loomtriage.model import Frame, Origin, Scope, Signal, Window
from loomtriage.model.window import iso, parse_instant, parse_span
from loomtriage.report.tables import Table
from loomtriage.settings import settings
from loomtriage.sources.question import Question
from loomtriage.sources.tape import Live, Recording, Tape

DEFAULT_LAST = "15m"
TRACE_LIMIT = 200
VISITORS = "visitors.jsonl"
"""The book of who looks, beside a run folder or in a lab's; only while a blind round goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One stage of one investigation.

    Attributes:
        stage: id of the stage that asked.
        source: source spec as given.
        window, baseline: aware UTC; the baseline is None when the evidence has none.
        scope: what earlier stages narrowed to.
        asked: what the user kept to; metrics are always asked for all of it, so that what goes
            well beside the fault stays in sight.
        evidence: the opened sources.
        handover: what earlier stages left (pivots, numbers), by key.
        folder: run folder to write into, None when run by hand.
        pictures: whether charts are drawn; who only reads the verdict does without, twice as fast.
    """

    stage: str
    source: str
    window: Window
    baseline: Window | None
    scope: Scope
    asked: Scope = field(default_factory=Scope)
    evidence: Evidence
    handover: Mapping[str, object]
    folder: Path | None
    pictures: bool = True

    def pull(self, what: str) -> Frame:
        """Ask a source: a metric's catalogue id, or `spans`, `spans_before`, `lines`, `rows`.

        Metrics and lines come back over baseline and window together. A source that is missing
        or damaged gives an empty frame that says why.

        Raises:
            UsageError: nothing has that name.
        """
        if what in _QUESTIONS:
            return self.ask(_QUESTIONS[what](self))
        return self.pull_metrics(what)

    def pull_metrics(self, *ids: str) -> Frame:
        """Several metrics by catalogue id.

        All of the catalogue is asked at once, so that a recording answers for each of them and
        a notebook may dig where the headless run did not.
        """
        for name in ids:
            if name not in catalogue.BY_ID:
                known = ", ".join([*catalogue.BY_ID, *_QUESTIONS])
                raise UsageError(f"Nothing is called {name[:60]!r}.", hint=f"Pull one of {known}.")
        asked = tuple(m.name for m in catalogue.METRICS if m.type is not MetricType.HISTOGRAM)
        question = Question(
            signal=Signal.METRICS, window=self.span, metrics=asked, scope=self.asked
        )
        frame = self.ask(question)
        wanted = [catalogue.BY_ID[name].name for name in ids]
        chosen = frame.data.columns.get_level_values("metric").isin(wanted)
        return replace(frame, data=frame.data.loc[:, chosen])

    @property
    def span(self) -> Window:
        """Baseline and window together."""
        return Window(self.baseline.start, self.window.end) if self.baseline else self.window

    def ask(self, question: Question) -> Frame:
        """Put one question to the source of its signal."""
        source = self.evidence.sources.get(question.signal)
        if source is not None:
            return source.pull(question)
        origin = Origin(source=question.signal.value, query=question.key, window=question.window)
        return Frame.empty(
            question.kind,
            origin,
            missing="not_configured",
            hint=f"No source of {question.signal} is configured. {self._sets(question.signal)}",
        )

    def _repr_html_(self) -> str:
        sources = self.evidence.sources
        there = [str(s) for s in Signal if sources.get(s) is not None]
        gone = [str(s) for s in Signal if sources.get(s) is None]
        rows = {
            "stage": self.stage,
            "source": self.source,
            "window": str(self.window),
            "baseline": str(self.baseline) if self.baseline else "none",
            "scope": str(self.scope) or "everything",
            "signals": ", ".join(there) + (f"; not configured: {', '.join(gone)}" if gone else ""),
        }
        columns = ("what", "value")
        return Table(
            id="case", title="Case", columns=columns, rows=tuple(rows.items())
        )._repr_html_()

    def _sets(self, signal: Signal) -> str:
        return f"Set {SET_BY[signal]}." if self.evidence.sources.spec == "live" else ""


def at_once(*asks: Callable[[], Frame]) -> tuple[Frame, ...]:
    """Ask several servers at the same time: together they take as long as the slowest."""
    with ThreadPoolExecutor(len(asks), thread_name_prefix="ask") as pool:
        return tuple(pool.map(lambda ask: ask(), asks))


def _service_spans(case: Case, window: Window) -> Question:
    service = CHRONICLE_SERVICE if case.scope.projection == CHRONICLE else SEARCH_SERVICE
    return Question(
        signal=Signal.TRACES, window=window, service=service, operation=BATCH, limit=TRACE_LIMIT
    )


_QUESTIONS: dict[str, Callable[[Case], Question]] = {
    "spans": lambda case: _service_spans(case, case.window),
    "spans_before": lambda case: _service_spans(case, case.baseline or case.window),
    "lines": lambda case: Question(signal=Signal.LOGS, window=case.span),
    "rows": lambda case: Question(signal=Signal.ROWS, window=case.span),
}


def open_case(  # noqa: PLR0913  (one argument per notebook parameter)
    stage: str,
    *,
    source: str,
    start: str = "",
    end: str = "",
    baseline: str = "",
    env: str = "",
    projection: str = "",
    handover: str = "",
) -> Case:
    """Validate parameters and open the sources; nothing is asked yet.

    Args:
        stage: id of the stage.
        source: `live`, `lab[:NAME]`, `example:ID`, `run:DIR` or `labs:DIR`.
        start: ISO 8601 with offset; empty takes the recorded window, or the last 15 minutes.
        end: as start; half-open.
        baseline: length of the baseline (`90s`), or its ISO start; empty takes the recorded
            one, or the window's own length.
        env: keep to this environment.
        projection: keep to this projection.
        handover: run folder that earlier stages left; this stage continues and writes there.

    Raises:
        UsageError: a parameter does not make sense, or a recording does not hold it.
        BundleDamaged: a recorded run does not match its manifest.
    """
    folder = Path(handover) if handover else None
    if folder is not None and not folder.is_dir():
        raise UsageError(
            f"handover {handover[:120]!r} is no folder.",
            hint="Give the run folder of the earlier stage, or leave it empty.",
        )
    secrets = secrets_of(source)
    tape: Tape = Recording(folder / "tape", secrets=secrets) if folder else Live(secrets=secrets)
    evidence = open_evidence(source, tape=tape)
    window = _window(evidence, start=start, end=end)
    before_it = _baseline(evidence, window, baseline)
    evidence.refuse_unrecorded(window, before_it, env=env)
    env = evidence.env if evidence.is_tape else env
    projection = _projection(projection)
    # The path begins anew: what a recorded run had concluded is not its to know.
    earlier = () if stage == "path" else evidence.handover
    left = before(read_handover(folder) if folder else earlier, stage)
    _sign(source, stage)
    return Case(
        stage=stage,
        source=source,
        window=window,
        baseline=before_it,
        scope=_scope(left, env=env, projection=projection),
        asked=Scope(env=env, projection=projection),
        evidence=evidence,
        handover=left,
        folder=folder,
    )


def _sign(source: str, stage: str) -> None:
    """Sign the visitors' book where one lies open: in a blind round every look counts.

    Raises:
        Refused: one lies open and cannot be signed; a look that nobody counts is not to be had.
    """
    kind, _, rest = source.partition(":")
    if kind == "run":
        place = Path(rest).expanduser().resolve().parent
    elif kind == "lab":
        place = settings().home_dir() / "labs" / (rest or "default")
    else:
        return
    line = json.dumps({"at": iso(datetime.now(UTC)), "what": stage}) + "\n"
    try:
        book = os.open(place / VISITORS, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(book, "wb") as file:
            file.write(line.encode())
    except FileNotFoundError:
        return  # no blind round goes on there
    except OSError as error:
        raise Refused(
            f"A blind round goes on there, and its {VISITORS} takes no entry: {error.strerror}.",
            hint="Make it a file again that you may write to, or end the round.",
        ) from None


def _projection(name: str) -> str:
    """The full name of a projection that the contract knows; empty stays empty."""
    full = canonical_projection(name)
    if full and full not in OUTBOX_TABLES:
        known = ", ".join((*PROJECTION_ALIASES, *OUTBOX_TABLES))
        raise UsageError(f"There is no projection {name[:60]!r}.", hint=f"Choose one of {known}.")
    return full


def _scope(left: Mapping[str, object], *, env: str, projection: str) -> Scope:
    inherited = left.get("scope")
    scope = Scope(**inherited) if isinstance(inherited, dict) else Scope()
    return scope.narrow(env=env, projection=projection)


def _window(evidence: Evidence, *, start: str, end: str) -> Window:
    if bool(start) != bool(end):
        raise UsageError(
            "Only one end of the window is given.", hint="Give start and end, or none."
        )
    if start:
        return Window.parse(start, end)
    if evidence.window is not None:
        return evidence.window
    return Window.last(parse_span(DEFAULT_LAST), now=datetime.now(UTC))


def _baseline(evidence: Evidence, window: Window, text: str) -> Window | None:
    if text and text[0].isdigit() and text[-1] in "smhd":
        return window.before(parse_span(text, name="baseline"))
    if text:
        return Window(parse_instant(text, name="baseline"), window.start)
    if evidence.window is not None and window == evidence.window:
        return evidence.baseline
    return window.before()
