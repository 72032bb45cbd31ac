"""One process that is scraped twice counts once, and the totals stay what they were."""

from __future__ import annotations

import numpy as np
import pytest

from loomtriage.sources.metrics.doubles import without_doubles
from loomtriage.sources.metrics.sample_series import Series

FAILED = "outbox_failed_total"


def series(*points, name=FAILED, instance="w:9108", **labels):
    times, values = zip(*points, strict=True)
    return Series(
        labels={"__name__": name, "instance": instance} | labels,
        times=np.array(times, "int64"),
        values=np.array(values, "float64"),
    )


def test_two_jobs_of_one_env_are_one():
    """Series that differ in scrape labels alone are one, the longer, and the note counts them."""
    longer = series((1, 5), (2, 6), job="a", env="dev")
    kept, notes = without_doubles([series((1, 5), job="b", env="dev"), longer])
    assert (kept, notes) == (
        [longer],
        ("1 series of targets that are scraped twice were left out.",),
    )


def test_one_process_under_two_envs_counts_once():
    """Counters that agree at every moment are one process: totals stay, its env is unknown."""
    told = [
        series((0, 0), (10, 4), (20, 9), env="dev"),
        series((5, 2), (15, 6), env="test"),
        series((0, 3), (10, 8), env="dev", name="outbox_lag_events"),
        series((5, 1), (15, 2), env="test", name="outbox_lag_events"),
    ]
    kept, notes = without_doubles(told)
    assert [one.labels.get("env") for one in kept] == [None, None]
    assert sum(one.values[-1] for one in kept if one.is_counter) == 9
    assert "2 envs (dev, test); it is one process: 2 series were left out" in notes[0]


@pytest.mark.parametrize(
    "other",
    [
        ((5, 7), (15, 12)),  # other values
        ((5, 0), (15, 0)),  # it never moved, while the first did
        ((30, 9), (40, 9)),  # they never lived at the same time
    ],
)
def test_two_processes_of_one_name_stay_two(other):
    """Where counters differ, or nothing proves that they are one, both envs are kept."""
    kept, notes = without_doubles(
        [series((0, 0), (10, 4), (20, 9), env="dev"), series(*other, env="test")]
    )
    assert sorted(one.labels["env"] for one in kept) == ["dev", "test"]
    assert "its values may repeat" in notes[0]


def test_idle_processes_prove_nothing():
    """Counters that are all zero agree, but that two of them do is no proof."""
    idle = [series((0, 0), (10, 0), env=env) for env in ("dev", "test")]
    assert len(without_doubles(idle)[0]) == 2


def test_a_reset_between_two_scrapes_is_no_contradiction():
    """A restart seen by one job a moment earlier does not make two processes of one."""
    told = [
        series((0, 8), (10, 1), (20, 2), env="dev"),
        series((5, 0), (15, 2), env="test"),
        series((0, 8), (10, 9), env="dev", name="outbox_processed_total"),
        series((5, 8), env="test", name="outbox_processed_total"),
    ]
    assert len(without_doubles(told)[0]) == 2
