"""What charts promise: they never raise, say what they left out, and stay small."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from loomtriage.model import Signal
from loomtriage.model.frame import SPAN_COLUMNS
from loomtriage.report import Mark, gauges, increases, timeline, waterfall
from loomtriage.report.canvas import INK
from loomtriage.report.plot import Line, Plot, lines_figure
from tests.report.make import BASELINE, START, WINDOW, plain_charts, trace
from tests.report.payloads import LABELS, SCRIPTS, SPOOFS

WHEN = {"id": "c", "title": "t", "window": WINDOW, "baseline": BASELINE}


def at(*pairs):
    """Samples at seconds from the start of the window."""
    return [(START + timedelta(seconds=s), value) for s, value in pairs]


@pytest.mark.parametrize("words", LABELS)
def test_no_label_stops_a_chart(words):
    """A hostile series name, title and unit are drawn as text."""
    chart = increases(
        {words: at((-60, 0), (60, 5))},
        id=words,
        title=words,
        unit=words,
        window=WINDOW,
        baseline=None,
    )
    assert chart.png


def test_no_span_text_stops_a_waterfall():
    """Hostile operations, services and messages are drawn as text."""
    base = trace(failing=True).iloc[0].to_dict()
    rows = [
        base | {"span_id": str(i), "operation": w, "service": w, "status_message": w, "error": True}
        for i, w in enumerate((*LABELS, *SCRIPTS, *SPOOFS))
    ]
    for part in (rows[:40], rows[40:80], rows[80:]):
        spans = pd.DataFrame(part, columns=list(SPAN_COLUMNS))
        assert waterfall(spans, id="w", title="t", twin=spans).png


def test_no_mark_stops_a_timeline():
    """Hostile labels of moments are drawn as text."""
    words = (*LABELS, *SPOOFS)
    for part in (words[:24], words[24:48], words[48:]):
        marks = [Mark(label=w, at=START, signal=Signal.LOGS) for w in part]
        assert timeline(marks, **WHEN).png


def test_the_label_that_kills_a_plain_chart_is_real():
    """Control: without the house style the first label raises, so the tests above prove it."""
    figure = Figure()
    figure.text(0.5, 0.5, LABELS[0])
    with pytest.raises(ValueError, match="frac"):
        FigureCanvasAgg(figure).draw()


def test_what_cannot_be_drawn_says_why():
    """Naive times, wrong types and nothing at all become a caption, never an exception."""
    naive = gauges({"a": [(datetime(2026, 2, 14), 1.0)]}, unit="s", **WHEN)  # noqa: DTZ001  # the point
    assert naive.png == b""
    assert "no time zone" in naive.note
    assert "Not drawn" in gauges({"a": [("x", "y")]}, unit="s", **WHEN).note
    assert "no sample" in increases({}, unit="s", **WHEN).note
    assert "no sample" in increases({"a": []}, unit="s", **WHEN).note
    assert "no moment" in timeline([], **WHEN).note
    empty = pd.DataFrame(columns=list(SPAN_COLUMNS))
    assert "no spans" in waterfall(empty, id="w", title="t").note
    assert "Not drawn" in waterfall(pd.DataFrame({"x": [1]}), id="w", title="t").note


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([(-400, 5), (-350, 7), (0, 9), (300, 12)], "a +7"),
        ([(-360, 100), (0, 104), (60, 3), (120, 5)], "a +9"),
        ([(-360, 41), (300, 41)], "a +0"),
        ([(0, float("nan")), (60, 1), (120, float("inf")), (180, 4)], "a +4"),
    ],
)
def test_increases_count_from_the_baseline_and_over_restarts(samples, said):
    """Growth before the baseline is left out, a drop counts from zero, odd numbers are skipped.

    The last row has a late first sample, so the counter was born at zero.
    """
    others = {"b": at((-400, 0), (-200, 0), (300, 0))}
    chart = increases({"a": at(*samples), **others}, unit="rows", **WHEN)
    assert said in chart.alt


def test_a_lone_series_is_not_taken_for_newborn():
    """The first series seen may have counted for days: only what it adds is growth."""
    assert "a +2" in increases({"a": at((-350, 5000), (300, 5002))}, unit="rows", **WHEN).alt


def test_too_many_series_are_named():
    """The thirty that moved most are drawn; how many are not, is said."""
    many = {f"s{i}": at((-60, 0), (60, i)) for i in range(45)}
    chart = increases(many, unit="rows", **WHEN)
    assert chart.note == "15 series that moved less are not drawn."
    assert chart.alt.index("s44 +44") < chart.alt.index("s43 +43")


def test_odd_traces_are_drawn():
    """Circles, missing parents, absent durations and depths beyond Python's stack are drawn."""
    base = trace(failing=True).iloc[0].to_dict()
    deep = [base | {"span_id": str(i), "parent_id": str(i - 1)} for i in range(3000)]
    ring = [base | {"span_id": "a", "parent_id": "b"}, base | {"span_id": "b", "parent_id": "a"}]
    lost = [base | {"parent_id": "gone", "duration_s": float("nan"), "error": None}]
    charts = [waterfall(pd.DataFrame(rows), id="w", title="t") for rows in (deep, ring, lost)]
    assert all(chart.png for chart in charts)
    assert "2984 more spans" in charts[0].note
    assert "2 spans in" in charts[1].alt
    assert "a parent that is missing" in charts[2].note


