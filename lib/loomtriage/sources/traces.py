"""Spans from a Jaeger query API: v3 first, the older search where v3 is not there yet."""

from __future__ import annotations

import json
import re

import pandas as pd

from loomtriage.contract.keys import canonical_projection, read_key
from loomtriage.contract.spans import SERVICES
from loomtriage.model import Finding, Frame, Kind, Scope, Signal, Window
from loomtriage.model.frame import SPAN_COLUMNS
from loomtriage.model.window import iso
from loomtriage.sources.deadline import Deadline
from loomtriage.sources.http import Http, Limits, Reply
from loomtriage.sources.jaeger import Span, documents, read_traces
from loomtriage.sources.json_text import read_json
from loomtriage.sources.question import Question
from loomtriage.sources.source import Ask, frame_of, in_files, origin_of, probed
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

MAX_IDS = 50
"""Traces fetched by id in one question; examples, not a census."""
_ID = re.compile(r"^[0-9a-fA-F]{1,32}$")
_ABSENT = RawAnswer(missing="not_configured", hint="Set LOOMTRIAGE_JAEGER_URL.")
_APPEARS = (
    "No span started in the window. Check that tracing is on (WORDLOOM_TRACING_ENABLED=1), that "
    "the collector was there when the worker started, and the sampler."
)


class Traces:
    """The trace source. `ask` replaces the server, for evidence that stands in files."""

    name = "traces"
    signal = Signal.TRACES

    def __init__(
        self, url: str, *, tape: Tape, limits: Limits | None = None, ask: Ask | None = None
    ) -> None:
        self._http = Http(url, limits=limits) if url else None
        self._tape = tape
        self._ask = ask or self._query
        self._look = in_files if ask else self._services

    def pull(self, question: Question) -> Frame:
        """Spans that started in the window; traces asked by id come back whole."""
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
        deadline = self._http.deadline()
        reply = self._http.get("/api/v3/services", deadline=deadline)
        if _is_absent(reply):
            reply = self._http.get("/api/services", deadline=deadline)
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
        deadline = self._http.deadline()
        if question.trace_ids:
            return self._by_id(self._http, question, deadline)
        services = (question.service,) if question.service else SERVICES
        replies = [_search(self._http, name, question, deadline=deadline) for name in services]
        return _joined(replies, of="services")

    def _by_id(self, http: Http, question: Question, deadline: Deadline) -> RawAnswer:
        wanted = sorted({one.lower() for one in question.trace_ids})
        good = [one for one in wanted if _ID.match(one)][:MAX_IDS]
        replies = []
        for trace_id in good:
            reply = http.get(f"/api/v3/traces/{trace_id}", deadline=deadline)
            if _is_absent(reply):
                reply = http.get(f"/api/traces/{trace_id}", deadline=deadline)
            replies.append(reply)
        answer = _joined(replies, of="traces asked by id")
        if len(good) == len(wanted):
            return answer
        note = f"partial: {len(wanted) - len(good)} of {len(wanted)} trace ids were not asked for."
        return RawAnswer(
            body=answer.body,
            fetched_at=answer.fetched_at,
            media=answer.media,
            missing=answer.missing,
            hint=answer.hint,
            caveats=(*answer.caveats, note),
        )


def _search(http: Http, service: str, question: Question, *, deadline: Deadline) -> Reply:
    window = question.window
    params = [
        ("query.serviceName", service),
        ("query.startTimeMin", iso(window.start)),
        ("query.startTimeMax", iso(window.end)),
        ("query.searchDepth", str(question.limit)),
    ]
    if question.operation:
        params.append(("query.operationName", question.operation))
    reply = http.get("/api/v3/traces", params, deadline=deadline)
    if not _is_absent(reply):
        return reply
    older = [
        ("service", service),
        ("start", str(int(window.start.timestamp() * 1_000_000))),
        ("end", str(int(window.end.timestamp() * 1_000_000))),
        ("limit", str(question.limit)),
    ]
    if question.operation:
        older.append(("operation", question.operation))
    return http.get("/api/traces", older, deadline=deadline)


def _is_absent(reply: Reply) -> bool:
    """Whether the path is unknown: a page of the user interface, or a 404 that is not Jaeger's."""
    if reply.status == 404:
        return not _says_none(reply)
    return reply.status == 200 and reply.body.lstrip()[:1] == b"<"


def _says_none(reply: Reply) -> bool:
    """Jaeger answers "no traces" with 404: `{"error": {...}}` in v3, `{"errors": [...]}` before."""
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and ("error" in answer or "errors" in answer)


def _joined(replies: list[Reply], *, of: str) -> RawAnswer:
    """Several replies as one answer, a JSON document a line; partial where some failed."""
    lines: list[str] = []
    bad: list[tuple[str, str, bytes]] = []
    for reply in replies:
        if reply.status == 404 and _says_none(reply):
            continue
        if reply.missing:
            bad.append((reply.missing, reply.hint, reply.body))
            continue
        try:
            lines += [json.dumps(one, separators=(",", ":")) for one in documents(reply.body)]
        except Unreadable as damage:
            bad.append((damage.missing, damage.hint, reply.body))
    caveats = tuple(dict.fromkeys(note for reply in replies for note in reply.caveats))
    body = "\n".join(lines).encode()
    if not bad:
        return RawAnswer(body=body, media="jsonl", caveats=caveats)
    word, hint, wrong = bad[0]
    if not lines:
        return RawAnswer(body=wrong, media="txt", missing=word, hint=hint, caveats=caveats)
    note = f"partial: {len(bad)} of {len(replies)} {of} gave no data ({word})."
    return RawAnswer(body=body, media="jsonl", caveats=(*caveats, note))


def _parse(body: bytes, question: Question) -> tuple[pd.DataFrame, tuple[str, ...]]:
    read = read_traces(body)
    notes = []
    if not question.trace_ids and max(read.traces_per_document, default=0) >= question.limit:
        notes.append(
            f"truncated: the search gave its limit of {question.limit} traces; there are more."
        )
    if read.unreadable:
        notes.append(f"partial: {read.unreadable} spans cannot be read.")
    unique: dict[tuple[str, str], Span] = {}
    for span in read.spans:
        unique.setdefault((span.trace_id, span.span_id), span)
    doubles = len(read.spans) - len(unique)
    if doubles:
        notes.append(f"{doubles} repeated spans were left out (same trace id and span id).")
    kept = [span for span in unique.values() if _belongs(span, question)]
    kept.sort(key=lambda span: (span.start_ns, span.trace_id, span.span_id))
    return span_table(kept), tuple(notes)


def _belongs(span: Span, question: Question) -> bool:
    if question.trace_ids:
        return True
    return _in_window(span, question.window) and _in_scope(span, question.scope)


def _in_window(span: Span, window: Window) -> bool:
    return (
        round(window.start.timestamp() * 1e6)
        <= span.start_ns // 1000
        < round(window.end.timestamp() * 1e6)
    )


def _in_scope(span: Span, scope: Scope) -> bool:
    """A span without the key stays: the API's spans carry no projection."""
    for name, wanted in (
        ("env", scope.env),
        ("projection", canonical_projection(scope.projection)),
    ):
        found = read_key(name, span.attributes)
        if wanted and found and found != wanted:
            return False
    return True


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
    return f"{of} limit={question.limit}"


SOURCE = Traces
