"""The verdict strip: what the person on call reads first, in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from loomtriage.model.finding import PLACES

LABEL = "{:<10}{}"
SHOWN = 5


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
    cause = f"{verdict['cause']} (confidence {verdict['confidence']})"
    parts = [
        ("cause", cause),
        ("scope", _pairs(verdict.get("scope"))),
        ("step", _step(verdict.get("step"))),
        ("window", _window(verdict.get("window"))),
        ("coverage", _coverage(verdict.get("coverage"))),
    ]
    proofs = [e for e in _items(verdict, "evidence") if e["kind"] not in PLACES]
    parts += [("evidence", f"{e['kind']} {_short(e['ref'])}: {e['says']}") for e in proofs[:SHOWN]]
    missing = tuple(dict.fromkeys(str(m["why"])[:240] for m in _items(verdict, "missing")))
    longest = (why for why in missing if sum(one.startswith(why) for one in missing) == 1)
    parts += [("missing", why) for why in longest]
    also = verdict.get("also")
    causes = 1 + (len(also) if isinstance(also, list) else 0)
    parts += [("do", str(a["says"])) for a in _items(verdict, "actions")[:causes]]
    commands = (str(a["command"]) for a in _items(verdict, "actions"))
    parts += [("close out", one) for one in commands if " close-out " in one][:2]
    return lines + [LABEL.format(name, text) for name, text in parts if text]


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
    return ", ".join(f"{edge} {c['resolved']}/{c['n']}" for edge, c in sorted(value.items()))


def _short(ref: object) -> str:
    text = str(ref)
    return text if len(text) <= 40 else f"{text[:39]}…"
