"""What reaches PromQL: names that are names, and values that stay inside their quotes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.errors import UsageError
from loomtriage.model import Kind, Scope, Signal, Window
from loomtriage.model.scope import escape_label_value
from loomtriage.sources import Question
from loomtriage.sources.metrics.promql import promql, wire_names

START = datetime(2026, 2, 14, 14, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(seconds=10))
FAILED = "outbox_failed_total"
ESCAPES = {"\\": "\\", '"': '"', "n": "\n"}
SPITEFUL = st.text(
    st.one_of(st.sampled_from('\\"\n{}[],=~|\r\t\x00\u2028ne'), st.characters()), max_size=24
)


def read_matchers(text: str) -> dict[str, str]:
    """A reader of `{name="value",...}` that knows nothing of how it was written."""
    assert text[0] == "{"
    place, found = 1, {}
    while text[place] != "}":
        name, _, _ = text[place:].partition('="')
        assert name.isidentifier(), name
        place += len(name) + 2
        value = ""
        while text[place] != '"':
            assert text[place] != "\n", "a newline ends a PromQL string"
            if text[place] == "\\":
                place += 1
                value += ESCAPES[text[place]]
            else:
                value += text[place]
            place += 1
        found[name] = value
        place += 2 if text[place + 1] == "," else 1
    assert place == len(text) - 1, "text after the selector"
    return found


def finds_exactly(env):
    question = Question(
        signal=Signal.METRICS, window=WINDOW, metrics=(FAILED,), scope=Scope(env=env)
    )
    query = promql(question)
    expected = {"__name__": FAILED} | ({"env": env} if env else {})
    assert query.endswith("[11s]")
    assert read_matchers(query.removesuffix("[11s]")) == expected


@settings(max_examples=500, deadline=None)
@given(SPITEFUL)
def test_matcher_value_round_trips(env):
    """Whatever env is asked for, a reader of PromQL finds exactly it, and nothing beside it."""
    finds_exactly(env)


@pytest.mark.soak
@settings(max_examples=10_000, deadline=None)
@given(SPITEFUL)
def test_ten_thousand_values_round_trip(env):
    """The same for very many."""
    finds_exactly(env)


@settings(max_examples=300, deadline=None)
@given(st.builds(Scope, env=SPITEFUL, op=SPITEFUL, reason=SPITEFUL))
def test_every_key_of_a_scope_round_trips(scope):
    """The one function that writes matchers keeps all values apart."""
    told = {name: value for name, value in scope.as_json().items() if value}
    assert read_matchers(f"{{{scope.selector()}}}") == told


@pytest.mark.parametrize("value", ['a"', "a\\", "a\nb", 'x",env="'])
def test_reader_refuses_what_was_not_escaped(value):
    """Without the escape the reader fails or finds something else: the property can fail."""
    try:
        found = read_matchers(f'{{env="{value}"}}')
    except (AssertionError, IndexError, KeyError):
        return
    assert found != {"env": value}
    assert read_matchers(f'{{env="{escape_label_value(value)}"}}') == {"env": value}


@pytest.mark.parametrize("metrics", [(), ("a b",), ('x"} or up{a="',), ("up|.*",), ("",)])
def test_what_is_no_metric_name_never_reaches_promql(metrics):
    """A name with anything else in it is a usage error."""
    with pytest.raises(UsageError):
        promql(Question(signal=Signal.METRICS, window=WINDOW, metrics=metrics))


@pytest.mark.parametrize(
    ("about", "text"),
    [
        (None, '{__name__="up",env="dev"}[11s]'),
        (Kind.EXEMPLARS, '{__name__="up",env="dev"}'),
        (Kind.ALERTS, "ALERTS[11s]"),
        (Kind.TARGETS, ""),
    ],
)
def test_each_kind_is_asked_in_its_own_words(about, text):
    """Samples and alerts come raw over the window, exemplars by selector, targets without."""
    question = Question(
        signal=Signal.METRICS, window=WINDOW, about=about, metrics=("up",), scope=Scope(env="dev")
    )
    assert promql(question) == text


def test_histogram_stands_for_its_parts():
    """A histogram is asked for as buckets, count and sum."""
    name = "outbox_es_bulk_request_duration_seconds"
    question = Question(signal=Signal.METRICS, window=WINDOW, metrics=(name,))
    assert wire_names(question) == (f"{name}_bucket", f"{name}_count", f"{name}_sum")
