"""Outbox rows by read-only SQL: what is not done yet, and what was done in the window."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pandas as pd
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loomtriage.contract.keys import OUTBOX_TABLES, TRACESTATE_MEMBER, canonical_projection
from loomtriage.contract.reasons import stored_reason
from loomtriage.errors import UsageError
from loomtriage.model import Finding, Frame, Kind, Signal
from loomtriage.model.frame import ROW_COLUMNS
from loomtriage.postgres.dsn import read_dsn, server_of
from loomtriage.postgres.refusals import READER, refusal
from loomtriage.sources.deadline import Deadline, within
from loomtriage.sources.json_text import read_json
from loomtriage.sources.question import Question
from loomtriage.sources.source import frame_of, origin_of, probed, skew_note
from loomtriage.sources.tape import RawAnswer, Tape, Unreadable

MAX_ROWS = 10_000
MAX_TRACESTATE_CHARS = 8192
_TIMES = ("created_at", "updated_at", "next_retry_at", "lease_until", "processed_at")
_SAME = (
    "id",
    "entity_type",
    "entity_id",
    "op",
    "status",
    "attempts",
    "owner",
    "error",
    "replay_count",
)
_COLUMNS = (*_SAME, *_TIMES, "error_reason", "traceparent", "tracestate")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_APPEARS = (
    "No row is waiting, and none was finished in the window. Rows appear when the API writes."
)


class _No(Exception):
    """The database must not, or cannot, be asked; args are the missing word and the hint."""


class Outbox:
    """The outbox source. Of its DSN a hint names host and port, and nothing else is told.

    Args:
        dsn: of a role that can only read.
        tape: recorder or player.
        deadline_s: wall clock of one pull, connecting included.
    """

    name = "outbox"
    signal = Signal.ROWS

    def __init__(self, dsn: str, *, tape: Tape, deadline_s: float = 5.0) -> None:
        self._dsn = dsn.strip()
        self._tape = tape
        self._deadline_s = deadline_s

    def pull(self, question: Question) -> Frame:
        """Rows not done yet, and rows done in the window; at most 10 000."""
        raw = self._tape.fetch(question.key, lambda: self._bounded(question))
        return frame_of(
            Kind.ROWS,
            origin_of(self.name, question, query="rows not done, or done in the window", raw=raw),
            raw=raw,
            parse=_parse,
            appears=_APPEARS,
        )

    def probe(self) -> Finding:
        """Whether the database answers a role that can only read."""
        raw = self._tape.fetch("probe rows", lambda: self._bounded(None))
        return probed(self.name, raw, fine="The database answers, and this role can only read.")

    def _bounded(self, question: Question | None) -> RawAnswer:
        if not self._dsn:
            return RawAnswer(missing="not_configured", hint="Set DATABASE_URL to a read-only role.")
        opened: list[psycopg.Connection[Any]] = []
        deadline = Deadline(self._deadline_s)

        def stop() -> None:
            for connection in opened:
                connection.close()

        try:
            return within(deadline, lambda: self._ask(question, deadline, opened), stop=stop)
        except TimeoutError:
            hint = (
                f"The database did not answer within {self._deadline_s:g} s. Check locks and load."
            )
            return RawAnswer(missing="timeout", hint=hint)

    def _ask(
        self, question: Question | None, deadline: Deadline, opened: list[psycopg.Connection[Any]]
    ) -> RawAnswer:
        try:
            dsn = read_dsn(self._dsn)
        except UsageError as error:
            return RawAnswer(missing="refused", hint=str(error))
        try:
            with psycopg.connect(
                dsn,
                connect_timeout=max(2, math.ceil(deadline.left_s)),
                options="-c default_transaction_read_only=on",
                application_name="loomtriage",
            ) as connection:
                opened.append(connection)
                connection.read_only = True
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                answer = _Reading(connection, budget_s=deadline.left_s).answer(question)
                connection.rollback()
                return answer
        except _No as no:
            return RawAnswer(missing=no.args[0], hint=no.args[1])
        except psycopg.Error as error:
            word, hint = refusal(error.sqlstate or "", str(error), was_in=bool(opened))
            return RawAnswer(missing=word, hint=f"{server_of(dsn)}: {hint}")


class _Reading:
    """One read-only transaction."""

    def __init__(self, connection: psycopg.Connection[Any], *, budget_s: float) -> None:
        self._cursor = connection.cursor(row_factory=dict_row)
        milliseconds = str(max(1, int(budget_s * 1000)))
        for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            self._cursor.execute("SELECT set_config(%s, %s, true)", (setting, milliseconds))

    def answer(self, question: Question | None) -> RawAnswer:
        tables = self._tables()
        gone = [table for table in OUTBOX_TABLES.values() if table not in tables.values()]
        now = datetime.now(UTC)
        told = self._one("SELECT now() AS at")["at"]
        notes = skew_note("database", (told - now).total_seconds())
        notes += tuple(f"partial: the database has no table {name}." for name in gone)
        if question is None:
            return RawAnswer(caveats=notes)
        self._check_env(question.scope.env)
        wanted = canonical_projection(question.scope.projection)
        rows, counts = [], {}
        for projection, table in tables.items():
            if wanted in ("", projection):
                rows += self._rows(projection, table, question)
                counts[projection] = self._counts(table)
        if len(rows) > MAX_ROWS:
            told_counts = json.dumps(counts, sort_keys=True)
            notes = (*notes, f"truncated: {MAX_ROWS} rows are kept; rows by status: {told_counts}.")
        body = json.dumps({"rows": rows[:MAX_ROWS], "counts": counts}, default=_text).encode()
        return RawAnswer(body=body, caveats=notes)

    def _one(self, query: str, values: tuple[object, ...] = ()) -> dict[str, Any]:
        row = self._cursor.execute(query.encode(), values).fetchone()
        return row or {}

    def _tables(self) -> dict[str, str]:
        """Outbox tables by projection, after making sure that this role cannot write them."""
        found = {}
        for projection, table in OUTBOX_TABLES.items():
            row = self._one(
                "SELECT has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') "
                "OR has_any_column_privilege(c.oid, 'INSERT, UPDATE') AS writes, "
                "has_table_privilege(c.oid, 'SELECT') AS reads "
                "FROM pg_class c WHERE c.oid = to_regclass(%s)",
                (table,),
            )
            if row.get("writes"):
                raise _No("refused", f"This role can change {table}. {READER}")
            if row and not row["reads"]:
                raise _No("auth", f"This role cannot read {table}. {READER}")
            if row:
                found[projection] = table
        if not found:
            raise _No("wrong_content", "The database has no outbox table. Check its name.")
        return found

    def _check_env(self, env: str) -> None:
        """Rows of another environment would be evidence of another incident."""
        if not env or not self._one(
            "SELECT has_table_privilege(to_regclass('environment_sentinel'), 'SELECT') AS reads"
        ).get("reads"):
            return
        marked = self._one("SELECT env FROM environment_sentinel WHERE id = 1").get("env")
        if marked not in (None, env):
            raise _No(
                "refused", f"The database is marked env={marked}, the question is about {env}."
            )

    def _rows(self, projection: str, table: str, question: Question) -> list[dict[str, Any]]:
        statement = sql.SQL(
            "SELECT {columns} FROM {table} "
            # Whatever was open in the window, also if it was finished before we ask.
            "WHERE processed_at IS NULL OR (processed_at >= %s AND created_at < %s) "
            "ORDER BY processed_at IS NOT NULL, created_at, id LIMIT %s"
        ).format(
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in _COLUMNS),
            table=sql.Identifier(table),
        )
        window = question.window
        found = self._cursor.execute(statement, (window.start, window.end, MAX_ROWS + 1))
        return [{"projection": projection, **row} for row in found.fetchall()]

    def _counts(self, table: str) -> dict[str, int]:
        statement = sql.SQL(
            "SELECT status, count(*) AS n FROM {table} GROUP BY status ORDER BY status"
        )
        found = self._cursor.execute(statement.format(table=sql.Identifier(table)))
        return {str(row["status"]): int(row["n"]) for row in found.fetchall()}


def _text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _parse(body: bytes) -> tuple[pd.DataFrame, tuple[str, ...]]:
    answer = read_json(body)
    rows = answer.get("rows") if isinstance(answer, dict) else None
    try:
        built = [_row(row) for row in rows or []]
    except (AttributeError, KeyError, TypeError):
        raise Unreadable("wrong_content", "The recorded rows have another shape.") from None
    data = pd.DataFrame(built, columns=list(ROW_COLUMNS))
    for name in _TIMES:
        data[name] = pd.to_datetime(data[name], utc=True, format="ISO8601", errors="coerce")
    return data, ()


def _row(row: Mapping[str, Any]) -> dict[str, object]:
    error = str(row["error"] or "")
    traced = _TRACEPARENT.match(str(row["traceparent"] or "").lower())
    reason = str(row["error_reason"] or "")
    kept = {name: row[name] for name in (*_SAME, *_TIMES)}
    return {
        **kept,
        "projection": row["projection"],
        "owner": str(row["owner"] or ""),
        "error": error,
        "reason": stored_reason(reason, error),
        "trace_id": traced[1] if traced else "",
        "correlation_id": _correlation(str(row.get("tracestate") or "")),
    }


def _correlation(tracestate: str) -> str:
    """The correlation id that rides in a row's tracestate, empty when none does."""
    for member in tracestate[:MAX_TRACESTATE_CHARS].split(","):
        name, _, value = member.strip().partition("=")
        if name == TRACESTATE_MEMBER:
            return unquote(value, errors="replace")
    return ""


SOURCE = Outbox
