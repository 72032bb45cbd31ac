"""Looks: what tells a fault can be seen without a hint, and every look counts, once."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loomtriage.case import VISITORS, open_case
from loomtriage.cli.train import _Eyes
from loomtriage.errors import Refused
from loomtriage.train import board
from loomtriage.train.answers import Stamped, answers_from
from loomtriage.train.looks import HINTS, look, plain, read_looks
from loomtriage.train.offline import play_offline
from loomtriage.train.pool import Level, level_of, recorded_runs
from loomtriage.train.rounds import LOOKS_FILE, ROUND_FILE, TELEMETRY
from loomtriage.train.stripped import strip_run
from loomtriage.train.truth import drill_of
from tests.train.rounds import EXAMPLES, RIGHT, order, pool_of

TELLS = {
    "collector_down": ("lines", "Failed to export spans"),
    "db_contention": ("lines", "all of them locked by another session"),
    "duplicate_delivery": ("idempotent_noop", r"op=delete.* [1-9]\d*\n"),
    "es_429": ("lines", "rate_limited"),
    "es_bulk_partial": ("bulk_requests", r"result=partial.* [1-9]\d*\n"),
    "es_down": ("lines", "es_unreachable"),
    "es_poison_4xx": ("lines", "mapping_conflict"),
    "es_write_block": ("lines", "es_write_blocked"),
    "projection_version": ("lines", "projection_version 1, 2"),
    "stuck_reclaim": ("reclaimed", r" [1-9]\d*\n"),
}
"""Where the observation stands that tells each plain fault, and how it reads."""


def folder_of(place, drill):
    """The folder of a round on that drill's recorded run."""
    telemetry = place / TELEMETRY
    strip_run(EXAMPLES / drill, telemetry, name="round", move_s=-90_000)
    (place / ROUND_FILE).write_text(json.dumps({"source": f"run:{telemetry}"}))
    return place


def test_every_plain_fault_is_on_the_list():
    """The table below says of each basic drill what tells it."""
    drills = [drill_of(one.truth.as_json()) for one in recorded_runs(EXAMPLES)]
    basic = {one.id for one in drills if level_of(one) is Level.BASIC}
    assert set(TELLS) == basic - {"placebo"}


@pytest.mark.parametrize("drill", TELLS)
def test_a_plain_fault_is_told_without_a_hint(drill, tmp_path):
    """What tells it stands in a look that costs nothing, and not in that of a placebo."""
    what, words = TELLS[drill]
    assert what not in HINTS
    folders = [tmp_path / name for name in (drill, "placebo")]
    shown, calm = (plain(look(folder_of(one, one.name), what)) for one in folders)
    assert re.search(words, shown)
    assert not re.search(words, calm)


def test_the_order_of_looks_changes_nothing(tmp_path):
    """A raw look shows the same after a hint that narrowed the case."""
    folder = folder_of(tmp_path, "projection_version")
    before = [look(folder, what) for what in ("spans", "lines", "rows")]
    look(folder, "explain")
    assert [look(folder, what) for what in ("spans", "lines", "rows")] == before
    assert before[0].rows


def test_every_look_counts_and_a_hint_costs_once(tmp_path):
    """By whatever command the telemetry is opened, it is kept; the same hint twice is one hint."""

    def desk(opened):
        look(opened.folder, "explain")
        look(opened.folder, "explain")
        open_case("close", source=opened.source)  # as any other command does
        open_case("explain", source="example:placebo")  # another run is not this round
        return (Stamped(after_s=1.0, answers=answers_from(RIGHT)),)

    pool = pool_of(tmp_path / "past", "es_down")
    closed = play_offline(order(tmp_path, pool), desk, say=lambda _: None, opened=lambda _: None)
    assert closed.score.hints == 2
    seen = board.read(tmp_path / "board")[-1].content["looks"]
    assert seen == ["explain", "explain", "close"]
    open_case("retries", source=closed.opened.source)
    assert len(read_looks(closed.opened.folder)) == 3, "what comes after the answers is no look"
    assert not list(tmp_path.rglob(VISITORS))


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda book: book.symlink_to("/dev/null")])
def test_no_look_goes_past_a_book_that_takes_no_entry(tmp_path, spoil):
    """Whoever takes the book's rights away sees nothing, and is told so in one line."""
    folder = folder_of(tmp_path, "placebo")
    source = f"run:{folder / TELEMETRY}"
    spoil(folder / VISITORS)
    with pytest.raises(Refused, match=r"visitors\.jsonl takes no entry"):
        open_case("path", source=source)
    (folder / VISITORS).rename(tmp_path / "away")
    open_case("path", source=source)  # the control: no round goes on


def test_what_is_no_look_is_left_out(tmp_path):
    """A line that cannot be read costs nothing."""
    line = json.dumps({"at": datetime.now(UTC).isoformat(), "what": "retries"})
    (tmp_path / LOOKS_FILE).write_text(f"{line}\n{{\n[]\n{line}\n")
    assert [(one.what, one.is_hint) for one in read_looks(tmp_path)] == [
        ("retries", True),
        ("retries", False),
    ]


def test_the_cost_of_a_hint_is_said_before_it(tmp_path, capsys):
    """In the terminal the cost stands ahead of what the hint shows, the first time."""
    eyes, folder = _Eyes(), folder_of(tmp_path, "placebo")

    class Told:
        """As much of an opened round as a look needs."""

    Told.folder = folder
    shown = [eyes.look(Told, what) for what in ("narrow", "explain", "explain")]
    assert capsys.readouterr().out == "a hint: -10% of the score\n\n"
    assert "hint" not in shown[1]
