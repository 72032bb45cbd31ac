"""Jaeger searches: one question as few requests, halved while they saturate, failures not lost."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC

from loomtriage.contract.keys import spellings
from loomtriage.contract.spans import SERVICES
from loomtriage.model import Window
from loomtriage.sources.http import Http, Reply
from loomtriage.sources.question import Question
from loomtriage.sources.spans.jaeger import documents
from loomtriage.sources.spans.trace_documents import merged, only, trace_ids
from loomtriage.sources.tape import RawAnswer, Unreadable

MAX_IDS = 50
"""Traces fetched by id in one question; examples, not a census."""
MAX_HALVES = 14
"""Searches of halves that one search may lead to: eight parts of the window."""
SPLIT_UNTIL = 0.4
"""Share of the deadline that is left for what comes after the halves."""
MIN_SPLIT_S = 0.05
FAILING = ({"result": "retry"}, {"result": "failed"}, {"error": "true"})
"""What a span of a failing trace carries; each is searched for on its own."""
_ID = re.compile(r"^[0-9a-fA-F]{1,32}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search of one service."""

    service: str
    operation: str
    attributes: Mapping[str, str]
    window: Window
    limit: int

    def halves(self) -> tuple[Search, Search]:
        """The same search over the first and over the second half of its window."""
        window = self.window
        middle = window.start + (window.end - window.start) / 2
        first, second = Window(window.start, middle), Window(middle, window.end)
        return replace(self, window=first), replace(self, window=second)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What one search came to: its documents, or the reply that says why there are none."""

    documents: tuple[object, ...] = ()
    traces: int = 0
    missing: str = ""
    hint: str = ""
    body: bytes = b""
    caveats: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Gathered:
    """Documents of all searches so far; a trace that two searches found is kept once."""

    good: list[object] = field(default_factory=list)
    bad: list[_Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    searches: int = 0
    _seen: set[str] = field(default_factory=set)

    def add(self, found: _Found) -> None:
        self.notes += found.caveats
        for document in found.documents:
            self.good.append(only(document, lambda one: one not in self._seen))
            self._seen |= trace_ids(document)

    def answer(self, *, of: str) -> RawAnswer:
        """One document a line; partial where some searches failed."""
        body = "\n".join(json.dumps(one, separators=(",", ":")) for one in self.good).encode()
        caveats = tuple(dict.fromkeys(self.notes))
        if not self.bad:
            return RawAnswer(body=body, media="jsonl", caveats=caveats)
        first = self.bad[0]
        if not self.good:
            return RawAnswer(
                body=first.body,
                media="txt",
                missing=first.missing,
                hint=first.hint,
                caveats=caveats,
            )
        note = f"partial: {len(self.bad)} of {self.searches} {of} gave no data ({first.missing})."
        return RawAnswer(body=body, media="jsonl", caveats=(*caveats, note))


class Jaeger:
    """One pull from one query API; the newer form first, the older where that is not there."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self._deadline = http.deadline()

    def services(self) -> Reply:
        """The services that are known."""
        return self._either("/api/v3/services", "/api/services")

    def by_id(self, question: Question) -> RawAnswer:
        """Whole traces; ids that are none, and ids over the bound, are counted."""
        wanted = sorted({one.lower() for one in question.trace_ids})
        good = [one for one in wanted if _ID.match(one)][:MAX_IDS]
        gathered = _Gathered(searches=len(good))
        for one in good:
            found = _read(self._either(f"/api/v3/traces/{one}", f"/api/traces/{one}"))
            gathered.notes += found.caveats
            gathered.good += found.documents
            gathered.bad += [found] if found.missing else []
        if len(good) < len(wanted):
            gathered.notes.append(
                f"partial: {len(wanted) - len(good)} of {len(wanted)} trace ids were not asked for."
            )
        return gathered.answer(of="traces asked by id")

    def search(self, question: Question) -> RawAnswer:
        """Traces by service, operation and attributes; says so when there are more."""
        searches = list(_searches(question))
        gathered = _Gathered(searches=len(searches))
        for search in searches:
            self._exhaust(search, gathered)
        return gathered.answer(of="searches" if question.attributes else "services")

    def _exhaust(self, search: Search, gathered: _Gathered) -> None:
        whole = self._one(search)
        if whole.missing:
            gathered.bad.append(whole)
            return
        parts: list[_Found] = [whole]
        full: list[_Found] = []
        if whole.traces >= search.limit:
            parts, full = self._split(search, whole)
        for part in parts:
            gathered.add(part)
        if full:
            asked = self._failing(search, gathered)
            gathered.notes.append(
                f"truncated: {len(full)} of {len(parts)} searches of {search.service} gave their "
                f"limit of {search.limit} traces; there are more.{asked}"
            )

    def _split(self, search: Search, whole: _Found) -> tuple[list[_Found], list[_Found]]:
        """Halve until nothing saturates, or until requests or time run out: all parts, full ones.

        A part is replaced by its halves only when both of them answered.
        """
        waiting, done, left = deque([(search, whole)]), [], MAX_HALVES
        while waiting and left >= 2 and self._has_time(waiting[0][0]):
            halves = [(half, self._one(half)) for half in waiting[0][0].halves()]
            left -= 2
            if any(found.missing for _, found in halves):
                break
            waiting.popleft()
            for half, found in halves:
                if found.traces >= half.limit:
                    waiting.append((half, found))
                else:
                    done.append(found)
        full = [found for _, found in waiting]
        return [*done, *full], full

    def _has_time(self, search: Search) -> bool:
        enough = self._deadline.left_s > SPLIT_UNTIL * self._http.limits.deadline_s
        return enough and search.window.seconds > MIN_SPLIT_S

    def _failing(self, search: Search, gathered: _Gathered) -> str:
        """Ask for failing traces on their own; what a caveat must say about it."""
        if any(name in search.attributes for wanted in FAILING for name in wanted):
            return ""
        answered = 0
        for wanted in FAILING:
            found = self._one(replace(search, attributes={**search.attributes, **wanted}))
            answered += not found.missing
            gathered.add(found)
        if not answered:
            return ""
        return " Failing traces were also searched for by attribute, so their share is too high."

    def _one(self, search: Search) -> _Found:
        return _read(
            self._either(
                "/api/v3/traces", "/api/traces", newer=_newer(search), older=_older(search)
            )
        )

    def _either(
        self,
        path: str,
        older_path: str,
        *,
        newer: tuple[tuple[str, str], ...] = (),
        older: tuple[tuple[str, str], ...] = (),
    ) -> Reply:
        reply = self._http.get(path, newer, deadline=self._deadline)
        if _is_absent(reply):
            reply = self._http.get(older_path, older, deadline=self._deadline)
        return reply


