"""A pointer has ground when it leads to something of the round that moved with the fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from loomtriage.case import open_case
from loomtriage.drills.book import DRILLS
from loomtriage.model import Window
from loomtriage.model.window import parse_instant
from loomtriage.train.answers import Answers
from loomtriage.train.engine import Found
from loomtriage.train.grounds import FIELD, moving, prove, telling
from loomtriage.train.shortest import shortest
from tests.train.rounds import TRUTH


def promised(drill) -> list[str]:
    """Metrics that this drill moves."""
    return [one.metric for one in moving(DRILLS.get(drill, noun="drill"))]


def shown(drill, *pointers):
    """What pointers come to in the recorded run of a drill."""
    case = open_case("path", source=f"example:{drill}")
    field = FIELD.get(drill, "")
    return prove(case, pointers, promised=promised(drill), field=field).grounded


@pytest.mark.parametrize(
    "drill", ["db_contention", "collector_down", "stuck_reclaim", "duplicate_delivery"]
)
def test_what_stays_flat_shows_nothing(drill):
    """Rows that did not fail for good are no ground of a fault that fails none."""
    assert shown(drill, "terminal_failed") == 0.0
    assert shown(drill, promised(drill)[0]) > 0.0


@pytest.mark.parametrize(
    "pointer",
    [
        "retry_scheduled",
        "outbox_retry_scheduled_total",
        "outbox_retry_scheduled_total:",
        'outbox_retry_scheduled_total{projection="search_index_to_elastic",reason="es_connect"}',
        'outbox_retry_scheduled_total{projection="x", reason="sha256:y"}',
    ],
)
def test_a_metric_is_named_as_a_panel_names_it(pointer):
    """Its id, its name, and its name with labels are one pointer, as it was copied."""
    (word,) = Answers(because=pointer).pointers
    assert shown("es_down", word) == pytest.approx(1 / 3)


def test_pointers_are_told_apart():
    """Commas and blanks separate; those between the braces of a selector do not."""
    given = Answers(because='lag, a{b="c", d="e"} 4f1c0c1e9a2b,lag').pointers
    assert given == ("lag", 'a{b="c", d="e"}', "4f1c0c1e9a2b")


def test_a_version_is_shown_by_what_carries_it():
    """Where no metric moves, one line or span with the new version is the ground."""
    case = open_case("path", source="example:projection_version")
    lines, spans = case.pull("lines").data, case.pull("spans").data
    carried = [dict(fields).get("projection_version") for fields in lines["fields"]]
    ids = dict(zip(carried, lines["sha256"], strict=True))
    versions = [dict(keys).get("wordloom.projection_version") for keys in spans["attributes"]]
    assert shown("projection_version", ids[2]) == 1.0
    assert shown("projection_version", dict(zip(versions, spans["trace_id"], strict=True))["2"])
    for pointer in (ids[1], ids[None], "terminal_failed", "processed", "0" * 64, ""):
        assert shown("projection_version", pointer) == 0.0
    assert shown("projection_version") == 0.0


def test_what_appears_tells_first():
    """The shortest path begins with what was not there before; else with what moves."""
    told = {
        name: [one.name.split()[0] for one in telling(DRILLS.get(name, noun="drill"))]
        for name in ("es_down", "db_contention", "projection_version")
    }
    assert told == {
        "es_down": ["appears"],
        "db_contention": ["rises", "falls", "rises"],
        "projection_version": [],
    }


def told(*lines):
    """Telemetry that holds these lines: seconds after the window's start, and fields."""
    start = parse_instant("2026-03-01T12:00:00Z")
    columns = ("ts", "sha256", "fields", "event", "message", "file", "line", "level")
    rows = [
        (start + timedelta(seconds=at), f"{n:064x}"[::-1], fields, "read", "", "worker.log", n, "")
        for n, (at, fields) in enumerate(lines, 1)
    ]
    frames = {"lines": pd.DataFrame(rows, columns=columns), "spans": pd.DataFrame()}
    return SimpleNamespace(
        window=Window(start, start + timedelta(seconds=10)),
        pull=lambda what: SimpleNamespace(data=frames[what]),
    )


def v(version, projection="chronicle", key="projection"):
    """Fields of a line that carries a version."""
    return {key: projection, "projection_version": version}


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        ([(-1, v(1)), (1, v(1)), (2, v(2)), (3, v(3))], 3),
        ([(-2, v(2)), (-1, v(1)), (1, v(2))], 0),  # both stood before
        ([(-1, v(1)), (12, v(2))], 0),  # after the window
        ([(-1, v(1, "search")), (1, v(2, "search", "wordloom.projection"))], 2),
        ([(-2, v(1, "a", "wordloom.projection")), (-1, v(2, "b", "wordloom.projection")),
          (1, v(1, "a", "wordloom.projection"))], 0),  # no projection takes another's version
        ([(1, v(2)), (2, v(1))], 1),  # nothing stood before
    ],
)  # fmt: skip
def test_the_path_shows_what_has_ground(lines, first):
    """The line on the shortest path is the first one that a pointer would be right to name."""
    case, field = told(*lines), "projection_version"
    names = list(case.pull("lines").data["sha256"])
    ground = [n for n, name in enumerate(names, 1) if prove(case, [name], field=field).grounded]
    assert next(iter(ground), 0) == first
    truth = replace(TRUTH, causes=("projection_version",))
    (row,) = shortest(None, truth, Found(verdict={"cause": "es_down"}), case).rows
    assert (f"({names[first - 1][:16]})" in row[1]) == (row[0] == "?lines") == bool(first)
