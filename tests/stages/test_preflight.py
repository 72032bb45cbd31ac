"""Preflight says which process is down and how to start it, and why a signal is silent."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pandas as pd
import pytest

from loomtriage.analysis.apart import Apart
from loomtriage.analysis.counters.increases import measure
from loomtriage.case import open_case
from loomtriage.contract.keys import CHRONICLE, SEARCH
from loomtriage.contract.spans import ROW
from loomtriage.model import Frame, Kind, State
from loomtriage.model.frame import TARGET_COLUMNS
from loomtriage.stages.preflight import preflight
from loomtriage.stages.preflight_limits import clocks, log_level, work
from loomtriage.stages.preflight_targets import scraped_targets, target_findings, targets_table
from loomtriage.stages.preflight_tracing import read_tracing, tracing_findings
from tests.make import BASELINE, WINDOW, at, column, line, lines, metrics, origin, ramp, span, spans
from tests.stages.whole import blind

SIGNALS = ("metrics", "traces", "logs", "rows")
NOTHING = metrics({column("up", env="", projection=""): [1.0]})
REFUSED = "dial tcp 127.0.0.1:9109: connect: connection refused"


def _listed(*targets):
    rows = [
        {
            "job": job,
            "instance": instance,
            "url": f"http://{instance}/metrics",
            "health": health,
            "last_error": error,
            "last_scrape": at(0),
            "labels": {"env": job.rpartition("-")[2], "component": job.split("-")[1]},
        }
        for job, instance, health, error in targets
    ]
    data = pd.DataFrame(rows, columns=list(TARGET_COLUMNS))
    return Frame(kind=Kind.TARGETS, data=data, origin=origin("prometheus"))


def _found(*targets):
    return scraped_targets(_listed(*targets), NOTHING.data)


API = ("wordloom-api-dev", "host:30001", "up", "")
WORKER = ("wordloom-worker-dev", "host:9108", "up", "")


@pytest.mark.parametrize(
    ("target", "state", "says"),
    [
        (("wordloom-worker-dev", "h:9109", "down", REFUSED), State.BAD, "OUTBOX_METRICS_PORT=9109"),
        (("wordloom-worker-dev", "h:9110", "down", REFUSED), State.BAD, "chronicle worker with"),
        (("wordloom-worker-dev", "h:9108", "down", "no such host"), State.BAD, "-/reload"),
        (("wordloom-worker-dev", "h:9129", "down", REFUSED), State.OK, "while a drill runs"),
        (("wordloom-api-dev", "h:8000", "down", REFUSED), State.OK, "one port of its job"),
        (("wordloom-api-test", "h:30011", "down", REFUSED), State.BAD, "API on port 30011"),
        (("wordloom-worker-dev", "h:9109", "up", ""), State.OK, "All 3 targets are up"),
    ],
)
def test_a_target_that_is_down_says_why_and_what_starts_it(target, state, says):
    """By its port; a drill's worker and the API's other port may be down in peace."""
    (finding,) = target_findings(_found(API, WORKER, target))
    assert (finding.check, finding.state) == ("preflight.targets", state)
    assert says in finding.says
    if state is State.BAD:
        assert target[3] in finding.says


def test_a_process_that_is_scraped_twice_is_named_with_its_jobs():
    """Two envs for one process make its env unknown."""
    twice = ("wordloom-worker-test", "host:9108", "up", "")
    found = {f.check: f for f in target_findings(_found(API, WORKER, twice))}
    assert found["preflight.targets_twice"].state is State.WARN
    assert "host:9108 by wordloom-worker-dev and wordloom-worker-test" in (
        found["preflight.targets_twice"].says
    )


def test_a_component_that_nobody_scrapes_is_missed():
    """What is not scraped cannot be down."""
    found = {f.check: f for f in target_findings(_found(WORKER))}
    assert "job scrapes api" in found["preflight.jobs"].says


def test_without_a_list_of_targets_up_is_read():
    """A source that knows no targets still has `up`, without the reason."""
    extra = "component=worker,job=wordloom-worker"
    ups = metrics({column("up", instance="h:9109", projection="", extra=extra): [1.0, 0.0]})
    found = scraped_targets(Frame.empty(Kind.TARGETS, origin(), missing="not_recorded"), ups.data)
    assert [(one.instance, one.is_up) for one in found] == [("h:9109", False)]
    assert "OUTBOX_METRICS_PORT=9109" in targets_table(found).rows[0][-1]


def _increases(**rise):
    series = {
        column(name, **({"op": "upsert"} if name == "processed" else {})): ramp(0, much)
        for name, much in rise.items()
    }
    frame = metrics(series) if series else NOTHING
    return measure(frame, window=WINDOW, baseline=BASELINE)


def _spans(*rows, missing="empty", caveats=()):
    if not rows:
        return Frame.empty(Kind.SPANS, origin("traces"), missing=missing)
    return Frame(kind=Kind.SPANS, data=spans(*rows), origin=origin("traces"), caveats=caveats)


def _tracing(frame, told=(), *, of=SEARCH, **rise):
    table = lines(*(line(event, event=event, fields=fields) for event, fields in told))
    return tracing_findings(frame, read_tracing(frame, table, _increases(**rise), projection=of))


def test_only_work_of_the_asked_worker_wants_spans():
    """Rows that the other projection finished have their spans elsewhere."""
    told = _spans(*(span(f"t{n}", f"s{n}", ROW) for n in range(3)))
    assert _tracing(told, processed=90)[0].state is State.WARN
    assert _tracing(told, processed=90, of=CHRONICLE)[0].state is State.OK


@pytest.mark.parametrize(
    ("told", "rise", "says"),
    [
        ([("tracing.disabled", {})], {"processed": 9}, "Tracing is off"),
        ([("tracing.startup", {"enabled": False})], {"processed": 9}, "Tracing is off"),
        ([("tracing.exporter_unreachable", {})], {"processed": 9}, "collector does not take"),
        ([], {"processed": 9, "trace_export_failures": 4}, "4 exports failed"),
        (
            [("tracing.startup", {"enabled": True, "exporter_configured": False})],
            {"processed": 9},
            "no exporter was attached",
        ),
        ([], {"processed": 9}, "sampled out"),
        (
            [("tracing.startup", {"sampler": "traceidratio", "sampler_arg": "0.05"})],
            {"processed": 9},
            "traceidratio at 0.05",
        ),
        ([], {}, "no attempt that would have made one"),
    ],
)
def test_ways_of_having_no_trace_are_told_apart(told, rise, says):
    """Off, collector lost, sampled out, idle: each by what it leaves, each with its fix."""
    (finding,) = _tracing(_spans(), told, **rise)
    assert finding.state is State.NO_DATA
    assert says in finding.says


def test_few_traces_are_a_warning_and_enough_are_not():
    """Below half of the attempts most incidents have no trace."""
    one = span("t", "1", "outbox.process")
    assert _tracing(_spans(one), processed=20)[0].state is State.WARN
    assert _tracing(_spans(one), processed=1)[0].state is State.OK
    batch = span("t", "1", "projection.process_batch", attributes={"batch_size": 20})
    assert _tracing(_spans(batch), processed=20)[0].state is State.OK
    cut = _spans(one, caveats=("truncated: there are more.",))
    assert _tracing(cut, processed=20)[0].state is State.OK


def test_a_silent_trace_source_says_nothing_of_tracing():
    """Its own finding says why it is silent."""
    assert _tracing(_spans(missing="refused"), processed=9) == ()


def _work(*, waiting=0.0, is_up=True, told=(), scrapes=2, **rise):
    up = column("up", instance="host:9108")
    frame = metrics({column("lag"): [waiting] * scrapes, up: [1.0] * scrapes})
    targets = _found(("wordloom-worker-dev", "host:9108", "up" if is_up else "down", ""))
    table = lines(*(line("x", event="worker.state", fields={"state": s}) for s in told))
    return work(frame.data, _increases(**rise), table, targets)


@pytest.mark.parametrize(
    ("given", "state", "says"),
    [
        ({"processed": 5}, State.OK, "finished in the window: 5"),
        ({}, State.WARN, "No traffic"),
        ({"is_up": False, "waiting": 3.0}, State.BAD, "worker is dead"),
        ({"told": ("RUNNING", "DRAINING"), "waiting": 3.0}, State.WARN, "is DRAINING"),
        ({"told": ("DRAINING", "RUNNING"), "waiting": 3.0}, State.WARN, "3 rows wait"),
        ({"scrapes": 1, "waiting": 3.0}, State.NO_DATA, "1 scrapes of the worker"),
        ({"scrapes": 1, "processed": 5}, State.OK, "finished in the window: 5"),
        ({"scrapes": 0}, State.NO_DATA, "0 scrapes of the worker"),
        ({"waiting": None}, State.WARN, "how many rows wait is not known"),
    ],
)
def test_idle_dead_and_draining_are_told_apart(given, state, says):
    """No work has three causes, and each has another fix."""
    finding = _work(**given)
    assert finding.state is state
    assert says in finding.says


def test_hidden_events_are_not_an_idle_worker():
    """Without a line of INFO, no event is not no activity; with one there is nothing to say."""
    quiet = Frame(kind=Kind.LINES, data=lines(line("x", level="WARNING")), origin=origin("logs"))
    loud = replace(quiet, data=lines(line("x")))
    none = Frame.empty(Kind.LINES, origin("logs"), missing="empty")
    gone = replace(none, missing="refused")
    assert "LOG_LEVEL=INFO" in log_level(quiet, _increases(processed=3))[0].says
    assert len(log_level(none, _increases(processed=3))) == 1
    assert log_level(none, _increases()) == ()
    assert log_level(gone, _increases(processed=3)) == ()
    assert log_level(loud, _increases(processed=3)) == ()


@pytest.mark.parametrize(
    ("skew", "state", "says"),
    [
        ("", State.NO_DATA, "No clock could be compared"),
        ("the server's clock is 7 s ahead of ours.", State.OK, "server is +7.0 s off"),
        ("the database's clock is 90 s behind ours.", State.WARN, "database is -90.0 s off"),
    ],
)
def test_clocks_are_measured_and_far_ones_warn(skew, state, says):
    """More than two seconds is said, more than thirty is a warning, silence is no agreement."""
    frame = NOTHING.with_caveat(f"clock_skew: {skew}") if skew else NOTHING
    (finding,) = clocks((), frame)
    assert finding.state is state
    assert says in finding.says


@pytest.mark.parametrize(("ahead", "state"), [(0.0, State.OK), (45.0, State.WARN)])
def test_clocks_that_were_compared_agree_or_not(ahead, state):
    """A number and how often it was taken stand behind the word "agree"."""
    (finding,) = clocks((Apart(whose="w1", ahead_s=ahead, n=7),), NOTHING)
    assert (finding.state, finding.value, finding.n) == (state, ahead, 7)


@pytest.mark.parametrize(
    "gone", [*combinations(SIGNALS, 1), *combinations(SIGNALS, 2), SIGNALS], ids="+".join
)
def test_every_missing_signal_is_named_with_what_would_bring_it_back(gone):
    """One, two or all of them: the rest is still judged, nothing is an error or healthy."""
    case = blind(open_case("preflight", source="example:es_down"), gone)
    result = preflight(case)
    states = {f.check: f.state for f in result.verdict.findings}
    for signal in SIGNALS:
        wanted = State.NO_DATA if signal in gone else State.OK
        assert states[f"preflight.{signal}"] is wanted
    assert State.ERROR not in states.values()
    assert result.verdict.state not in (State.OK, State.WARN)
    assert all(signal in result.verdict.headline for signal in gone)
