"""The budget, and the alarm that stops what does not keep to it."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import suppress

import pytest

from scorepath.clock import Clock, TimeIsUp, alarm, timed


def test_a_clock_knows_what_is_left() -> None:
    clock = Clock(5.0)
    time.sleep(0.01)
    assert 0.01 <= clock.spent < 5
    assert clock.left == pytest.approx(5.0 - clock.spent, abs=0.01)
    assert timed(lambda: 7)[0] == 7


def test_the_alarm_stops_even_what_catches_every_error() -> None:
    def stubborn() -> None:
        while True:
            with suppress(Exception):
                time.sleep(5)

    before = signal.getsignal(signal.SIGALRM)
    start = time.monotonic()
    with pytest.raises(TimeIsUp), alarm(0.1):
        stubborn()
    assert time.monotonic() - start < 2
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_somebody_elses_alarm_is_left_alone() -> None:
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        with alarm(0.01):
            time.sleep(0.05)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_in_another_thread_there_is_no_alarm() -> None:
    ended = []

    def work() -> None:
        with alarm(0.01):
            time.sleep(0.05)
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended
