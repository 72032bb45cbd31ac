"""An invented incident, Elasticsearch down for six minutes, in every part of the report.

Each text passes through `say`, so that a test may put its own words in every place.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pandas as pd
from PIL import Image

from loomtriage.model import Signal, Window
from loomtriage.model.frame import SPAN_COLUMNS
from loomtriage.report import Chart, Mark, Table, gauges, increases, timeline, waterfall

Say = Callable[[str], str]
START = datetime(2026, 2, 14, 14, 21, 30, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(minutes=6))
BASELINE = Window(START - timedelta(minutes=6), START)
PROJECTION = "search_index_to_elastic"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TWIN = "9c1e0f5a7d2b4c6e8f0a1b2c3d4e5f60"


def plain(words: str) -> str:
    """Say it as it is."""
    return words


@cache
def plain_charts() -> dict[str, Chart]:
    """The charts of the incident, drawn once."""
    return charts()


def dressed(say: Say) -> dict[str, Chart]:
    """Dots under other words: drawing what charts survive is another test's work."""
    return {
        name: replace(
            chart, png=dot(), title=say(chart.title), alt=say(chart.alt), note=say(chart.note)
        )
        for name, chart in plain_charts().items()
    }


@cache
def dot() -> bytes:
    """The smallest picture, which costs a browser nothing."""
    out = io.BytesIO()
    Image.new("P", (1, 1)).save(out, format="png")
    return out.getvalue()


def points(value: Callable[[float], float]) -> list[tuple[datetime, float]]:
    """Samples each 5 s from the start of the baseline to the end of the window."""
    seconds = range(0, 720, 5)
    return [(BASELINE.start + timedelta(seconds=s + 0.4), value(s - 360.0)) for s in seconds]


def charts(say: Say = plain) -> dict[str, Chart]:
    """The charts of an incident, by id."""
    dice = random.Random(7)
    down = lambda s: max(0.0, s - 4)  # noqa: E731
    grew = {
        "retry_scheduled reason=es_unreachable op=upsert": points(lambda s: 17 + down(s) // 3),
        "retry_scheduled reason=es_unreachable op=delete": points(lambda s: 4 + down(s) // 21),
        "processed op=upsert": points(lambda s: 5200 + (min(s, 4) + 360) // 4),
        "terminal_failed reason=mapping_conflict op=upsert": points(lambda _: 3.0),
    }
    lag = {
        "lag, rows": points(lambda s: dice.randint(0, 3) + down(s) * 0.26),
        "inflight, rows": points(lambda s: dice.randint(0, 5) + (8 if s > 4 else 0)),
    }
    age = {"oldest row not yet done": points(lambda s: dice.random() * 1.2 + down(s) * 0.985)}
    when = {"window": WINDOW, "baseline": BASELINE}
    return {
        "increases": increases(
            {say(k): v for k, v in grew.items()},
            id="increases",
            title=say("What grew, by reason"),
            unit=say("events"),
            **when,
        ),
        "lag": gauges(
            {say(k): v for k, v in lag.items()},
            id="lag",
            title=say("Rows waiting"),
            unit=say("rows"),
            **when,
        ),
        "age": gauges(
            {say(k): v for k, v in age.items()},
            id="age",
            title=say("Age of the oldest row not yet done"),
            unit=say("s"),
            **when,
        ),
        "waterfall": waterfall(
            trace(say, failing=True),
            id="waterfall",
            title=say("One failing batch beside a healthy one"),
            twin=trace(say, failing=False),
        ),
        "timeline": timeline(
            marks(say), id="timeline", title=say("What was seen first, in which signal"), **when
        ),
    }


def marks(say: Say = plain) -> list[Mark]:
    """First sightings in each signal."""
    seen = [
        (4.1, "connections refused at the proxy, first witness", Signal.ROWS),
        (4.6, "first error span: PUT to Elasticsearch", Signal.TRACES),
        (4.61, "first line: outbox.retry_scheduled es_unreachable", Signal.LOGS),
        (9.4, "retry_scheduled reason=es_unreachable leaves its baseline", Signal.METRICS),
        (64.0, "oldest age passes 60 s", Signal.METRICS),
        (344.0, "processed is flat for 340 s", Signal.METRICS),
    ]
    return [
        Mark(label=say(name), at=START + timedelta(seconds=s), signal=signal)
        for s, name, signal in seen
    ]


def trace(say: Say = plain, *, failing: bool) -> pd.DataFrame:
    """A SPANS table of one trace: a batch, its rows, their writes."""
    worker = "wordloom-search-outbox-worker"
    refused = "ConnectError: [Errno 111] Connection refused" if failing else ""
    trace_id = TRACE if failing else TWIN
    base = START + timedelta(seconds=31) if failing else START - timedelta(seconds=95)
    rows = [("b0", "", "projection.process_batch", 0.0, 41.2, False)]
    for row, (at, wide) in enumerate(((1.1, 12.4), (13.9, 11.8), (26.1, 14.6))):
        length = wide if failing else wide * 0.7
        rows += [
            (f"r{row}", "b0", "outbox.process", at, length, failing),
            (f"p{row}", f"r{row}", "PUT", at + 1.3, length - 2.2, failing),
        ]
    records = [
        {
            "trace_id": trace_id,
            "span_id": span,
            "parent_id": parent,
            "service": say(worker),
            "operation": say(name),
            "kind": "internal",
            "start": pd.Timestamp(base + timedelta(milliseconds=at)),
            "duration_s": length / 1000,
            "error": error,
            "status_message": say(refused) if error else "",
            "attributes": {},
        }
        for span, parent, name, at, length, error in rows
    ]
    return pd.DataFrame(records, columns=list(SPAN_COLUMNS))


def steps(say: Say) -> Table:
    """Which step changed."""
    return Table(
        id="steps",
        title=say("Steps by excess of errors"),
        columns=tuple(map(say, ("step", "calls", "errors", "errors expected", "self time"))),
        rows=(
            tuple(
                map(say, ("wordloom-search-outbox-worker › PUT", "117", "117", "0.5", "10.4 ms"))
            ),
            tuple(
                map(say, ("wordloom-search-outbox-worker › DELETE", "16", "16", "0.5", "9.8 ms"))
            ),
            tuple(
                map(
                    say,
                    ("wordloom-search-outbox-worker › outbox.claim_batch", "71", "0", "0", "3 ms"),
                )
            ),
        ),
        note=say("Retries are folded per outbox row."),
    )


def templates(say: Say) -> Table:
    """Which log templates are new."""
    return Table(
        id="templates",
        title=say("Log templates that changed"),
        columns=tuple(map(say, ("template", "lines", "expected"))),
        rows=(
            tuple(
                map(say, ("outbox.retry_scheduled reason=es_unreachable attempt=<n>", "133", "0.5"))
            ),
            tuple(map(say, ("outbox.batch_processed size=<n> duration_ms=<n>", "1", "88"))),
        ),
    )
