"""The check that the core has not become slower fails where it has."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from benchmarks import regression
from benchmarks.gradients.protocol import Run


def work(seconds: float) -> Run:
    """Something that takes so long, by the clock of this test."""
    return lambda: {"seconds": seconds}


@pytest.mark.parametrize(("seconds", "slower"), [(1.0, False), (1.2, False), (1.5, True)])
def test_a_slowdown_by_half_fails(seconds: float, slower: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def races() -> Iterator[tuple[str, Run, Run]]:
        yield "reinforce", work(seconds), work(5.0)

    monkeypatch.setattr(regression, "races", races)
    monkeypatch.setattr(regression, "processor_seconds", lambda run: run()["seconds"])
    found = regression.slowdowns({"reinforce": 5.0})
    assert found == (["reinforce takes 1.50 times as long as it did"] if slower else [])


def test_a_bad_moment_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([5.0, 2.0] * regression.ROUNDS + [5.0, 1.0] * regression.MOST_ROUNDS)
    monkeypatch.setattr(regression, "processor_seconds", lambda run: next(seconds))
    assert regression.ratio(work(0), work(0), floor=4.0) == 5.0


def test_every_estimator_has_a_recorded_ratio() -> None:
    recorded = json.loads(regression.RECORD.read_text(encoding="utf-8"))
    assert set(recorded) == set(regression.ESTIMATORS)
    assert all(ratio > 1 for ratio in recorded.values())
