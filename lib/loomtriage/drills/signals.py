"""Signals: how does an ending signal become one orderly revert?

The first one is noted and acted on at the next safe place; later ones wait until all is restored.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from loomtriage.errors import Exit

EXIT_OF_SIGNAL = {
    signal.SIGHUP: Exit.HANGUP,
    signal.SIGINT: Exit.INTERRUPTED,
    signal.SIGQUIT: Exit.QUIT,
    signal.SIGTERM: Exit.TERMINATED,
}


class Interrupted(BaseException):
    """An ending signal came; not an Exception, so that no check swallows it."""


class Signals:
    """Catches ending signals while a drill runs; only the main thread of a process can."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.deferred = 0
        self._reverting = False
        self._at_once = False
        self._came = threading.Event()
        self._before: dict[signal.Signals, object] = {}

    @contextmanager
    def caught(self) -> Iterator[Signals]:
        """Catch them; the former handlers come back at the end."""
        if threading.current_thread() is threading.main_thread():
            for number in EXIT_OF_SIGNAL:
                self._before[number] = signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number, handler in self._before.items():
                # None stands for a handler that was not set from Python and cannot come back.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]

    def wait(self, seconds: float) -> None:
        """Sleep, ended early by a signal.

        Raises:
            Interrupted: a signal came, and nothing is being reverted yet.
        """
        if self._reverting:
            threading.Event().wait(seconds)
            return
        self._came.wait(seconds)
        self.check()

    def check(self) -> None:
        """Act on a signal that came earlier.

        Raises:
            Interrupted: one came, and nothing is being reverted yet.
        """
        if self.first is not None and not self._reverting:
            raise Interrupted(self.first.name)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal interrupt foreign code that runs long and asks nobody."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False
        self.check()

    def defer(self) -> None:
        """From here on every signal waits until all is restored."""
        self._reverting = True
        self._at_once = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.first is not None or self._reverting:
            self.deferred += 1
        if self.first is None:
            self.first = signal.Signals(number)
            self._came.set()
            if self._at_once:
                raise Interrupted(self.first.name)


def exit_of(name: str) -> Exit:
    """Exit code for a run that the named signal ended."""
    return EXIT_OF_SIGNAL[signal.Signals[name]]


def exit_on_signals() -> None:
    """Until a drill catches them itself, SIGTERM and SIGHUP end the process in order.

    By default they end it at once: a lab that is just starting, and half a run folder, would be
    left behind. SIGINT already is an exception in Python.
    """

    def leave(number: int, _: object) -> None:
        raise SystemExit(int(exit_of(signal.Signals(number).name)))

    for kind in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(kind, leave)
