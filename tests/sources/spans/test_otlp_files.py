"""Spans in OTLP JSON files: what is there is read, what is not is said, nothing is waited for."""

from __future__ import annotations

import gzip
import json
import os
import random

import pytest

from loomtriage.model import Signal, State
from loomtriage.sources import Live, Playback, Question, Recording, SpanFiles, Traces
from tests.sources.documents import SERVICE, WINDOW, attrs, old, old_span, otlp, span

ASKED = Question(signal=Signal.TRACES, window=WINDOW, service=SERVICE)


def document(*spans, **more):
    """One line as the collector's file exporter writes it."""
    return json.dumps(json.loads(otlp(*spans, **more))["result"])


def source(paths, *, tape=None, **more):
    files = SpanFiles(paths, **more)
    return Traces("", tape=tape or Live(), ask=files.ask, look=files.look)


def pull(paths, question=ASKED, **more):
    return source(paths, **more).pull(question)


def ids(frame):
    return [int(one, 16) for one in frame.data["span_id"]]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traces.jsonl"


def html(path):
    path.write_text("<!doctype html><title>Sign in</title>\n<p>no spans here</p>\n")


def refused(path):
    if os.geteuid() == 0:  # whom no mode stops, so a link stands in: it is not followed either
        path.symlink_to(path.with_name("elsewhere.jsonl"))
    else:
        path.write_text(document(span(1)))
        path.chmod(0)


