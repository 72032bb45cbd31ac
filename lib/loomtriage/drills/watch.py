"""Watch: which threads keep a fault alive, and which one ends it when it costs too much?

Both are daemons of the runner: when it dies, nobody renews the lease and the fault heals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from loomtriage.errors import SourceUnavailable

RENEW_EVERY_S = 2.0
LOOK_EVERY_S = 0.5
log = logging.getLogger(__name__)


class Invalid(Exception):
    """The drill cannot prove anything any more; it ends early and is reverted."""


@dataclass(slots=True, kw_only=True)
class Alarm:
    """Why the drill must end now.

    Attributes:
        abort: a bound was crossed, or the lease was lost; empty while all is well.
        broke: the evaluator itself threw, which ends the drill as well.
    """

    abort: str = ""
    broke: str = ""

    @property
    def raised(self) -> bool:
        """Whether the drill must end now."""
        return bool(self.abort or self.broke)


def raise_alarm(alarm: Alarm) -> None:
    """End the drill when its watch says so.

    Raises:
        Invalid: a bound was crossed.
        RuntimeError: the watch itself broke.
    """
    if alarm.broke:
        raise RuntimeError(alarm.broke)
    if alarm.abort:
        raise Invalid(f"aborted: {alarm.abort}")


@contextmanager
def watched(
    *,
    renew: Callable[[], bool],
    look: Callable[[], str],
    end_fault: Callable[[], None],
    max_s: float,
) -> Iterator[Alarm]:
    """Renew the lease and look for reasons to abort, each in a thread of its own.

    Both begin at once: part of the lease may have passed while the fault was applied.

    Args:
        renew: prolongs the lease; False when the fault is gone.
        look: says why to abort, empty while all is well; when it throws, that is a reason.
        end_fault: takes the fault back at once, whatever the main thread is doing.
        max_s: seconds that the fault may stand.
    """
    alarm = Alarm()
    end = time.monotonic() + max_s

    def beat() -> str:
        return "" if renew() else "the fault's lease was lost"

    def judge() -> str:
        over = time.monotonic() > end
        return f"the fault stood for its whole budget of {max_s:g} s" if over else look()

    def told(once: Callable[[], str]) -> str:
        """A part of the lab that does not answer is a reason; anything else thrown is a bug."""
        try:
            return once()
        except SourceUnavailable as error:
            return error.message

    with ExitStack() as threads:
        for name, once, every_s in (
            ("heartbeat", beat, RENEW_EVERY_S),
            ("abort evaluator", judge, LOOK_EVERY_S),
        ):
            asks = partial(told, once)
            threads.enter_context(_asking(name, asks, alarm, every_s=every_s, on_alarm=end_fault))
        yield alarm


@contextmanager
def _asking(
    name: str,
    once: Callable[[], str],
    alarm: Alarm,
    *,
    every_s: float,
    on_alarm: Callable[[], None],
) -> Iterator[None]:
    end = threading.Event()

    def loop() -> None:
        while not alarm.raised:
            try:
                reason = once()
                # A reason found while the drill is already ending is no news.
                alarm.abort = alarm.abort or ("" if end.is_set() else reason)
            except Exception as error:  # who cannot judge must stop the drill
                log.warning("the drill's %s broke", name, exc_info=True)
                alarm.broke = alarm.broke or f"the {name} broke: {type(error).__name__}: {error}"
            if alarm.abort or alarm.broke:
                _try(on_alarm)
                return
            if end.wait(every_s):
                return

    thread = threading.Thread(target=loop, name=f"drill {name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(timeout=10)


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:  # the main thread reverts again, and the lease ends
        log.warning("the early revert failed", exc_info=True)
