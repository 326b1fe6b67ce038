"""A very small study, computed once per session; every test works on a copy of it, sources included."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.project import CONFIG, Project, new_project


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The computed study, which no test may touch; processes of pytest-xdist share one."""
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


@pytest.fixture
def finished(_finished: Project, tmp_path: Path) -> Project:
    """A copy of the computed study."""
    return _finished.copy(tmp_path / "study")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """The study before anything is computed."""
    return new_project(tmp_path / "fresh")


@pytest.fixture
def base_config() -> dict[str, Any]:
    """What the study's config.yaml says; free to be changed."""
    copied: dict[str, Any] = yaml.safe_load(yaml.safe_dump(CONFIG))
    return copied
