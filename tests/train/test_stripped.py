"""A stripped run: its telemetry answers as before, and nothing in it leads back to the run."""

from __future__ import annotations

import hashlib
import lzma
import re

import pytest

from loomtriage.case import open_case
from loomtriage.sources.packing import pack
from loomtriage.train.stripped import renamed, strip_run
from tests.train.rounds import EXAMPLES

WORD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b|load-[0-9a-f]+")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
NOTHING = hashlib.sha256(pack(b"")).hexdigest()
"""Of an empty answer, which is the same in every run."""
ALL_RUNS = sorted(path.parent.name for path in EXAMPLES.glob("*/manifest.json"))


def texts(tape):
    """Every answer and every question of a tape."""
    yield (tape / "index.jsonl").read_text()
    for path in tape.glob("*.xz"):
        yield lzma.decompress(path.read_bytes()).decode(errors="replace")


def found(pattern, tape):
    """All words of that form."""
    return {word for text in texts(tape) for word in pattern.findall(text)}


@pytest.mark.parametrize("drill", ALL_RUNS)
def test_no_id_and_no_moment_leads_back(drill, tmp_path):
    """Ids of traces, spans, rows, entities and requests, hashes and times are all others."""
    strip_run(EXAMPLES / drill, tmp_path / "round", name="round", move_s=-90_000)
    for pattern in (WORD, MOMENT):
        old, new = (
            found(pattern, EXAMPLES / drill / "tape"),
            found(pattern, tmp_path / "round/tape"),
        )
        assert old
        assert old & new - {NOTHING} == set()


def test_what_belongs_together_still_does(tmp_path):
    """Lines, spans and rows of one request are joined by their ids as before."""
    strip_run(EXAMPLES / "es_429", tmp_path / "round", name="round", move_s=-90_000)

    def joined(source):
        case = open_case("path", source=source)
        lines, spans, rows = (case.pull(what).data for what in ("lines", "spans", "rows"))
        events = {dict(one).get("outbox_event_id") for one in lines["fields"]}
        return (
            len(set(lines["trace_id"]) & set(spans["trace_id"])),
            len(set(rows["id"]) & events),
            len(set(spans["parent_id"]) & set(spans["span_id"])),
            len(set(lines["sha256"])),
        )

    there = joined(f"run:{tmp_path / 'round'}")
    assert min(there) > 10
    assert there == joined("example:es_429")


def test_other_rounds_have_other_ids():
    """An id keeps its form, and only the round's secret leads from one to the other."""
    texts = (
        b"1795601352093404 0.1234567890123456 4898faccd0bd611f89ab541ac572beac 14898faccd0bd611f"
    )
    one, two = renamed(texts, b"one"), renamed(texts, b"two")
    assert one != two
    assert [len(word) for word in one.split()] == [len(word) for word in texts.split()]
    assert one.split()[:2] + one.split()[3:] == texts.split()[:2] + texts.split()[3:]
    assert renamed(b"a-4898faccd0bd611f89ab541ac572beac", b"one").endswith(one.split()[2])
