"""Values that every part speaks in: window, scope, frame, finding, verdict."""

from loomtriage.model.finding import Evidence, Finding, Signal, State
from loomtriage.model.frame import Frame, Kind, Origin
from loomtriage.model.scope import Scope
from loomtriage.model.verdict import Suspect, Verdict, judge, worst
from loomtriage.model.window import Window

__all__ = [
    "Evidence",
    "Finding",
    "Frame",
    "Kind",
    "Origin",
    "Scope",
    "Signal",
    "State",
    "Suspect",
    "Verdict",
    "Window",
    "judge",
    "worst",
]
