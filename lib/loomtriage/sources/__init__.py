"""Sources: metrics, traces, log lines and outbox rows, asked live or played back from a tape."""

from __future__ import annotations

from pathlib import Path

from loomtriage.model.collect import Collection, collect
from loomtriage.sources.labs import LabsEvidence, labs
from loomtriage.sources.logs import Logs
from loomtriage.sources.outbox import Outbox
from loomtriage.sources.prometheus import Prometheus
from loomtriage.sources.question import Question
from loomtriage.sources.source import Source, Sources
from loomtriage.sources.spans.otlp_files import SpanFiles
from loomtriage.sources.tape import Again, Live, Playback, RawAnswer, Recording, Tape
from loomtriage.sources.traces import Traces

__all__ = [
    "KINDS",
    "LabsEvidence",
    "Live",
    "Logs",
    "Outbox",
    "Playback",
    "Prometheus",
    "Question",
    "RawAnswer",
    "Recording",
    "Source",
    "Sources",
    "SpanFiles",
    "Tape",
    "Traces",
    "labs",
    "playback",
]

KINDS: Collection[type] = collect(
    __name__, "prometheus", "traces", "logs", "outbox", attribute="SOURCE", kind=type
)
"""Every kind of source, one a signal; the module's `SOURCE` is its class."""


def playback(folder: Path, *, tape: Tape | None = None) -> Sources:
    """All four sources of a recorded run folder; they answer from its tape and never ask.

    With `tape` the answers that are used are recorded anew, so that a run made from a
    recording can be opened again too.

    Raises:
        BundleDamaged: (from `pull`) the tape is not what was recorded.
    """
    played = Playback(folder / "tape")
    tape = played if tape is None else Again(played, tape)
    return Sources(
        spec="playback",
        metrics=Prometheus("", tape=tape),
        traces=Traces("", tape=tape),
        logs=Logs((), tape=tape),
        rows=Outbox("", tape=tape),
    )
