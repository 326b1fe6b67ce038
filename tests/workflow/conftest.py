"""A very small study, computed or not; every test works on a copy of it, sources included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.project import CONFIG, Project, new_project


@pytest.fixture
def finished(computed: Project, tmp_path: Path) -> Project:
    """A copy of the computed study."""
    return computed.copy(tmp_path / "study")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """The study before anything is computed."""
    return new_project(tmp_path / "fresh")


@pytest.fixture
def base_config() -> dict[str, Any]:
    """What the study's config.yaml says; free to be changed."""
    copied: dict[str, Any] = yaml.safe_load(yaml.safe_dump(CONFIG))
    return copied
