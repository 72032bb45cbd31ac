"""The metrics source against the lab's real Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loomtriage.model import Kind, Scope, Signal, Window
from loomtriage.sources import Live, Prometheus, Question
from loomtriage.sources.metrics.promql_answer import read_vector
from loomtriage.sources.metrics.promql_server import PromqlServer

pytestmark = pytest.mark.lab


def url_of(lab):
    return lab.prometheus_url


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.one_of(st.sampled_from('\\"\n{},='), st.characters(codec="utf-8")), min_size=1))
def test_prometheus_reads_the_value_that_was_meant(lab, env):
    """`absent` answers with the labels of its matchers: the server read each value unchanged."""
    server = PromqlServer(url_of(lab))
    text = f"absent(nothing{{{Scope(env=env).selector()}}})"
    reply = server.query(text, at=None, deadline=server.deadline())
    assert (reply.missing, reply.hint) == ("", "")
    assert read_vector(reply.body) == [({"env": env}, 1.0)]


def test_a_real_server_answers_every_kind_of_question(lab):
    """Samples, targets and alerts come; exemplars are empty by name, none is refused."""
    source = Prometheus(url_of(lab), tape=Live())
    window = Window.last(timedelta(minutes=5), now=datetime.now(UTC))

    def pull(about=None):
        return source.pull(
            Question(signal=Signal.METRICS, window=window, about=about, metrics=("up",))
        )

    assert pull().data.max().max() == 1.0
    targets = pull(Kind.TARGETS)
    assert set(targets.data["health"]) == {"up"}
    assert targets.data["last_scrape"].notna().all()
    exemplars, alerts = pull(Kind.EXEMPLARS), pull(Kind.ALERTS)
    assert (exemplars.missing, len(exemplars)) == ("empty", 0)
    # Whether the lab's own rules have something to say depends on what was done to it before.
    assert alerts.missing == ("" if len(alerts) else "empty")


def test_a_long_window_is_counted_first_and_still_answered(lab):
    """Over an hour the server is asked how much it holds, and its count is understood."""
    window = Window.last(timedelta(hours=2), now=datetime.now(UTC))
    frame = Prometheus(url_of(lab), tape=Live()).pull(
        Question(signal=Signal.METRICS, window=window, metrics=("up",))
    )
    assert (frame.missing, frame.data.max().max()) == ("", 1.0)
    assert not any(note.startswith("thinned") for note in frame.caveats)
