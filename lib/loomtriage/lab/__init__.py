"""The lab: the embedded system under test, one folder and one supervisor each."""

from loomtriage.lab.launch import down, up
from loomtriage.lab.services import ServiceStatus, status
from loomtriage.lab.state import LabState, is_alive, read_state

__all__ = ["LabState", "ServiceStatus", "down", "is_alive", "read_state", "status", "up"]
