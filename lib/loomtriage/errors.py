"""Every way this program refuses or fails, and the exit code of each.

One base error; one sentence per leaf. A message says what is wrong and where, its hint says
what to do. Missing data is never an exception: it is a frame without rows and a finding in
state NO_DATA.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line, the one table of them."""

    OK = 0
    BAD = 1
    USAGE = 2
    NO_DATA = 3
    ERROR = 4
    REFUSED = 5
    HANGUP = 129
    INTERRUPTED = 130
    QUIT = 131
    TERMINATED = 143


class TriageError(Exception):
    """Base of all errors that a user may meet; carries a hint and an exit code."""

    exit_code: Exit = Exit.ERROR

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class UsageError(TriageError):
    """A parameter, command or file name does not make sense."""

    exit_code = Exit.USAGE


class SourceUnavailable(TriageError):
    """A source did not answer, or not in time."""

    exit_code = Exit.NO_DATA


class ContractBroken(TriageError):
    """An answer has another shape than the contract says."""

    exit_code = Exit.ERROR


class BundleDamaged(TriageError):
    """A recorded run or example does not match its manifest."""

    exit_code = Exit.ERROR


class NotebookFailed(TriageError):
    """A notebook stopped, timed out or lost its kernel before it left a result."""

    exit_code = Exit.ERROR


class Refused(TriageError):
    """A safety rule said no before anything was touched."""

    exit_code = Exit.REFUSED


class FaultStillActive(TriageError):
    """A fault was found active where none may be."""

    exit_code = Exit.ERROR


class RevertFailed(TriageError):
    """A fault could not be taken back; `loomtriage recover` must finish it."""

    exit_code = Exit.ERROR


class JournalFailed(TriageError):
    """A step could not be made durable in the fault journal."""

    exit_code = Exit.ERROR