def test_pictures_are_small_exact_and_repeatable():
    """Each picture fits a commit, its paper is white, and bytes do not vary."""
    for chart in plain_charts().values():
        assert len(chart.png) <= 35_000
        paper = Image.open(io.BytesIO(chart.png)).convert("RGB").getpixel((1, 1))
        assert paper == (255, 255, 255)
    spans = trace(failing=True)
    once, again = (waterfall(spans, id="w", title="t") for _ in range(2))
    assert once == again


def test_drawing_leaves_no_trace_in_the_kernel():
    """A notebook's own matplotlib settings are the same after a chart, and have no say in it."""
    before = dict(mpl.rcParams)
    plain = gauges({"a": at((0, 1), (60, 2))}, unit="s", **WHEN)
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert gauges({"a": at((0, 1), (60, 2))}, unit="s", **WHEN) == plain


def test_a_notebook_shows_the_picture():
    """A chart displays itself; one that was not drawn displays its words, never raw bytes."""
    chart = plain_charts()["lag"]
    assert chart._repr_png_() == chart.png
    assert "PNG" not in repr(chart)
    assert timeline([], **WHEN)._repr_png_() is None


def test_times_are_utc_whatever_the_offset():
    """A mark given in another offset is spoken of in UTC."""
    tokyo = datetime.fromisoformat("2026-02-14T23:21:40+09:00")
    chart = timeline([Mark(label="m", at=tokyo, signal=Signal.LOGS)], **WHEN)
    assert "14:21:40" in chart.alt
    assert tokyo.astimezone(UTC) in WINDOW


def test_a_late_failure_is_drawn_although_the_trace_is_long():
    """Hundreds of healthy spans before it do not push the failing one out of the picture."""
    base = trace(failing=False).iloc[0].to_dict() | {"span_id": "root", "parent_id": ""}
    rows = [base] + [
        base | {"span_id": f"s{n}", "parent_id": "root", "start": START + timedelta(milliseconds=n)}
        for n in range(1, 200)
    ]
    late = rows[-1] | {"span_id": "late", "operation": "late", "error": True}
    late["start"] += timedelta(seconds=1)
    assert "late" in waterfall(pd.DataFrame([*rows, late]), id="w", title="t").alt
    assert "late" not in waterfall(pd.DataFrame(rows), id="w", title="t").alt


@pytest.mark.parametrize(("top", "is_whole"), [(1.0, True), (0.7, False)])
def test_what_is_counted_has_no_halves_on_its_axis(top, is_whole):
    """Rows and attempts are marked by whole numbers, what is measured by any."""
    line = Line(name="n", at=(0.0, 9.0), values=(0.0, top), weight=top, said="")
    plot = Plot(title="t", unit="rows", window=WINDOW, baseline=BASELINE)
    (axes,) = lines_figure([line], plot, INK, steps=False).axes
    assert all(float(tick).is_integer() for tick in axes.get_yticks()) is is_whole
