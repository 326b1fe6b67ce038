"""Order of the tests: the slow ones first, so that at the end no core waits for a long one."""

from __future__ import annotations

import os

import pytest


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: somebody always waits, for Slurm, a browser or the end of a signal."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
