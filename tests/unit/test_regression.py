"""The check that the core has not become slower fails where it has."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from benchmarks import regression
from benchmarks.contestants.protocol import Run


def work(rounds: int) -> Run:
    """Something that takes processor time in proportion to its rounds."""
    numbers = np.arange(20_000.0)

    def run() -> dict[str, float]:
        return {"sum": sum(float(np.sin(numbers).sum()) for _ in range(rounds))}

    return run


@pytest.mark.parametrize(("rounds", "slower"), [(20, False), (30, True)], ids=["as it was", "half as slow again"])
def test_a_slowdown_by_half_fails(rounds: int, slower: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def races() -> Iterator[tuple[str, Run, Run]]:
        yield "reinforce", work(rounds), work(100)

    monkeypatch.setattr(regression, "races", races)
    found = regression.slowdowns({"reinforce": 5.0})
    assert len(found) == slower
    if slower:
        assert "reinforce takes 1." in found[0]


def test_every_estimator_has_a_recorded_ratio() -> None:
    recorded = json.loads(regression.RECORD.read_text(encoding="utf-8"))
    assert set(recorded) == set(regression.ESTIMATORS)
    assert all(ratio > 1 for ratio in recorded.values())