DAMAGE = {
    "absent": (lambda path: None, "not_configured"),
    "unreadable": (refused, "refused"),
    "folder": (lambda path: (path / "x").mkdir(parents=True), "not_configured"),
    "pipe": (os.mkfifo, "refused"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "cut": (lambda path: path.write_text(document(span(1))[:-9]), "truncated"),
    "html": (html, "wrong_content"),
    "metrics": (lambda path: path.write_text('{"resourceMetrics": []}\n'), "wrong_content"),
    "zeros": (lambda path: path.write_bytes(bytes(64)), "wrong_content"),
    "binary": (lambda path: path.write_bytes(bytes(range(1, 256))), "wrong_content"),
    "broken_gzip": (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(30)), "damaged"),
    "only_broken_spans": (
        lambda path: path.write_text(document({"traceId": "zz"})),
        "wrong_content",
    ),
    "other_time": (lambda path: path.write_text(document(span(1, at=-99))), "empty"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("condition", DAMAGE)
def test_damage_is_missing_never_silence(condition, path, tmp_path):
    """Whatever stands in the file's place gives no span, one word and a hint, and plays back so."""
    make, word = DAMAGE[condition]
    make(path)
    live = source(path, tape=Recording(tmp_path / "tape")).pull(ASKED)
    again = Traces("", tape=Playback(tmp_path / "tape")).pull(ASKED)
    for frame in (live, again):
        assert (len(frame), frame.missing) == (0, word)
        assert frame.hint
    assert live.caveats == again.caveats


FORMS = {
    "lines": lambda one, two: f"{one}\n{two}\n".encode(),
    "no_last_newline": lambda one, two: f"{one}\n{two}".encode(),
    "crlf": lambda one, two: f"{one}\r\n\r\n{two}\r\n".encode(),
    "byte_order_mark": lambda one, two: f"\ufeff{one}\n{two}\n".encode(),
    "utf_16": lambda one, two: f"{one}\n{two}\n".encode("utf-16"),
    "utf_16_be_without_mark": lambda one, two: f"{one}\n{two}\n".encode("utf-16-be"),
    "gzip": lambda one, two: gzip.compress(f"{one}\n{two}\n".encode()),
    "gzip_appended": lambda one, two: b"".join(
        gzip.compress(f"{x}\n".encode()) for x in (one, two)
    ),
    "one_pretty_document": lambda one, two: json.dumps(
        {"resourceSpans": [json.loads(x)["resourceSpans"][0] for x in (one, two)]}, indent=2
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_spans_reads_alike(form, path):
    """However the file is written, the same two spans come out, and nothing is said to be lost."""
    path.write_bytes(FORMS[form](document(span(1)), document(span(2, at=2, trace=2))))
    frame = pull(path)
    assert (ids(frame), frame.caveats) == ([1, 2], ())


def test_order_and_repetition_do_not_matter(path):
    """Shuffled lines give the same table; a span that stands twice counts once and is told."""
    lines = [document(span(n, at=n / 10, trace=n)) for n in range(1, 60)]
    path.write_text("\n".join(lines))
    straight = pull(path)
    random.Random(7).shuffle(lines)
    path.write_text("\n".join([*lines, *lines[:5]]))
    mixed = pull(path)
    assert mixed.data.equals(straight.data)
    assert mixed.caveats == ("5 repeated spans were left out (same trace id and span id).",)


def test_skipped_bytes_are_counted(path):
    """Lines that are no trace document are counted by class and place, to the byte."""
    good, metrics, cut = document(span(1)), '{"resourceMetrics": []}', document(span(2))[:-5]
    text = f"{good}\nstarting\n{metrics}\n{cut}"
    path.write_text(text)
    frame = pull(path)
    skipped = len(f"starting\n{metrics}\n{cut}")
    assert len(frame) == 1
    assert " ".join(frame.caveats) == (
        f"partial: traces.jsonl: parsed {len(text) - skipped} bytes, skipped {skipped} bytes "
        "(no_spans: 1 lines at 3; not_json: 1 lines at 2; truncated: 1 lines at 4)."
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_file_is_capped_and_says_so(path, packed):
    """Of a file larger than the cap its end is read, of a packed one the beginning, as is said."""
    lines = [document(span(n, at=n / 1000, trace=n)) for n in range(1, 1000)]
    text = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    frame = pull(path, max_bytes=len(text) // 2)
    assert 0 < len(frame) < len(lines)
    assert (ids(frame)[0] == 1) is packed
    assert frame.caveats[0].startswith("truncated: of traces.jsonl the ")


def test_one_of_several_is_unreadable(tmp_path):
    """A folder is read as far as it can be; each file that gave nothing is named."""
    (tmp_path / "a.jsonl").write_text(document(span(1)))
    html(tmp_path / "b.json")
    os.mkfifo(tmp_path / "c.jsonl")
    (tmp_path / "d.jsonl").mkdir()
    (tmp_path / "e.txt").write_text(document(span(5)))
    frame = pull(tmp_path)
    assert ids(frame) == [1]
    assert [note[:15] for note in frame.caveats] == [f"partial: {n}.json" for n in "bcd"]


def test_glob_characters_in_a_name_are_letters(tmp_path):
    """A file whose name looks like a pattern is itself; a pattern that is no file finds files."""
    (tmp_path / "t[1].jsonl").write_text(document(span(7)))
    (tmp_path / "t1.jsonl").write_text(document(span(1)))
    assert ids(pull(str(tmp_path / "t[1].jsonl"))) == [7]
    assert ids(pull(str(tmp_path / "t?.jsonl"))) == [1]


def test_questions_choose_traces_as_a_server_would(path):
    """Service, operation, attribute and id choose whole traces; the older form is read too."""
    api = document(span(1, trace=1, name="POST /blocks"), service="wordloom-api")
    mine = attrs(wordloom__correlation_id="c-1")
    rows = [span(2, trace=1, attributes=mine), span(3, trace=2), span(4, trace=2, at=-50)]
    path.write_text(f"{api}\n{document(*rows)}\n{old(old_span(9)).decode()}\n")

    def asked(**more):
        return ids(pull(path, Question(signal=Signal.TRACES, window=WINDOW, **more)))

    assert asked() == [1, 2, 9, 3]
    assert asked(service="wordloom-api") == [1, 2, 9]
    assert asked(operation="POST /blocks") == [1, 2, 9]
    assert asked(attributes=(("correlation_id", "c-1"),)) == [1, 2, 9]
    assert asked(attributes=(("correlation_id", "c-2"),)) == []
    assert asked(trace_ids=("2",)) == [4, 3]


def test_probe_says_how_many_and_how_old(path):
    """The probe counts files and tells the age of the newest; without one it says what to set."""
    none = source(path).probe()
    assert (none.state, "LOOMTRIAGE_TRACES" in none.says) == (State.NO_DATA, True)
    path.write_text(document(span(1)))
    found = source(path).probe()
    assert (found.state, found.says[:27]) == (State.OK, "1 of 1 trace files can be r")
