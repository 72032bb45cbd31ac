"""What must come of every source in every condition: the table, read by the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONDITIONS: Mapping[str, str] = {
    "C1": "absent",
    "C2": "refuses",
    "C3": "hangs",
    "C4": "slow",
    "C5": "answers with an error",
    "C6": "truncated",
    "C7": "wrong content",
    "C8": "stale",
    "C9": "clock skew",
    "C10": "empty",
    "C11": "huge",
    "C12": "partial",
    "C13": "duplicated",
    "C14": "out of order",
}

SOURCES: Mapping[str, str] = {
    "P1": "raw samples of a PromQL server",
    "P2": "samples of a PromQL server that gives none raw",
    "P3a": "alerts of a PromQL server",
    "P3t": "targets of a PromQL server",
    "P3e": "exemplars of a PromQL server",
    "P4": "stored scrapes of a Wordloom run",
    "J1": "Jaeger, its newer API",
    "J2": "Jaeger, its older API",
    "O1": "OTLP JSON files",
    "L1": "log files",
    "D1": "outbox rows",
}
# What answers /healthz, Elasticsearch's own state and alert payloads have no source to ask.
COVERS: Mapping[str, frozenset[str]] = {
    "Prometheus": frozenset({"P1", "P2", "P3a", "P3t", "P3e"}),
    "labs": frozenset({"P4"}),
    "Traces": frozenset({"J1", "J2"}),
    "SpanFiles": frozenset({"O1"}),
    "Logs": frozenset({"L1"}),
    "Outbox": frozenset({"D1"}),
}
"""Each source that the package offers, by its name there, and where it stands in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What must come of one damage.

    Attributes:
        missing: the frame's word; empty when data must come all the same.
        says: pattern that a caveat or the hint must hold; empty for none.
        keeps: pattern that the recorded bytes must hold: the evidence of the damage.
        same: data and order must be those of the healthy twin.
        totals: only what is counted must be.
        wary: the signal's leg must be called unsound: it cannot carry an OK.
    """

    missing: str = ""
    says: str = ""
    keeps: str = ""
    same: bool = False
    totals: bool = False
    wary: bool = False


Row = Mapping[str, Mapping[str, Cell]]  # condition -> how it is made -> what must come of it

_SKEWED = Cell(says=r"^clock_skew: ", same=True)
_GONE = Cell(missing="empty", says=r"\w+")
_PARTIAL = Cell(says=r"^partial: ", same=True, wary=True)
_LATE = Cell(missing="timeout", says=r"within 0\.[58] s")
_SORRY = "try later"
_DENIED = Cell(missing="refused", says="Permission denied")
_LINKED = Cell(missing="refused", says="symbolic link")
_OTHER_CLOCK = {
    "behind_8h": Cell(missing="empty", says="run from 2026-02-14T06:.* clock"),
    "ahead_1d": Cell(missing="empty", says="run from 2026-02-15T14:.* clock"),
}

SERVER: Row = {
    "C1": {"absent": Cell(missing="not_configured", says="LOOMTRIAGE_")},
    "C2": {"closed_port": Cell(missing="refused", says="Start it")},
    "C3": {"hangs": _LATE},
    "C4": {"drips_head": _LATE, "drips_body": _LATE},
    "C5": {
        **{
            name: Cell(missing=f"http_{name}", says=_SORRY, keeps=_SORRY)
            for name in ("500", "503", "429")
        },
        "401": Cell(missing="auth", says="credentials", keeps=_SORRY),
        "302": Cell(missing="wrong_content", says="HTTP 302", keeps=_SORRY),
    },
    "C6": {
        name: Cell(missing="truncated", says=r"(broke|breaks) off after \d+", keeps=r'^{"')
        for name in ("short_length", "cut_chunk", "no_length")
    },
    "C7": {
        "login_page": Cell(missing="wrong_content", says="Log in", keeps="<title>Log in"),
        "other_service": Cell(missing="wrong_content", says="hits", keeps="hits"),
        "utf16": Cell(missing="wrong_content", says="no JSON", keeps="r\0e\0s\0u|d\0a\0t\0a"),
    },
    "C8": {"old": _GONE},
    "C9": {"ahead_5min": _SKEWED, "behind_8h": _SKEWED, "ahead_1d": _SKEWED},
    "C10": {"nothing": _GONE},
    "C11": {
        name: Cell(missing="too_large", says="was cut", keeps=r"^ {4096}$")
        for name in ("bomb", "endless")
    },
    "C12": {"warned": Cell(says="^partial: .*one store is down", same=True, wary=True)},
    "C13": {"repeated": Cell(totals=True)},
    "C14": {"shuffled": Cell(same=True)},
}

_SAMPLES: Row = {
    **SERVER,
    "C8": {"old": Cell(says=r"^stale: the newest sample is \d", wary=True)},
    "C12": {**SERVER["C12"], "not_whole": _PARTIAL},
    "C13": {
        "two_jobs": Cell(says=r"^3 series .* scraped twice", totals=True),
        "two_envs": Cell(says=r"^w:9108 is scraped under 2 envs", totals=True),
    },
}

_TRACES: Row = {
    **SERVER,
    "C10": {"nothing": _GONE, "none_404": _GONE},
    "C12": {"bad_span": Cell(says=r"^partial: 1 spans", wary=True)},
    "C13": {"repeated": Cell(says=r"^\d repeated spans", same=True)},
}

_FILES: Row = {
    "C1": {"absent": Cell(missing="not_configured", says="LOOMTRIAGE_")},
    "C2": {"denied": _DENIED, "denied_folder": _DENIED, "link": _LINKED},
    "C3": {"pipe": Cell(missing="refused", says="no regular file")},
    "C4": {"growing": Cell(totals=True)},
    "C5": {"folder": Cell(missing="refused", says="no regular file|Is a directory")},
    "C10": {"empty": Cell(missing="empty", says=r"\w+")},
    "C14": {"shuffled": Cell(totals=True)},
}

_SPAN_FILES: Row = {
    **_FILES,
    "C6": {
        "cut": Cell(missing="truncated", says="breaks off", keeps=r'^{"'),
        "cut_line": Cell(says=r"^partial: .*truncated: 1 lines at 2", same=True, wary=True),
        "cut_packed": Cell(says=r"^truncated: of .*breaks off", wary=True),
        "damaged_packed": Cell(missing="damaged", says="Copy it again", keeps="^\x1f\x8b"),
    },
    "C7": {
        "login_page": Cell(missing="wrong_content", says="Log in", keeps="<title>Log in"),
        "utf16": Cell(same=True),
    },
    "C8": {"old": Cell(missing="empty", says=r"The spans run from .* Check the window")},
    "C9": _OTHER_CLOCK,
    "C11": {
        "bomb": Cell(says=r"^truncated: of .* first 20000 unpacked bytes", wary=True),
        "large": Cell(says=r"^truncated: of .* last 8000 of \d+ bytes", wary=True),
    },
    "C12": {
        "bad_span": Cell(says=r"^partial: 1 spans", same=True, wary=True),
        "one_unreadable": Cell(says=r"^partial: other\.jsonl was not read", same=True, wary=True),
    },
    "C13": {
        "repeated": Cell(says=r"^8 repeated spans", same=True),
        "copied": Cell(says=r"^8 repeated spans", same=True),
    },
    "C14": {"shuffled": Cell(same=True)},
}

_LOG_FILES: Row = {
    **_FILES,
    "C6": {"cut": Cell(says=r"skipped \d+ bytes .*truncated")},
    "C7": {
        "login_page": Cell(missing="empty", says=r"skipped 47 bytes of 47", keeps="<title>Log in"),
        "shell_error": Cell(missing="empty", says=r"skipped \d+ bytes", keeps="not recognized"),
        "utf16": Cell(totals=True),
    },
    "C8": {"old": Cell(missing="empty", says=r"^stale: worker\.log was last written at")},
    "C9": _OTHER_CLOCK,
    "C11": {"large": Cell(says=r"^truncated: of worker\.log the last 8000 of", wary=True)},
    "C12": {
        "one_unreadable": Cell(says=r"^partial: other\.log was not read", totals=True, wary=True)
    },
    "C13": {"copied": Cell(says=r"^10 lines that a second file repeats", totals=True)},
}

_SCRAPES: Row = {
    **_FILES,
    "C1": {"absent": Cell(missing="not_recorded", says="live source")},
    "C6": {"cut": Cell(missing="truncated", says="breaks off", keeps="breaks off")},
    "C7": {
        "login_page": Cell(missing="wrong_content", says="Log in", keeps="Log in"),
        "scrape_failed": Cell(missing="wrong_content", says="URLError", keeps="URLError"),
        "utf16": Cell(missing="wrong_content", says="not UTF-8"),
    },
    "C8": {"old": _GONE},
    "C9": {"behind_8h": Cell(says="^estimated: ")},
    "C11": {"large": Cell(missing="too_large", says="larger than")},
    "C12": {"one_failed": Cell(says="^partial: worker after: .*URLError", wary=True)},
    "C13": {"repeated": Cell(same=True)},
    "C14": {"shuffled": Cell(same=True)},
}

_ROWS: Row = {
    "C1": {"absent": Cell(missing="not_configured", says="DATABASE_URL")},
    "C2": {
        "closed_port": Cell(missing="refused", says="start it"),
        "bad_password": Cell(missing="auth", says="role or password"),
    },
    "C3": {"hangs": _LATE},
    "C4": {"drips": _LATE},
    "C5": {
        name: Cell(missing="refused", says="lets nobody in") for name in ("starting", "too_many")
    },
    "C6": {"breaks_off": Cell(missing="truncated", says="broke off")},
    "C7": {
        "other_service": Cell(missing="wrong_content", says="no PostgreSQL"),
        "other_database": Cell(missing="wrong_content", says="no outbox table"),
    },
    "C8": {"old": _GONE},
    "C9": {"behind_8h": _SKEWED, "ahead_1d": _SKEWED},
    "C10": {"nothing": _GONE},
    "C11": {"large": Cell(says=r"^truncated: 10000 rows are kept", wary=True)},
    "C12": {"one_table": Cell(says="^partial: .*chronicle_outbox", same=True, wary=True)},
    # A table's key leaves no doubles; the same id in the other outbox is another row.
    "C13": {"both_tables": Cell()},
    "C14": {"shuffled": Cell(same=True)},
}

TABLE: Mapping[str, Row] = {
    "P1": _SAMPLES,
    "P2": _SAMPLES,
    "P3a": SERVER,
    "P3t": {**SERVER, "C8": {"old": Cell(says="^stale: 2 of 2 targets")}},
    "P3e": SERVER,
    "P4": _SCRAPES,
    "J1": {
        **_TRACES,
        "C12": {**_TRACES["C12"], "at_limit": Cell(says="^truncated: ", wary=True)},
    },
    "J2": _TRACES,
    "O1": _SPAN_FILES,
    "L1": _LOG_FILES,
    "D1": _ROWS,
}
