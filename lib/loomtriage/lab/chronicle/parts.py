"""Chronicle parts: how a chronicle worker is put together; nothing is started here."""

from __future__ import annotations

from loomtriage.contract.keys import CHRONICLE
from loomtriage.lab.chronicle.entries import chronicle_attempt
from loomtriage.lab.chronicle.settings import ChronicleSettings
from loomtriage.lab.outbox.assembly import (
    Projection,
    Signals,
    build_desk,
    build_runtime,
    build_taker,
    build_upkeep,
)
from loomtriage.lab.outbox.loop import Worker
from loomtriage.lab.outbox.per_event import PerEvent


def build_chronicle(settings: ChronicleSettings, *, signals: Signals) -> Worker:
    """Join the parts of a chronicle worker."""
    own, version = settings.outbox, settings.projection_version
    projection = Projection(
        name=CHRONICLE,
        tracer="wordloom.chronicle_outbox_worker",
        marks={"wordloom.projection_version": str(version)},
    )
    runtime = build_runtime(own, projection, ping_target=lambda: "")
    desk = build_desk(own, projection, runtime=runtime, signals=signals)
    # One after the other: an entry may build on the one before.
    per_event = PerEvent(desk, chronicle_attempt(desk.sessions, version=version), concurrency=1)
    return Worker(
        settings=own,
        runtime=runtime,
        taker=build_taker(own, desk, signals=signals),
        desk=desk,
        upkeep=build_upkeep(own, desk, runtime=runtime, signals=signals),
        meters=signals.meters,
        process=per_event.process,
    )