def _searches(question: Question) -> Iterator[Search]:
    """One search a service and spelling of the attributes' names."""
    names = [spellings(name) for name, _ in question.attributes]
    for service in (question.service,) if question.service else SERVICES:
        for number in range(max(map(len, names), default=1)):
            yield Search(
                service=service,
                operation=question.operation,
                attributes={
                    spelled[min(number, len(spelled) - 1)]: value
                    for spelled, (_, value) in zip(names, question.attributes, strict=True)
                },
                window=question.window,
                limit=question.limit,
            )


def _newer(search: Search) -> tuple[tuple[str, str], ...]:
    pairs = (
        ("query.serviceName", search.service),
        ("query.startTimeMin", search.window.start.astimezone(UTC).isoformat()),
        ("query.startTimeMax", search.window.end.astimezone(UTC).isoformat()),
        ("query.searchDepth", str(search.limit)),
        ("query.operationName", search.operation),
        ("query.attributes", json.dumps(search.attributes) if search.attributes else ""),
    )
    return tuple(pair for pair in pairs if pair[1])


def _older(search: Search) -> tuple[tuple[str, str], ...]:
    pairs = (
        ("service", search.service),
        ("start", str(int(search.window.start.timestamp() * 1_000_000))),
        ("end", str(int(search.window.end.timestamp() * 1_000_000))),
        ("limit", str(search.limit)),
        ("operation", search.operation),
        ("tags", json.dumps(search.attributes) if search.attributes else ""),
    )
    return tuple(pair for pair in pairs if pair[1])


def _read(reply: Reply) -> _Found:
    if reply.status == 404 and _says_none(reply):
        return _Found(caveats=reply.caveats)
    if reply.missing:
        return _Found(
            missing=reply.missing, hint=reply.hint, body=reply.body, caveats=reply.caveats
        )
    try:
        found = merged(documents(reply.body))
    except Unreadable as damage:
        return _Found(missing=damage.missing, hint=damage.hint, body=reply.body)
    count = len({one for document in found for one in trace_ids(document)})
    return _Found(documents=tuple(found), traces=count, caveats=reply.caveats)


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
