"""Order of the tests: the slow ones first, so that at the end no core waits for a long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def every_step_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Also of trajectories so short that recording their steps is not worth it."""
    from scorepath import dynamics

    monkeypatch.setattr(dynamics, "LEAST_OPERATIONS", 0)
    dynamics._dynamics.cache_clear()
    yield
    dynamics._dynamics.cache_clear()
