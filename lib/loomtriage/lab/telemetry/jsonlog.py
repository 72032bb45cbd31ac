"""How the lab's processes log: one JSON object a line on stderr, with contract keys, no secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from opentelemetry import trace

_BASE = frozenset({"ts", "level", "logger", "event", "message", "trace_id", "span_id", "exc_info"})
# A port is no password, even when an @ follows somewhere in the path.
_URL_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.\-]*://[^\s:/@]*):(?!\d+(?:/|\s|$))[^\s@]+@", re.IGNORECASE
)
_DSN_PASSWORD = re.compile(r"(\bpassword\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s'\"]+)", re.IGNORECASE)


def redact(text: str) -> str:
    """The text without passwords of URLs and DSNs."""
    return _DSN_PASSWORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***@", text))


def one_line(error: BaseException) -> str:
    """Class and first line of an exception, for a log field, a span or a table cell.

    httpx appends a second line that points to a web page; it says nothing about the failure.
    """
    text = str(error).strip().splitlines()
    return redact(f"{type(error).__name__}: {text[0]}"[:500] if text else type(error).__name__)


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object; trace and span id are those of the current span."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        event = getattr(record, "event", "")
        if event:
            line["event"] = event
        line["message"] = record.getMessage()
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = trace.format_trace_id(span.trace_id)
            line["span_id"] = trace.format_span_id(span.span_id)
        fields: Mapping[str, object] = getattr(record, "fields", {})
        line.update({name: value for name, value in fields.items() if name not in _BASE})
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps({name: _plain(value) for name, value in line.items()})


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return redact(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """Writes structured events that all carry the same bound fields.

    Attributes:
        logger: where the lines go.
        bound: fields of every line, such as projection and worker id.
    """

    logger: logging.Logger
    bound: Mapping[str, object] = field(default_factory=dict)

    def bind(self, **fields: object) -> EventLog:
        """A log whose lines carry these fields too."""
        return replace(self, bound={**self.bound, **fields})

    def emit(
        self, level: int, event: str, /, *, trouble: BaseException | None = None, **fields: object
    ) -> None:
        """Write one event; `trouble` adds its traceback as `exc_info`."""
        if self.logger.isEnabledFor(level):
            extra = {"event": event, "fields": {**self.bound, **fields}}
            self.logger.log(level, event, extra=extra, exc_info=trouble)


def start_logging(level: str) -> None:
    """Send every logger of this process to stderr as JSON lines; an unknown level means INFO."""
    root = logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root.handlers[:] = [handler]
    known = logging.getLevelNamesMapping()
    root.setLevel(known.get(level.strip().upper(), logging.INFO))
    # Their DEBUG lines describe sockets, not the pipeline.
    for name in ("httpcore", "urllib3", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # One complaint for each long attribute that it cuts, which is what the limit is for.
    logging.getLogger("opentelemetry.attributes").setLevel(logging.ERROR)
