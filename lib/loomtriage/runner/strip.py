"""The verdict strip: what the person on call reads first, in a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping

from loomtriage.model.finding import PLACES
from loomtriage.report.loose import short
from loomtriage.report.strip import CAUSE
from loomtriage.report.text import clip

LABEL = "{:<10}{}"
SHOWN = 5
REF, SAYS = 64, 200
"""Characters of a reference and of what it shows; the report has all of it."""
_WINDOW = re.compile(r" in \d{4}-\d\d-\d\dT\S+ to .*$")


def strip(verdict: Mapping[str, object], *, drill: Mapping[str, object] | None = None) -> str:
    """Verdict as a few aligned lines; empty parts are left out.

    Args:
        verdict: content of `verdict.json`.
        drill: content of `drill.json`, when a drill ran.
    """
    lines = _triage(verdict) if verdict else ["No triage took place."]
    if drill is not None:
        lines.append(LABEL.format("drill", f"{drill['id']} {drill['state']}: {drill['says']}"))
        lines.append(LABEL.format("restored", "yes" if drill.get("restored") else "NO"))
    return "\n".join(lines)


def _triage(verdict: Mapping[str, object]) -> list[str]:
    lines = [f"{verdict['state']}: {verdict['headline']}"]
    if verdict.get("actions") == []:
        return lines + [
            LABEL.format(f["state"], f"{f['check']}: {f['says']}")
            for f in _items(verdict, "findings")
            if f["state"] != "OK"
        ]
    also = [str(one) for one in verdict.get("also") or ()]  # type: ignore[attr-defined]
    beside = f", also {', '.join(also)}" if also else ""
    cause = f"{verdict['cause']} (confidence {verdict['confidence']}){beside}"
    parts = [
        ("cause", cause),
        ("scope", _pairs(verdict.get("scope"))),
        ("step", _step(verdict.get("step"))),
        ("window", _window(verdict.get("window"))),
        ("coverage", _coverage(verdict.get("coverage"))),
    ]
    proofs = [e for e in _items(verdict, "evidence") if e["kind"] not in PLACES]
    parts += [("evidence", _proof(e)) for e in proofs[:SHOWN]]
    missing = tuple(dict.fromkeys(str(m["why"]) for m in _gaps(verdict)))
    longest = (why for why in missing if sum(one.startswith(why) for one in missing) == 1)
    parts += [("missing", why) for why in longest]
    parts += [("do", str(a["says"])) for a in _items(verdict, "actions")[: 1 + len(also)]]
    commands = (str(a["command"]) for a in _items(verdict, "actions"))
    parts += [("close out", one) for one in commands if " close-out " in one][:2]
    return lines + [LABEL.format(name, text) for name, text in parts if text]


def _gaps(verdict: Mapping[str, object]) -> list[Mapping[str, object]]:
    """What is missing; that the cause is, the headline has said."""
    return [one for one in _items(verdict, "missing") if one.get("check") != CAUSE]


def _items(verdict: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = verdict.get(key)
    return value if isinstance(value, list) else []


def _pairs(value: object) -> str:
    return " ".join(f"{k}={v}" for k, v in value.items() if v) if isinstance(value, Mapping) else ""


def _step(value: object) -> str:
    if not isinstance(value, Mapping) or not value:
        return ""
    return f"{value.get('service', '')}: {value.get('path') or value.get('operation', '')}"


def _window(value: object) -> str:
    return f"{value['start']} to {value['end']}" if isinstance(value, Mapping) else ""


def _coverage(value: object) -> str:
    if not isinstance(value, Mapping):
        return ""
    return ", ".join(
        f"{edge} {c['resolved']}/{c['n']}" for edge, c in sorted(value.items()) if c["n"]
    )


def _proof(evidence: Mapping[str, object]) -> str:
    """One piece of evidence; its window stands in a line of its own."""
    ref = short(_WINDOW.sub("", str(evidence["ref"])))
    return f"{evidence['kind']} {clip(ref, REF)}: {clip(str(evidence['says']), SAYS)}"
