"""The lab: the embedded system under test, one folder and one supervisor each.

Each line may import the lines below it; what shares a line does not know each other:

    supervisor                          starts, watches and ends everything else, by command line
    api | worker | chronicle | load | proxy | otlp | servers | control | skew
    outbox | elastic | control_line     for the workers, and for the proxy, which answers as it does
    telemetry | db_sessions | serving | services
    state | patience
    lock
    alive

`up` and `down` are imported on first use, so that a service never loads what launches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loomtriage.lab.services import ServiceStatus, status
from loomtriage.lab.state import LabState, is_alive, read_state

if TYPE_CHECKING:
    from loomtriage.lab.supervisor.launch import down, up

__all__ = ["LabState", "ServiceStatus", "down", "is_alive", "read_state", "status", "up"]


def __getattr__(name: str) -> object:
    if name in {"down", "up"}:
        from loomtriage.lab.supervisor import launch

        return getattr(launch, name)
    raise AttributeError(f"module 'loomtriage.lab' has no attribute {name!r}")
