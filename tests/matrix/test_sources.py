"""Every source in every condition: what comes of it is named, bounded, and harms no other."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest

import loomtriage.sources
from loomtriage.errors import Refused
from loomtriage.model import Kind, Signal, State
from loomtriage.sources import KINDS, Question, Recording
from loomtriage.sources.http import Limits
from loomtriage.sources.packing import unpack
from loomtriage.stages.legs import leg_findings, legs_of
from loomtriage.stages.preflight import preflight
from tests.lab.pipeline import database
from tests.matrix import databases, folders
from tests.matrix.cells import CONDITIONS, COVERS, SOURCES, TABLE, Cell
from tests.matrix.healthy import WINDOW, case_of, healthy_sources
from tests.matrix.servers import SERVERS

_TWINS = {}
FIELD = {"P": "metrics", "J": "traces", "O": "traces", "L": "logs", "D": "rows"}
PULLS = {"metrics": "processed", "traces": "spans", "logs": "lines", "rows": "rows"}
CASES = [
    (source, condition, variant)
    for source, row in TABLE.items()
    for condition, made in row.items()
    for variant in made
]


def _id(case):
    return "-".join(case)


def _marked(case):
    real = case[0] == "D1" and case[2] in databases.REAL
    return pytest.param(case, id=_id(case), marks=[pytest.mark.lab] if real else [])


@pytest.fixture(scope="module")
def owner():
    """DSN of the owner of a furnished database that a reading role may enter."""
    try:
        with database() as dsn:
            with psycopg.connect(dsn, autocommit=True) as connection:
                databases.admit(connection)
            yield dsn
    except Refused as no:
        pytest.skip(f"no PostgreSQL: {no}")


@contextmanager
def standing(source, variant, tape, request):
    """The source while it stands in that condition."""
    if source in SERVERS:
        with SERVERS[source].standing(variant, tape) as one:
            yield one
    elif source == "D1":
        dsn = request.getfixturevalue("owner") if variant in databases.REAL else ""
        with databases.standing(variant, tape, dsn) as one:
            yield one
    else:
        with folders.standing(source, variant, tape) as one:
            yield one


def asked(source, variant, folder, request):
    """The frame of that source, what preflight says beside three healthy ones, and the bytes."""
    tape = Recording(folder / "tape")
    field = FIELD[source[0]]
    with standing(source, variant, tape, request) as one:
        case = case_of(replace(healthy_sources(folder / "rest"), **{field: one}))
        about = SERVERS[source].kind if source.startswith("P3") else None
        if about is None:
            frame = case.pull(PULLS[field])
        else:
            question = Question(
                signal=Signal.METRICS,
                window=WINDOW,
                about=about,
                metrics=("outbox_processed_total",),
            )
            frame = case.ask(question)
        seen = preflight(case)
        legs = legs_of(
            case,
            metrics=case.pull("processed"),
            spans=case.pull("spans"),
            lines=case.pull("lines"),
            rows=case.pull("rows"),
        )
    return frame, {f.check: f for f in seen.verdict.findings}, seen.verdict.state, legs


def recorded(folder, frame):
    """The bytes that the tape kept of that answer."""
    for path in sorted((folder / "tape").glob("*.xz")):
        import hashlib

        body = unpack(path.read_bytes(), path.name)
        if hashlib.sha256(body).hexdigest() == frame.origin.sha256:
            return body.decode("latin-1")
    raise AssertionError("the tape holds no such answer")


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_a_cell(case, tmp_path, request):
    """Named as the table says, never OK, on the tape as it came, and the others stand."""
    source, condition, variant = case
    cell = TABLE[source][condition][variant]
    frame, findings, state, legs = asked(source, variant, tmp_path, request)
    field = FIELD[source[0]]
    _frame_is(frame, cell, source, request, tmp_path)
    if cell.keeps:
        assert re.search(cell.keeps, recorded(tmp_path, frame))
    for name in set(FIELD.values()) - {field}:
        assert findings[f"preflight.{name}"].state is State.OK
    assert State.ERROR not in {f.state for f in findings.values()}
    if frame.kind in (Kind.METRICS, Kind.SPANS, Kind.LINES, Kind.ROWS):
        if cell.missing:
            assert findings[f"preflight.{field}"].state is State.NO_DATA
            assert state not in (State.OK, State.WARN)
        else:
            wary = [f"explain.leg.{field}"] if cell.wary else []
            assert [f.check for f in leg_findings(legs)] == wary
    if "clock_skew" in cell.says and frame.kind is not Kind.EXEMPLARS:
        assert findings["preflight.clocks"].state is State.WARN or source.startswith("P3")


def _frame_is(frame, cell, source, request, folder):
    """The word, the sentence and the data of the table."""
    told = (frame.hint, *frame.caveats)
    assert frame.missing == cell.missing, told
    assert (len(frame) == 0) == bool(cell.missing)
    assert not frame.missing or frame.hint
    assert any(re.search(cell.says, text) for text in told), told
    assert not any("\n" in text or "Traceback" in text for text in told)
    if not cell.missing and not cell.says:
        assert not [t for t in frame.caveats if t.startswith(("partial", "truncated", "stale"))]
    if cell.same or cell.totals:
        twin = _twin(source, folder / "twin", request)
        if cell.same:
            assert frame.data.equals(twin.data)
        assert _totals(frame) == _totals(twin)


def _twin(source, folder, request):
    """The frame of the undamaged source, asked once: it says the same every time."""
    if source not in _TWINS:
        _TWINS[source], *_ = asked(source, "good", folder, request)
    return _TWINS[source]


def _totals(frame):
    """What counts in a frame: last values, or which rows there are."""
    if frame.kind is Kind.METRICS:
        return float(frame.data.ffill().iloc[-1].sum())
    key = {Kind.SPANS: "span_id", Kind.LINES: "sha256", Kind.ROWS: "id"}.get(frame.kind)
    return sorted(frame.data[key]) if key else len(frame)


@pytest.mark.parametrize(
    "source", [pytest.param(one, marks=[pytest.mark.lab] if one == "D1" else []) for one in SOURCES]
)
def test_the_healthy_twin_has_nothing_to_say(source, tmp_path, request):
    """Control: the same source undamaged gives data, and no leg is called unsound."""
    frame, findings, _, legs = asked(source, "good", tmp_path, request)
    assert (len(frame) > 0, frame.missing) == (True, "")
    assert findings[f"preflight.{FIELD[source[0]]}"].state is State.OK
    assert leg_findings(legs) == ()
    said = [text for text in frame.caveats if not text.startswith(("estimated", "thinned"))]
    assert said == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize("source", ["P1", "P3t", "J1", "J2", "D1"])
def test_a_hanging_source_is_left_in_time(source, tmp_path):
    """With the budget that users get: five seconds by the wall clock, not five for each step."""
    tape = Recording(tmp_path / "tape")
    if source == "D1":
        with databases.standing("hangs", tape, "", 5.0) as one:
            begun = time.monotonic()
            frame = one.pull(Question(signal=Signal.ROWS, window=WINDOW))
            took_s = time.monotonic() - begun
    else:
        with SERVERS[source].standing("hangs", tape, Limits()) as one:
            about = SERVERS[source].kind if source == "P3t" else None
            signal = Signal.TRACES if source.startswith("J") else Signal.METRICS
            question = Question(signal=signal, window=WINDOW, about=about, metrics=("up",))
            begun = time.monotonic()
            frame = one.pull(question)
            took_s = time.monotonic() - begun
    assert frame.missing == "timeout"
    assert took_s < 7


def test_no_cell_is_missing():
    """Each source of the table has each condition, with a damage and a requirement of its own."""
    assert set(TABLE) == set(SOURCES)
    for source, row in TABLE.items():
        assert set(row) == set(CONDITIONS), source
        assert all(row.values()), source
    assert all(
        cell != Cell() or (source, condition) == ("D1", "C13")
        for source, condition, variant in CASES
        for cell in [TABLE[source][condition][variant]]
    )


def test_no_cell_is_left_to_fail():
    """No cell is skipped or expected to fail."""
    marks = {mark.name for case in CASES for mark in _marked(case).marks}
    assert marks <= {"lab"}


def test_every_source_that_stands_is_in_the_table():
    """What the package offers to pull from, and every shape a metrics server answers in."""
    offered = set(loomtriage.sources.__all__)
    pulls = {n for n in offered if callable(getattr(getattr(loomtriage.sources, n), "pull", None))}
    pulls -= {"Source"}
    assert {KINDS.get(name, noun="source").__name__ for name in KINDS.names} <= pulls
    assert pulls | {"SpanFiles", "labs"} == set(COVERS)
    assert frozenset().union(*COVERS.values()) == set(SOURCES)
    kinds = {server.kind for server in SERVERS.values()} | {Kind.LINES, Kind.ROWS}
    assert kinds == set(Kind)
