"""Wordloom's evidence folders are read blind: signals in, names and verdicts left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loomtriage.case import open_case
from loomtriage.errors import UsageError
from loomtriage.model import Scope, Signal, State, Window
from loomtriage.model.window import iso
from loomtriage.sources import Live, Question, Recording, labs, playback
from loomtriage.sources.packing import SUFFIX, unpack
from tests.sources.runs import OTHER, START, export, line, run, scrape, span

NAMES = (
    "up",
    "outbox_processed_total",
    "outbox_retry_scheduled_total",
    "outbox_oldest_age_seconds",
)
SAMPLES = Path(__file__).parents[2].parent / "shared/samples/wordloom-v3"
RUNS = sorted(p.parent for p in SAMPLES.glob("*/*/_recipe.json"))
needs_samples = pytest.mark.skipif(not RUNS, reason="the samples of Wordloom are not here")


def ask(found, signal, **more):
    question = Question(signal=signal, window=found.window, **more)
    return found.sources.get(signal).pull(question)


def metrics(found, **more):
    return ask(found, Signal.METRICS, metrics=NAMES, **more)


def values(frame, metric):
    column = [c for c in frame.data.columns if c[0] == metric]
    return frame.data[column[0]].dropna().tolist() if column else []


def test_no_evidence_folder_is_a_usage_error(tmp_path):
    """A folder that is empty, a file, or not there is refused in one line."""
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path, tmp_path / "file", tmp_path / "gone"):
        with pytest.raises(UsageError) as caught:
            labs(folder, tape=Live())
        assert "\n" not in str(caught.value)


def test_nothing_with_a_time_is_a_usage_error(tmp_path):
    """Without scrape, line or span nobody knows when the run was."""
    folder = run(
        tmp_path, before="scrape_failed: x", after="note: x", log="plain\n", spans=export()
    )
    with pytest.raises(UsageError):
        labs(folder, tape=Live())


def test_failed_scrape_is_never_zero(tmp_path):
    """Both scrapes failed: no series at all, and the caveats say why."""
    folder = run(tmp_path, before="scrape_failed: URLError", after="note: worker was killed")
    frame = metrics(labs(folder, tape=Live()))
    assert (len(frame), frame.missing) == (0, "wrong_content")
    assert any("scrape_failed: URLError" in note for note in frame.caveats)
    assert any("worker was killed" in note for note in frame.caveats)


def test_one_failed_scrape_is_partial(tmp_path):
    """One scrape is gone: the other is kept, and called partial."""
    frame = metrics(labs(run(tmp_path, after="scrape_failed: timed out"), tape=Live()))
    assert values(frame, "outbox_processed_total") == [0.0, 0.0]
    assert values(frame, "up") == [1.0]
    assert frame.caveats[0].startswith("partial: worker after: ")


def test_counters_start_at_zero_and_times_are_estimates(tmp_path):
    """Start, first and second scrape: spaced as the oldest row aged, and said to be estimated."""
    frame = metrics(labs(run(tmp_path), tape=Live()))
    assert values(frame, "outbox_retry_scheduled_total") == [0.0, 0.0, 3.0]
    assert values(frame, "outbox_oldest_age_seconds") == [100.0, 109.0]
    start, before, after = (at.timestamp() for at in frame.data.index)
    assert start == START + 1
    assert after - before == pytest.approx(9.0)
    assert any(note.startswith("estimated: ") for note in frame.caveats)


def test_window_is_utc_from_signals(tmp_path):
    """The recipe's local time, eight hours off, is not believed."""
    found = labs(run(tmp_path), tape=Live())
    start = datetime.fromtimestamp(START, UTC)
    assert found.window.start == start + timedelta(seconds=1)
    assert start + timedelta(seconds=9) <= found.window.end <= start + timedelta(seconds=12)
    assert found.baseline is None


def test_work_before_the_first_scrape_is_contamination(tmp_path):
    """A counter that is not zero at first is named; the increase still counts from zero."""
    found = labs(run(tmp_path, before=scrape(processed=5.0)), tape=Live())
    assert any("outbox_processed_total" in n and "= 5 on worker" in n for n in found.caveats)


def test_foreign_traces_are_left_out_and_counted(tmp_path):
    """Spans of earlier runs go; a list of exactly 20 is called truncated."""
    spans = [span(n, -30) for n in range(1, 16)] + [span(n, 5) for n in range(16, 21)]
    frame = ask(labs(run(tmp_path, spans=export(*spans)), tape=Live()), Signal.TRACES)
    assert len(frame) == 5
    assert any(note.startswith("truncated: ") for note in frame.caveats)
    assert any("15 spans of other runs" in note for note in frame.caveats)
    nineteen = export(*spans[:19])
    other = ask(labs(run(tmp_path / "b", spans=nineteen), tape=Live()), Signal.TRACES)
    assert not any(note.startswith("truncated: ") for note in other.caveats)


def test_rows_of_other_runs_are_counted(tmp_path):
    """Rows that this run did not trigger are said, from spans and from lines."""
    log = line(2, f"Failed to process outbox event {OTHER}")
    found = labs(run(tmp_path, log=log), tape=Live())
    assert any("1 of 2 outbox rows" in note for note in found.caveats)
    clean = labs(run(tmp_path / "b"), tape=Live())
    assert not any(note.startswith("foreign: ") for note in clean.caveats)


def test_env_is_read_never_invented(tmp_path):
    """The database's name tells env; where nothing tells it, it stays empty."""
    told = labs(run(tmp_path), tape=Live())
    silent = labs(run(tmp_path / "b", log=line(2, "x")), tape=Live())
    assert (told.env, silent.env) == ("test", "")
    assert set(metrics(told).data.columns.get_level_values("env")) == {"test"}
    assert metrics(told, scope=Scope(env="prod")).missing == "empty"


