"""A budget of seconds: what is left of it, and an alarm for what does not keep to it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


class TimeIsUp(BaseException):
    """The alarm. No error of user's code: nothing there is to catch it."""


@dataclass
class Clock:
    """What has been spent of a budget, in seconds."""

    budget: float
    began: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """What is left of the budget; negative beyond it."""
        return self.budget - self.spent


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """What a function returns, and the seconds that it took."""
    start = time.perf_counter()
    found = function()
    return found, time.perf_counter() - start


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raises `TimeIsUp` within, after so many seconds; without effect where alarms are not to be had, or in use."""
    usable = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    if not usable or signal.getitimer(signal.ITIMER_REAL)[0] > 0:
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
