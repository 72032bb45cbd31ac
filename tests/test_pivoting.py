"""An id typed by hand leads to its spans, its outbox row and its log lines, and back."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import httpx
import pytest

from loomtriage import open_case, pivot
from loomtriage.cli import main
from loomtriage.contract.keys import SEARCH, read_key
from loomtriage.errors import UsageError
from loomtriage.model import Signal
from loomtriage.sources import Live, SpanFiles, Traces
from tests.lab.conftest import lab, lab_home  # noqa: F401 fixtures
from tests.lab.services import until
from tests.sources.runs import MINE, line, run

EXAMPLE = "example:es_down"


@pytest.fixture(scope="module")
def example():
    return open_case("pivot", source=EXAMPLE)


@pytest.fixture(scope="module")
def correlation(example):
    """The id of a request whose row was tried in vain."""
    lines = example.pull("lines").data
    retried = lines.loc[lines["event"] == "outbox.row_retry", "fields"]
    return read_key("correlation_id", retried.iloc[len(retried) // 2])


def test_a_recording_answers_in_both_directions(example, correlation):
    """From request to row and back: the same row, and lines of the API and of the worker.

    A request may have written a row for the other projection, too.
    """
    there = pivot(example, correlation)
    assert there.joined.meant == ("correlation_id",)
    rows = there.joined.rows
    (row,) = rows.loc[rows["projection"] == SEARCH, "id"]
    assert rows["projection"].is_unique
    back = pivot(example, str(row))
    for found in (there, back):
        assert all(hop.found for hop in found.hops)
        assert row in found.joined.rows["id"].tolist()
        assert {"http.response", "outbox.row_retry"} <= set(found.joined.lines["event"])
    assert correlation in back.joined.ids["correlation_id"]
    assert "its own spans were looked through" in " ".join(there.caveats)


def test_nothing_of_another_request_comes_along(example, correlation):
    """Whatever names a request names this one, though batches hold rows of many."""
    joined = pivot(example, correlation).joined
    carried = [*joined.spans["attributes"], *joined.lines["fields"]]
    assert {read_key("correlation_id", one) for one in carried} - {""} == {correlation}


def test_it_shows_in_a_cell_and_as_json(example, correlation):
    """A notebook shows tables without markup from outside; JSON carries hops and coverage."""
    found = pivot(example, correlation)
    assert found._repr_html_().count("<table>") == 4
    told = json.loads(json.dumps(found.as_json()))
    assert [hop["signal"] for hop in told["hops"]] == ["traces", "rows", "logs"]
    named = told["coverage"]["named row→outbox"]
    assert named["resolved"] == named["n"] == len(found.joined.rows)


def command(*arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["pivot", *arguments])
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


def test_the_command_of_the_manual_finds_its_id(capsys):
    """Ids change when the example is recorded anew; then the manual needs one of the new ones."""
    manual = Path(__file__).parents[1] / "docs" / "how-to" / "pivot.md"
    told = manual.read_text("utf-8").split("```console\n$ loomtriage pivot ")[1].split("```")[0]
    words, _, printed = told.partition("\n")
    code, out, _ = command(*words.split(), capsys=capsys)
    assert code == 0
    assert out.startswith(printed)


def test_the_command_prints_what_was_found(correlation, capsys):
    """Exit code 0 and the hops, on stdout."""
    code, out, _ = command(correlation, "--source", EXAMPLE, capsys=capsys)
    assert code == 0
    assert out.startswith(f"correlation_id {correlation}: ")
    assert "joined by" in out


@pytest.mark.parametrize("value", ["no-such-request", "f" * 32, "e" * 16, str(uuid.UUID(int=7))])
def test_what_does_not_exist_is_no_data(value, capsys):
    """An id that is nowhere says so per signal, with exit code 3."""
    code, out, _ = command(value, "--source", EXAMPLE, capsys=capsys)
    assert code == 3
    assert out.startswith(f"{value} is in no span, no outbox row and no log line")
    assert out.count("None of ") == 3


def test_what_cannot_be_an_id_is_refused(example):
    """Nothing, control characters and a whole text are one clear line."""
    for value in ("", "  ", "a\x1b[2J", "x" * 300):
        with pytest.raises(UsageError, match="cannot be an id"):
            pivot(example, value)


def test_evidence_without_rows_says_which_leg_is_missing(tmp_path):
    """A Wordloom run has no database: spans and lines are joined, and the rows' absence told."""
    told = line(1.5, "start") + line(5, f"Failed to process outbox event {MINE}", trace_id="1" * 32)
    found = pivot(open_case("pivot", source=f"labs:{run(tmp_path, log=told)}"), MINE)
    assert found.joined.meant == ("outbox_event_id",)
    spans, rows, lines = found.hops
    assert (spans.found, rows.found, lines.found) == (1, 0, 1)
    assert "not_configured" in rows.says


def test_files_of_spans_stand_in_for_the_server(tmp_path, monkeypatch):
    """With LOOMTRIAGE_TRACES set, `live` reads spans there and `doctor` says so."""
    from loomtriage.evidence import open_evidence
    from loomtriage.settings import settings

    (tmp_path / "t.jsonl").write_text("")
    monkeypatch.setenv("LOOMTRIAGE_TRACES", str(tmp_path))
    settings.cache_clear()
    try:
        evidence = open_evidence("live", tape=Live())
    finally:
        settings.cache_clear()
    assert "1 of 1 trace files" in evidence.sources.get(Signal.TRACES).probe().says
    assert evidence.links.jaeger == ""
    files = SpanFiles(tmp_path)
    assert Traces("", tape=Live(), ask=files.ask, look=files.look).name == "traces"


@pytest.mark.lab
@pytest.mark.timeout(240)
def test_a_request_to_the_lab_is_found_from_every_end(lab):  # noqa: F811 the fixture
    """One request with an id of our own: from id, trace and row, API and worker are found."""
    wanted = f"by-hand-{uuid.uuid4()}"
    httpx.put(
        f"{lab.api_url}/blocks/{uuid.uuid4()}",
        json={"text": "warp"},
        headers={"X-Request-Id": wanted},
        timeout=10,
    ).raise_for_status()
    found = []

    def settled():
        found.append(pivot(open_case("pivot", source="lab:shared"), wanted))
        events, services = (found[-1].joined.lines["event"], found[-1].joined.spans["service"])
        return "outbox.row_done" in set(events) and services.nunique() == 2

    until(settled, "the row to be projected and its spans to be exported")
    there = found[-1]
    (row,) = there.joined.rows["id"]
    api = there.joined.spans.loc[there.joined.spans["service"] == "wordloom-api", "trace_id"]
    case = open_case("pivot", source="lab:shared")
    for value in (str(row), str(api.iloc[0])):
        back = pivot(case, value)
        assert back.joined.rows["id"].tolist() == [row]
        assert wanted in back.joined.ids["correlation_id"]
        assert {"http.response", "outbox.row_done"} <= set(back.joined.lines["event"])
    assert not pivot(case, f"{wanted}-not").is_found
