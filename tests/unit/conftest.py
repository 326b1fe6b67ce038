"""What all unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # the tests themselves run side by side


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in: results lie in `results` of wherever a study runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
