"""The page of the invented incident: verdict, stages, tables and the drill behind it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from loomtriage.model import Evidence, Finding, State, Suspect, Verdict, judge
from loomtriage.report import Page, Section
from tests.report.make import (
    BASELINE,
    PROJECTION,
    START,
    TRACE,
    WINDOW,
    Say,
    dressed,
    plain,
    plain_charts,
    steps,
    templates,
)

LINE_HASH = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
QUERY = 'increase(outbox_retry_scheduled_total{env="sandbox",reason="es_unreachable"}[6m])'
GRAFANA = "http://127.0.0.1:3000/d/wordloom-outbox?from=1771078890000&to=1771079250000"


def page(say: Say = plain, *, url: str = "") -> Page:
    """The whole page; every text passes through `say`, every address becomes `url` if given."""
    pictures = plain_charts() if say is plain else dressed(say)
    stages = (
        Section(
            id=say("preflight"),
            title=say("Preflight: can we see?"),
            verdict=judge(
                (
                    finding(say, State.OK, "Prometheus answers, 2 of 2 targets up", 2, "targets"),
                    finding(say, State.OK, "Jaeger answers, 412 spans in the window", 412, "spans"),
                    finding(say, State.NO_DATA, "No SELECT on the replay audit table", None, ""),
                ),
                headline=say("Metrics, traces and logs are there; one table is not readable"),
            ),
            seconds=0.42,
        ),
        Section(
            id=say("narrow"),
            title=say("Narrow: what moved?"),
            verdict=narrow(say),
            charts=(pictures["increases"], pictures["lag"], pictures["age"]),
            caveats=(say("The first scrape after the restart of the worker is not counted."),),
            seconds=1.31,
        ),
        Section(
            id=say("locate"),
            title=say("Locate: which step?"),
            verdict=judge(
                (finding(say, State.BAD, "All 117 writes failed in the client", 117, "spans"),),
                headline=say("Every PUT to Elasticsearch ends before a server answers"),
            ),
            charts=(pictures["waterfall"],),
            tables=(steps(say),),
            seconds=2.05,
        ),
        Section(
            id=say("explain"),
            title=say("Explain: what do the logs say?"),
            verdict=judge(
                (
                    finding(
                        say, State.BAD, "A template that the baseline lacks, 133 lines", 133, ""
                    ),
                ),
                headline=say("Connection refused, 133 times, on one host and port"),
            ),
            charts=(pictures["timeline"],),
            tables=(templates(say),),
            seconds=0.9,
        ),
    )
    return Page(
        title=say("Triage of OutboxRetrying, search projection"),
        verdict_json=verdict(say, url=url),
        sections=stages,
        drill=drill(say),
        generated_at=START + timedelta(minutes=9),
        sources=(
            (say("prometheus"), url or "http://127.0.0.1:9090"),
            (say("jaeger"), say("http://127.0.0.1:16686")),
            (say("logs"), say("worker.log, 2 310 lines, 0 bytes skipped")),
            (say("loomtriage"), say("0.1.0")),
        ),
        next_steps=(
            say("loomtriage close-out plan --source run:20260214T143030Z-path-4f2a"),
            say("Open notebooks/40-explain.ipynb with this run's handover"),
        ),
    )


def finding(say: Say, state: State, says: str, value: float | None, unit: str) -> Finding:
    """One finding of the invented incident."""
    return Finding(
        check=say("stage.topic"),
        state=state,
        says=say(says),
        value=value,
        unit=say(unit),
        threshold=None if value is None else 14.6,
        n=144,
        evidence=(Evidence(kind=say("metric_delta"), ref=say(QUERY), says=say("it grew")),),
    )


def narrow(say: Say) -> Verdict:
    """What narrowing came to, with its suspects."""
    return judge(
        (
            finding(
                say,
                State.BAD,
                "Retries for es_unreachable: 133 in 6 min, 0 expected from the baseline",
                133,
                "attempts",
            ),
            finding(say, State.BAD, "Processed rows fell to 1 from 90 in 6 min", 1, "rows"),
            finding(say, State.WARN, "Oldest row not yet done is 346 s old", 346, "s"),
            finding(say, State.OK, "No row failed for good", 0, "rows"),
        ),
        headline=say("Retries for es_unreachable explain 100 % of what moved"),
        suspects=(
            Suspect(
                what=say("retry reason=es_unreachable"), score=184.4, observed=133, expected=0.5
            ),
            Suspect(what=say("processed op=upsert"), score=-112.7, observed=1, expected=90),
        ),
    )


def verdict(say: Say, *, url: str = "") -> Mapping[str, object]:
    """What would go to verdict.json."""
    evidence = (
        ("metric_delta", QUERY, "133 retries in 6 min, baseline 0", GRAFANA),
        (
            "trace",
            TRACE,
            "the worst of 39 failing batches",
            f"http://127.0.0.1:16686/trace/{TRACE}",
        ),
        ("log_line", LINE_HASH, "ConnectError: [Errno 111] Connection refused", ""),
        ("row", f"{PROJECTION}#4711", "attempt 6 of 10, next retry in 32 s", ""),
        ("witness", "proxy:refused=391", "391 connections refused at the proxy", ""),
    )
    return {
        "schema": 1,
        "state": "BAD",
        "headline": say("Elasticsearch is down: no connection since 14:21:34 UTC"),
        "cause": "es_down" if say is plain else say("es_down"),
        "also": [say("es_poison_4xx")],
        "abstained": {"why": say("the outbox could not be read")} if say is not plain else False,
        "confidence": 0.97 if say is plain else say("high"),
        "scope": {
            "env": say("sandbox"),
            "projection": say(PROJECTION),
            "op": say("upsert"),
            "reason": say("es_unreachable"),
            "result": say("retry"),
        },
        "step": {"service": say("wordloom-search-outbox-worker"), "operation": say("PUT")},
        "findings": [],
        "evidence": [
            {"kind": say(kind), "ref": say(ref), "says": say(says), "url": url or address}
            for kind, ref, says, address in evidence
        ],
        "coverage": {
            "metric→trace": {"resolved": 130, "n": 133, "share": 130 / 133},
            "trace→log": 1.0,
            "log→row": {"resolved": 0, "n": 0, "share": None},
        }
        if say is plain
        else {say("metric→trace"): say("all")},
        "missing": [
            {
                "signal": say("rows"),
                "why": say("refused"),
                "hint": say("Set LOOMTRIAGE_DATABASE_ENV to the variable that holds a SELECT role"),
            }
        ],
        "actions": [
            {
                "kind": say("wait"),
                "command": say("curl -fsS http://127.0.0.1:19200/_cluster/health"),
            },
            {
                "kind": say("replay"),
                "says": say("Afterwards"),
                "command": say("loomtriage close-out plan --env sandbox"),
            },
        ],
        "window": WINDOW.as_json() if say is plain else {"start": say("s"), "end": say("e")},
        "baseline": BASELINE.as_json() if say is plain else {"start": say("s"), "end": say("e")},
    }


def drill(say: Say) -> Mapping[str, object]:
    """What the drill behind the incident left."""
    return {
        "id": say("es_down"),
        "title": say("Elasticsearch goes away"),
        "state": "OK",
        "says": say("All expectations met; the blind triage named es_down"),
        "expectations": [
            {"says": say("Rises retry_scheduled reason=es_unreachable"), "state": "OK"},
            {"says": say("Flat terminal_failed"), "state": "OK"},
            {"says": say("Appears span without status code"), "state": "WARN"},
        ],
        "witness": [say("391 connections refused at the proxy, first 14:21:34.1 UTC")],
        "restored": True if say is plain else say("yes"),
        "start_digest": say("b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"),
        "end_digest": say("b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"),
        "phases": [
            {"name": say("steady state"), "at": "2026-02-14T14:15:30Z", "seconds": 360.0},
            {"name": say("apply"), "at": "2026-02-14T14:21:34Z", "seconds": 0.08},
            {"name": say("observe"), "at": "2026-02-14T14:21:34Z", "seconds": 356.0},
            {"name": say("revert"), "at": say("2026-02-14T14:27:30Z"), "seconds": 0.02},
        ],
        "latency": [
            {
                "name": say("witness"),
                "signal": "",
                "at": "2026-02-14T14:21:34.100Z",
                "after_s": 0.0,
                "within_s": 0.1,
            },
            {
                "name": say("metric moved"),
                "signal": "metrics" if say is plain else say("metrics"),
                "at": "2026-02-14T14:21:39.400Z",
                "after_s": 5.3,
                "within_s": 0.6,
            },
            {"name": say("first error line"), "signal": "logs", "at": say(""), "after_s": None},
        ],
        "notes": [say("Drain took 41 s; lag is back inside its band.")],
    }
