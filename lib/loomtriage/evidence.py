"""Evidence: what does a source spec open into?"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from loomtriage.errors import UsageError
from loomtriage.handover import Left, read_handover
from loomtriage.lab.state import LabState, read_state
from loomtriage.model import Signal, Window
from loomtriage.model.window import iso
from loomtriage.settings import Settings, settings, shipped
from loomtriage.sources import (
    Logs,
    Outbox,
    Prometheus,
    Sources,
    SpanFiles,
    Traces,
    labs,
    playback,
)
from loomtriage.sources.manifest import read_manifest
from loomtriage.sources.secret_forms import Secrets, secrets_in, without_userinfo
from loomtriage.sources.tape import Tape

SOURCE_FORMS = "live, lab[:NAME], example:ID, run:DIR or labs:DIR"
SET_BY: Mapping[Signal, str] = MappingProxyType(
    {
        Signal.METRICS: "LOOMTRIAGE_PROMETHEUS_URL",
        Signal.TRACES: "LOOMTRIAGE_JAEGER_URL, or LOOMTRIAGE_TRACES for OTLP JSON files",
        Signal.LOGS: "LOOMTRIAGE_LOGS (a file, a folder or a pattern)",
        Signal.ROWS: "DATABASE_URL (a role that can only read)",
    }
)
"""Signal -> the setting that names its live source."""
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Base URLs that findings may link to; empty where there is no server."""

    prometheus: str = ""
    jaeger: str = ""
    grafana: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a source spec opened into.

    Attributes:
        sources: one source per signal.
        window, baseline: the windows that a recorded run carries, None for a live system.
        links: base URLs, as recorded for a played-back run.
        handover: what the stages of a recorded run left, in their order.
        caveats: stated limits of the evidence as a whole.
        env: the environment that it is of, or was asked for; empty where any may be asked for.
        is_tape: whether it answers only the questions that were asked when it was recorded.
    """

    sources: Sources
    window: Window | None = None
    baseline: Window | None = None
    links: Links = field(default_factory=Links)
    handover: tuple[Left, ...] = ()
    caveats: tuple[str, ...] = ()
    env: str = ""
    is_tape: bool = False

    def refuse_unrecorded(self, window: Window, baseline: Window | None, *, env: str) -> None:
        """Refuse what it cannot answer, once and at once, not by every source in turn.

        Raises:
            UsageError: it holds another window, baseline or environment.
        """
        held = self.window
        if held is None:
            return
        other = (
            (window, baseline) != (held, self.baseline)
            if self.is_tape
            else (window.end <= held.start or held.end <= window.start)
        )
        if other:
            before = f", with the baseline from {iso(self.baseline.start)}" if self.baseline else ""
            raise UsageError(
                f"The recording covers {held}{before}, and no other window.",
                hint="Leave --start, --end, --last and --baseline out.",
            )
        if env and env != self.env and (self.env or self.is_tape):
            what = f"env {self.env}" if self.env else "all environments together"
            raise UsageError(
                f"The recording is of {what}, not of env {env[:60]}.", hint="Leave --env out."
            )


def open_evidence(source: str, *, tape: Tape) -> Evidence:
    """Open a source spec.

    Raises:
        UsageError: the spec has another form, or what it names is not there.
    """
    kind, _, rest = source.partition(":")
    if kind == "live" and not rest:
        return _live(tape)
    if kind == "lab":
        return _lab(rest or "default", tape)
    if kind == "example" and rest:
        return _recorded(_example(rest), tape)
    if kind == "run" and rest:
        return _recorded(_folder(rest, "run folder"), tape)
    if kind == "labs" and rest:
        found = labs(_folder(rest, "evidence folder"), tape=tape)
        return Evidence(
            sources=found.sources,
            window=found.window,
            baseline=found.baseline,
            caveats=found.caveats,
            env=found.env,
        )
    raise UsageError(f"source {source[:80]!r} has no known form.", hint=f"Use {SOURCE_FORMS}.")


def secrets_of(source: str) -> Secrets:
    """What must not reach any artifact of an investigation of that source.

    The process's own secrets always; those of a lab when a lab is asked.
    """
    kind, _, name = source.partition(":")
    if kind == "lab":
        state = lab_state(name or "default")
        known = secrets_in(os.environ, urls=(state.dsn, state.triage_dsn))
        return Secrets((state.token, *known.values))
    chosen = settings()
    dsn = os.environ.get(chosen.database_env, "")
    return secrets_in(os.environ, urls=(dsn, chosen.prometheus_url, chosen.jaeger_url))


def examples() -> tuple[str, ...]:
    """Ids of the recorded examples that ship with the program."""
    folder = shipped("runbooks/examples")
    return tuple(sorted(p.name for p in folder.glob("*") if (p / "manifest.json").is_file()))


def check_lab_name(name: str) -> str:
    """The name itself, when it can name a lab.

    Raises:
        UsageError: it holds anything but letters, digits, `_`, `.` and `-`.
    """
    if not _NAME.match(name):
        raise UsageError(f"{name[:60]!r} is no lab name.", hint="Use letters, digits, _ . and -.")
    return name


def _live(tape: Tape) -> Evidence:

    chosen = settings()
    dsn = os.environ.get(chosen.database_env, "")
    sources = Sources(
        spec="live",
        metrics=Prometheus(chosen.prometheus_url, tape=tape) if chosen.prometheus_url else None,
        traces=_live_traces(chosen, tape),
        logs=Logs(chosen.logs, tape=tape) if chosen.logs else None,
        rows=Outbox(dsn, tape=tape) if dsn else None,
    )
    return Evidence(
        sources=sources,
        links=Links(
            prometheus=_base(chosen.prometheus_url),
            jaeger="" if chosen.traces else _base(chosen.jaeger_url),
            grafana=_base(chosen.grafana_url),
        ),
    )


def _base(url: str) -> str:
    """An address that paths are put behind, for everybody to read."""
    return without_userinfo(url).rstrip("/")


def _live_traces(chosen: Settings, tape: Tape) -> Traces | None:
    if chosen.traces:
        files = SpanFiles(chosen.traces)
        return Traces("", tape=tape, ask=files.ask, look=files.look)
    return Traces(chosen.jaeger_url, tape=tape) if chosen.jaeger_url else None


def lab_state(name: str) -> LabState:
    """The lab of that name.

    Raises:
        UsageError: there is none.
    """
    return read_state(settings().home_dir() / "labs" / check_lab_name(name))


def _lab(name: str, tape: Tape) -> Evidence:

    state = lab_state(name)
    names = ("worker*.log", "chronicle*.log", "api.log")
    logs = tuple(path for name in names for path in sorted(state.logs.glob(name)))
    sources = Sources(
        spec="lab",
        metrics=Prometheus(state.prometheus_url, tape=tape),
        traces=Traces(state.jaeger_url, tape=tape),
        logs=Logs(logs, tape=tape),
        rows=Outbox(state.triage_dsn, tape=tape),
    )
    return Evidence(
        sources=sources, links=Links(prometheus=state.prometheus_url, jaeger=state.jaeger_url)
    )


def _example(name: str) -> Path:
    known = examples()
    if name not in known:
        raise UsageError(
            f"There is no example {name[:60]!r}.",
            hint=f"Choose one of {', '.join(known) or 'none (no example is recorded yet)'}.",
        )
    return shipped("runbooks/examples") / name


def _folder(text: str, noun: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise UsageError(f"{text[:160]!r} is no {noun}.", hint="Give the path of a folder.")
    return path


def _recorded(folder: Path, tape: Tape) -> Evidence:

    manifest = read_manifest(folder)
    manifest.verify(folder)
    return Evidence(
        sources=playback(folder, tape=tape),
        window=manifest.window_value,
        baseline=manifest.baseline_value,
        links=Links(
            prometheus=manifest.sources.get("metrics", ""),
            jaeger=manifest.sources.get("traces", ""),
            grafana=manifest.sources.get("grafana", ""),
        ),
        handover=read_handover(folder),
        env=manifest.parameters.get("env", ""),
        is_tape=True,
    )