def test_broken_export_costs_traces_only(tmp_path):
    """A cut export is `truncated`; metrics and lines are read all the same."""
    found = labs(run(tmp_path, spans=export(span(1, 5))[:-20]), tape=Live())
    assert ask(found, Signal.TRACES).missing == "truncated"
    assert len(metrics(found)) == 3
    assert len(ask(found, Signal.LOGS)) == 2


def test_nothing_tells_the_answer(tmp_path):
    """Neither scenario nor run id nor verdict reaches a frame, an origin, a caveat or the tape."""
    found = labs(run(tmp_path), tape=Recording(tmp_path / "out" / "tape"))
    frames = [metrics(found), ask(found, Signal.TRACES), ask(found, Signal.LOGS)]
    told = repr([(f.data.to_dict(), f.origin, f.caveats, f.hint) for f in frames])
    told += repr((found.caveats, found.window, found.env, found.sources.spec))
    for member in (tmp_path / "out" / "tape").iterdir():
        raw = member.read_bytes()
        told += (unpack(raw, member.name) if member.suffix == SUFFIX else raw).decode()
    for word in ("es_429_inject", "es-429-inject", "smoke", "hunter2", str(tmp_path)):
        assert word not in told


def test_plays_back_as_read(tmp_path):
    """A recorded run gives the same frames without the folder."""
    found = labs(run(tmp_path), tape=Recording(tmp_path / "out" / "tape"))
    signals = (Signal.METRICS, Signal.TRACES, Signal.LOGS)
    asked = [Question(signal=signal, window=found.window, metrics=NAMES) for signal in signals]
    live = [found.sources.get(one.signal).pull(one) for one in asked]
    assert all(found.sources.get(signal).probe().state is State.OK for signal in signals)
    again = playback(tmp_path / "out")
    for frame, one in zip(live, asked, strict=True):
        played = again.get(one.signal).pull(one)
        assert played.data.equals(frame.data)
        assert (played.origin, played.caveats) == (frame.origin, frame.caveats)
        assert again.get(one.signal).probe().state is State.OK


@needs_samples
@pytest.mark.parametrize("folder", RUNS, ids=lambda folder: folder.parent.name)
def test_every_real_run_opens(folder):
    """Each real run opens, knows its env and its few seconds, and holds series of its own."""
    found = labs(folder, tape=Live())
    assert found.env == "test"
    assert 5 < found.window.seconds < 60
    assert len(metrics(found)) >= 3


@needs_samples
@pytest.mark.parametrize(
    ("scenario", "metric", "reason", "increase"),
    [
        ("es_429_inject", "outbox_retry_scheduled_total", "rate_limited", 3),
        ("es_down_connect", "outbox_retry_scheduled_total", "es_unreachable", 2),
        ("es_write_block_4xx", "outbox_terminal_failed_total", "es_4xx", 1),
        ("db_claim_contention", "outbox_owner_mismatch_skips_total", "", 8),
        ("stuck_reclaim", "outbox_processed_total", "", 5),
        ("collector_down", "outbox_processed_total", "", 1),
    ],
)
def test_real_runs_show_what_happened(scenario, metric, reason, increase):
    """The counters of the real runs grew as their harness saw, under canonical reasons."""
    folder = next(r for r in RUNS if r.parent.name == scenario)
    found = labs(folder, tape=Live())
    frame = ask(found, Signal.METRICS, metrics=(metric,))
    chosen = frame.data.loc[:, frame.data.columns.get_level_values("reason") == reason]
    grown = chosen.ffill().iloc[-1] - chosen.bfill().iloc[0]
    assert grown.sum() == increase


@needs_samples
def test_real_bulk_run_has_fifteen_foreign_traces():
    """15 of the 20 traces of the real bulk export belong to other runs, as known."""
    folder = next(r for r in RUNS if r.parent.name == "es_bulk_partial")
    frame = ask(labs(folder, tape=Live()), Signal.TRACES)
    assert any("15 of 20 exported traces" in note for note in frame.caveats)


@needs_samples
def test_real_run_without_collector_has_no_traces():
    """Traces are missing because nothing answered the exporter; the log line says so too."""
    folder = next(r for r in RUNS if r.parent.name == "collector_down")
    found = labs(folder, tape=Live())
    assert ask(found, Signal.TRACES).missing == "refused"
    assert ask(found, Signal.LOGS).data["event"].tolist() == ["tracing.exporter_unreachable"]


def test_a_window_or_env_that_the_run_does_not_have_is_refused(tmp_path):
    """It is said once what the run covers; a part of it may be asked for."""
    folder = run(tmp_path)
    held = labs(folder, tape=Live()).window
    part = {"start": iso(held.start), "end": iso(held.end - timedelta(seconds=1))}
    assert open_case("narrow", source=f"labs:{folder}", **part).window.end < held.end
    with pytest.raises(UsageError, match=f"covers {iso(held.start)}"):
        open_case("narrow", source=f"labs:{folder}", start=iso(held.end), end="2199-01-01T00:00Z")


def test_narrow_window_cuts_every_signal(tmp_path):
    """A question about a part of the run is answered with that part."""
    found = labs(run(tmp_path), tape=Live())
    part = Window(found.window.start, found.window.start + timedelta(seconds=2))
    lines = found.sources.logs.pull(Question(signal=Signal.LOGS, window=part))
    spans = found.sources.traces.pull(Question(signal=Signal.TRACES, window=part))
    assert (len(lines), len(spans)) == (1, 0)
