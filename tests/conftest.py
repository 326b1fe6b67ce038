"""Order of the tests, the slow ones first, so that at the end no core waits for a long one; and one computed study."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest
from tests.helpers.project import Project, new_project


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


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A very small study, run once, which no test may touch; processes of pytest-xdist share one."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "finished-study.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished-study").exists():
            made = new_project(shared / f"study-of-{os.getpid()}")
            ended = made.run()
            assert ended.status == 0, ended.output
            made.folder.rename(shared / "finished-study")
    return Project(shared / "finished-study")
