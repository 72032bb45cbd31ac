"""Labels of an alert can be anything; what is believed of them is a short list of known words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomtriage.errors import UsageError
from loomtriage.model import Scope
from loomtriage.model.window import parse_instant
from loomtriage.watch.payload import MAX_BYTES, read_delivery
from loomtriage.watch.question import LEAD, LONGEST, alert_json, parameters_of, scope_of
from tests.watch.receiver import Receiver, order, payload, post, told

NOW = datetime(2026, 2, 14, 14, 30, tzinfo=UTC)
PLAIN = re.compile(r"[A-Za-z0-9_.:-]*")
HOSTILE = (
    '"} or vector(1) #',
    'x",env=~".*',
    "../../../../etc/passwd",
    "..",
    "<script>alert(1)</script>",
    "a\nb",
    "a\x00b",
    "{{ 7 * 7 }}",
    "{source}",
    "$(touch owned)",
    "; DROP TABLE search_outbox_events; --",
    "--source=live",
    "-o",
    "\u202egnp.exe",
    "x" * 5000,
    "ＳＡＮＤＢＯＸ",
)


def _asked(content: dict, source: str = "live") -> dict[str, str]:
    return parameters_of(read_delivery(json.dumps(content).encode()), source=source, now=NOW)


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_values_say_nothing(words):
    """A value that the contract cannot have leaves every parameter as if it were not there."""
    keys = ("env", "projection", "op", "reason", "result", "alertname", "__import__", "source")
    content = payload(**dict.fromkeys(keys, words))
    delivery = read_delivery(json.dumps(content).encode())
    assert scope_of(delivery) == Scope()
    assert _asked(content) == _asked(payload())
    assert delivery.names == ()


@pytest.mark.parametrize(
    "name", ["source", "out", "handover", "start", "x=__import__('os')", "../a"]
)
def test_label_names_are_never_parameters(name):
    """Whatever a label is called, the path is asked the same five things."""
    assert _asked(payload(**{name: "anything"})) == _asked(payload())


def test_known_values_are_taken():
    """The control of the two above: real labels narrow the question."""
    labels = {"env": "sandbox", "projection": "search", "op": "upsert", "reason": "rate_limited"}
    content = payload(**labels, result="retry")
    delivery = read_delivery(json.dumps(content).encode())
    assert scope_of(delivery) == Scope(
        env="sandbox",
        projection="search_index_to_elastic",
        op="upsert",
        reason="rate_limited",
        result="retry",
    )
    asked = _asked(content)
    assert (asked["env"], asked["projection"]) == ("sandbox", "search_index_to_elastic")
    assert set(asked) == {"source", "env", "projection", "start", "end", "baseline"}


def test_a_projection_that_nobody_knows_is_not_asked_for():
    """A plain word, but of no outbox: asking for it would be refused, alert after alert."""
    assert _asked(payload(projection="gremlins")) == _asked(payload())


def test_alerts_that_disagree_narrow_nothing():
    """A group over two projections is not about one of them."""
    content = payload("a", "b", env="sandbox", projection="search_index_to_elastic")
    content["alerts"][1]["labels"]["projection"] = "chronicle_events_to_entries"
    scope = scope_of(read_delivery(json.dumps(content).encode()))
    assert (scope.env, scope.projection) == ("sandbox", "")


texts = st.text(max_size=40)


@settings(max_examples=300, deadline=None)
@given(labels=st.dictionaries(texts, texts, max_size=8), group=st.text(min_size=1, max_size=80))
def test_made_up_payloads_ask_nothing_new(labels, group):
    """Any labels whatever: same parameter names, plain values, the source of the operator."""
    content = payload(group=group)
    content["alerts"][0]["labels"] = labels
    try:
        asked = _asked(content)
    except UsageError:
        return  # a lone surrogate is no JSON text
    assert set(asked) == {"source", "env", "projection", "start", "end", "baseline"}
    assert asked["source"] == "live"
    assert all(PLAIN.fullmatch(value) for value in asked.values())


@pytest.mark.parametrize(
    ("starts_at", "start", "end"),
    [
        ("2026-02-14T14:21:30Z", "2026-02-14T14:16:30", "2026-02-14T14:30:00"),
        ("2026-02-14T22:21:30+08:00", "2026-02-14T14:16:30", "2026-02-14T14:30:00"),
        ("2026-02-14T15:00:00Z", "2026-02-14T14:25:00", "2026-02-14T14:30:00"),
        ("2026-02-13T00:00:00Z", "2026-02-12T23:55:00", "2026-02-13T00:55:00"),
    ],
)
def test_the_window_begins_before_the_alert(starts_at, start, end):
    """It leads by what `for` costs, never reaches into the future, and has a longest length."""
    content = payload()
    content["alerts"][0]["startsAt"] = starts_at
    asked = _asked(content)
    assert (asked["start"][:19], asked["end"][:19]) == (start, end)
    length = parse_instant(asked["end"]) - parse_instant(asked["start"])
    assert LEAD <= length <= LONGEST


def test_a_closing_run_looks_at_what_came_after():
    """Of a resolved group the window begins when its last alert ended, a minute ago at least."""
    content = payload("a", "b", status="resolved")
    asked = parameters_of(
        read_delivery(json.dumps(content).encode()),
        source="live",
        now=parse_instant("2026-02-14T14:40:20Z"),
    )
    window = parse_instant(asked["end"]) - parse_instant(asked["start"])
    assert window == timedelta(seconds=60)


def test_in_the_lab_a_minute_is_a_second():
    """Its alerts are as much faster as its rules, and so is what is looked at."""
    asked = _asked(payload(), "lab:demo")
    assert asked["start"][:19] == "2026-02-14T14:21:25"
    assert (asked["end"][:19], asked["baseline"]) == ("2026-02-14T14:22:25", "15s")


def test_a_recorded_run_keeps_its_own_windows():
    """Played back, an alert only starts the run: the recording answers what it was asked then."""
    assert _asked(payload(env="sandbox"), "example:es_429") == {"source": "example:es_429"}


def test_times_without_a_zone_are_refused():
    """An alert that does not say which clock it means is none."""
    content = payload()
    content["alerts"][0]["startsAt"] = "2026-02-14T14:21:30"
    with pytest.raises(UsageError, match="startsAt"):
        _asked(content)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("startsAt", "0001-01-01T00:00:00+08:00"),
        ("startsAt", "0001-01-01T00:00:00Z"),
        ("startsAt", "9999-12-31T23:59:59-08:00"),
        ("endsAt", "0001-01-01T00:00:00+08:00"),
        ("endsAt", "9999-12-31T23:59:59-08:00"),
    ],
)
def test_times_beyond_the_calendar_are_refused(tmp_path, key, value):
    """What no clock can say is no alert; it never comes as far as a run."""
    content = payload()
    content["alerts"][0][key] = value
    with pytest.raises(UsageError, match=key):
        _asked(content)
    with Receiver(order(tmp_path)) as receiver:
        assert post(receiver.port, content)[0] == 400


def test_an_end_that_is_not_yet_is_no_end():
    """Alertmanager spells it as the year 1: firing it is taken, resolved it counts for nothing."""
    for status in ("firing", "resolved"):
        content = payload(status=status)
        content["alerts"][0]["endsAt"] = "0001-01-01T00:00:00Z"
        delivery = read_delivery(json.dumps(content).encode())
        assert delivery.ends_at is None
        asked = parameters_of(delivery, source="live", now=NOW)
        assert asked["start"].startswith("2026-02-14")


def test_what_is_kept_of_an_alert_is_little():
    """Names, start, known scope and a count: no annotation, no address, no odd label."""
    content = payload(env="sandbox", team="<b>", secret="hunter2hunter2")
    kept = json.dumps(alert_json(read_delivery(json.dumps(content).encode())))
    assert not [w for w in ("hunter2", "<b>", "invalid", "Retries are rising") if w in kept]
    assert "sandbox" in kept


def test_too_much_is_refused_before_it_is_parsed():
    """A payload beyond the bound never reaches the parser."""
    with pytest.raises(UsageError, match=str(MAX_BYTES)):
        read_delivery(b" " * (MAX_BYTES + 1))


def test_nothing_of_a_payload_becomes_a_path(tmp_path):
    """Run with a hostile group and labels, the receiver writes below its own folders only."""
    inside = tmp_path / "inside"
    content = payload("../../f", group="../../../g", env="../../e", alertname="/etc/x")
    with Receiver(order(inside)) as receiver:
        assert post(receiver.port, content)[0] == 202
        assert receiver.settled()["done"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]
    (case,) = (inside / "room" / "cases").iterdir()
    assert re.fullmatch(r"[0-9a-f]{20}", case.name)
    assert told(inside / "stub") == [str(Path(case) / "triage.json")]
