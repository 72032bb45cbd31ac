"""Spans of the window, from a Jaeger query API or from files: read, counted, filtered again."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from loomtriage.model import Finding, Frame, Kind, Signal
from loomtriage.model.frame import SPAN_COLUMNS
from loomtriage.sources.http import Http, Limits
from loomtriage.sources.json_text import read_json
from loomtriage.sources.question import Question
from loomtriage.sources.source import Ask, frame_of, in_files, origin_of, probed
from loomtriage.sources.spans.belonging import belonging
from loomtriage.sources.spans.jaeger import Span, read_traces
from loomtriage.sources.spans.jaeger_search import Jaeger
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

_ABSENT = RawAnswer(
    missing="not_configured", hint="Set LOOMTRIAGE_JAEGER_URL, or LOOMTRIAGE_TRACES."
)
_APPEARS = (
    "No span started in the window. Check that tracing is on (WORDLOOM_TRACING_ENABLED=1), that "
    "the collector was there when the worker started, and the sampler."
)


class Traces:
    """The trace source.

    Args:
        url: base URL of the query API, empty for none.
        tape: recorder or player.
        limits: of one pull.
        ask: replaces the server, for spans that stand in files; `look` replaces its probe.
        look: as said.
    """

    name = "traces"
    signal = Signal.TRACES

    def __init__(
        self,
        url: str,
        *,
        tape: Tape,
        limits: Limits | None = None,
        ask: Ask | None = None,
        look: Callable[[], RawAnswer] | None = None,
    ) -> None:
        self._http = Http(url, limits=limits) if url else None
        self._tape = tape
        self._ask = ask or self._query
        self._look = look or (in_files if ask else self._services)

    def pull(self, question: Question) -> Frame:
        """Spans that started in the window; traces asked by id or attribute come back whole."""
        raw = self._tape.fetch(question.key, lambda: self._ask(question))
        return frame_of(
            Kind.SPANS,
            origin_of(self.name, question, query=_in_words(question), raw=raw),
            raw=raw,
            parse=lambda body: _parse(body, question),
            appears=_APPEARS,
        )

    def probe(self) -> Finding:
        """Whether the query API answers, and which services it knows."""
        return probed(self.name, self._tape.fetch("probe traces", self._look), fine="It answers.")

    def _services(self) -> RawAnswer:
        if self._http is None:
            return _ABSENT
        reply = Jaeger(self._http).services()
        missing, hint = reply.missing, reply.hint
        if not missing:
            try:
                answer = read_json(reply.body)
            except Unreadable as bad:
                return RawAnswer(body=reply.body, missing=bad.missing, hint=bad.hint)
            known = (
                (answer.get("services") or answer.get("data") or [])
                if isinstance(answer, dict)
                else []
            )
            hint = f"Jaeger answers and knows {len(known)} services."
        return RawAnswer(body=reply.body, missing=missing, hint=hint, caveats=reply.caveats)

    def _query(self, question: Question) -> RawAnswer:
        if self._http is None:
            return _ABSENT
        jaeger = Jaeger(self._http)
        return jaeger.by_id(question) if question.trace_ids else jaeger.search(question)


def _parse(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    read = read_traces(body)
    notes = []
    if read.unreadable:
        notes.append(f"partial: {read.unreadable} spans cannot be read.")
    unique: dict[tuple[str, str], Span] = {}
    for span in read.spans:
        unique.setdefault((span.trace_id, span.span_id), span)
    doubles = len(read.spans) - len(unique)
    if doubles:
        notes.append(f"{doubles} repeated spans were left out (same trace id and span id).")
    kept = belonging(list(unique.values()), question)
    kept.sort(key=lambda span: (span.start_ns, span.trace_id, span.span_id))
    return span_table(kept), tuple(notes)


def span_table(spans: list[Span]) -> pd.DataFrame:
    """The SPANS table: `start` aware UTC, `duration_s` seconds."""
    columns = {name: [getattr(s, name) for s in spans] for name in SPAN_COLUMNS if name != "start"}
    starts = pd.to_datetime([span.start_ns for span in spans], unit="ns", utc=True)
    return pd.DataFrame({**columns, "start": starts}, columns=list(SPAN_COLUMNS))


def _in_words(question: Question) -> str:
    if question.trace_ids:
        return f"{len(question.trace_ids)} traces by id"
    of = f"service={question.service or 'any'}"
    if question.operation:
        of += f" operation={question.operation}"
    for name, value in question.attributes:
        of += f" {name}={value}"
    return f"{of} limit={question.limit}"


SOURCE = Traces
