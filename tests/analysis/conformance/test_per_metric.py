"""Each metric of the catalogue has its row; what is not there is NO_DATA and never OK."""

from __future__ import annotations

import pytest

from loomtriage.analysis.conformance.per_metric import MetricSeen, each_metric
from loomtriage.contract.catalogue import METRICS, MetricType
from loomtriage.contract.demands import BULK_FAMILY
from loomtriage.contract.keys import SEARCH
from loomtriage.model import State
from tests.make import column, metrics

TARGET = "component=worker,job=wordloom-worker"
ALL = frozenset(metric.id for metric in METRICS)


def seen_of(frame, metric="processed", asked=ALL, **more) -> MetricSeen:
    """The row of one metric."""
    return seen_of_data(frame.data, metric, asked, **more)


def seen_of_data(data, metric="processed", asked=ALL, **more) -> MetricSeen:
    """The row of one metric in a table."""
    (one,) = (row for row in each_metric(data, asked=asked, **more) if row.metric.id == metric)
    return one


def work(**labels):
    """A series of rows processed that obeys, but for these labels."""
    return column("processed", **{"op": "upsert", "extra": TARGET, **labels})


W2 = work(instance="w2")


def test_every_metric_has_its_row_in_the_order_of_the_catalogue():
    """One of them was scraped: the others are NO_DATA, whatever it shows."""
    found = each_metric(metrics({work(): [0.0, 1.0]}).data, asked=ALL)
    assert tuple(one.metric for one in found) == METRICS
    assert {one.metric.id: one.state for one in found if one.state is not State.NO_DATA} == {
        "processed": State.OK
    }
    assert all(one.absent for one in found if one.state is State.NO_DATA)


def test_without_metrics_nothing_is_well():
    """An empty frame gives a row of NO_DATA for every metric."""
    empty = metrics({work(): [0.0]}).data.iloc[:0, :0]
    assert {one.state for one in each_metric(empty, asked=ALL)} == {State.NO_DATA}


def test_what_ended_before_the_window_is_absent():
    """A metric of the baseline only is gone; one sample inside the window makes it there."""
    gone = metrics({work(): [0.0, 1.0, float("nan")]}).data
    since = gone.index[-1].to_pydatetime()
    assert seen_of_data(gone).state is State.OK
    over = seen_of_data(gone, since=since)
    assert (over.state, over.absent) == (State.NO_DATA, "its samples end before the window begins")
    there = metrics({work(): [0.0, 1.0, 2.0]}).data
    assert seen_of_data(there, since=since).state is State.OK


ODD = [
    ({"op": ""}, State.WARN, {"missing": ("op",)}),
    ({"env": ""}, State.WARN, {"missing": ("env",)}),
    ({"extra": "component=worker"}, State.WARN, {"missing": ("job",)}),
    ({"extra": f"{TARGET},shard=3"}, State.WARN, {"unexpected": ("shard",)}),
    ({"extra": f"{TARGET},trace_id=ab"}, State.BAD, {"ids": ("trace_id",)}),
    ({"op": "9f86d081884c7d65"}, State.BAD, {"ids": ("op",)}),
]


@pytest.mark.parametrize(("labels", "state", "says"), ODD)
def test_labels_too_few_too_many_or_full_of_ids(labels, state, says):
    """Each is named in its own column, and weighs as much as its demand does."""
    one = seen_of(metrics({work(**labels): [0.0, 1.0]}))
    assert one.state is state
    assert {name: getattr(one, name) for name in says} == says


def test_a_label_that_the_source_added_is_missing_from_the_series():
    """An env that was read from a file name is not on the series."""
    one = seen_of(metrics({work(): [0.0, 1.0]}), inferred=frozenset({"env"}))
    assert one.missing == ("env",)


@pytest.mark.parametrize(("series", "state"), [(250, State.OK), (251, State.BAD)])
def test_series_are_counted_on_the_target_that_has_most(series, state):
    """A second target does not add to the first; one series beyond the bound breaks the metric."""
    pairs = [(f"p{i % 20}", f"o{i // 20}") for i in range(series)]
    frame = metrics({work(projection=one, op=two): [1.0] for one, two in pairs} | {W2: [1.0]})
    one = seen_of(frame)
    assert (one.most, one.targets, one.state) == (series, 2, state)


def test_too_many_values_of_one_label_are_named():
    """A label that takes a new value with each event breaks the metric."""
    one = seen_of(metrics({work(op=f"op-{number}"): [1.0] for number in range(41)}))
    assert (one.crowded, one.state) == ((("op", 41),), State.BAD)


def test_a_counter_that_fell_is_counted_and_a_gauge_may_fall():
    """Two restarts of one series are two resets."""
    falls = [3.0, 5.0, 0.0, 2.0, None, 1.0]
    frame = metrics({work(): falls, column("lag", extra=TARGET): falls})
    counter, gauge = seen_of(frame), seen_of(frame, "lag")
    assert (counter.resets, counter.state) == (2, State.WARN)
    assert (gauge.resets, gauge.state) == (None, State.OK)


def test_a_histogram_counts_once_however_many_buckets_it_has():
    """Its parts stand under its name, and a bucket that fell is a reset."""
    name = ("outbox_es_bulk_request_duration_seconds_bucket", "w1", "test", SEARCH, "", "", "")
    buckets = {(*name, f"{TARGET},le={number}"): [1.0, 2.0] for number in range(300)}
    one = seen_of(metrics(buckets), "bulk_duration")
    assert (one.most, one.state, one.resets) == (1, State.OK, 0)
    fallen = {**buckets, (*name, f"{TARGET},le=7"): [2.0, 1.0]}
    assert seen_of(metrics(fallen), "bulk_duration").resets == 1


def test_what_nobody_asked_for_is_told_from_what_is_absent():
    """A recording without histograms does not say that there were none."""
    frame = metrics({work(): [0.0, 1.0]})
    asked = frozenset(m.id for m in METRICS if m.type is not MetricType.HISTOGRAM)
    one = seen_of(frame, "bulk_duration", asked=asked)
    assert (one.is_asked, one.state) == (False, State.NO_DATA)
    absent = {row.metric.id: row for row in each_metric(frame.data, asked=ALL)}
    assert all("bulk mode" in absent[name].absent for name in BULK_FAMILY)
    assert all(row.is_asked for row in absent.values())
