"""A study of MuJoCo XLA: whole, by the warm worker that survives it, and the same bytes when computed again."""

from __future__ import annotations

import pytest
from tests.helpers.places import ROOT
from tests.helpers.project import Project, new_project

pytest.importorskip("mujoco.mjx", reason="the extra `mjx` is not installed")
pytestmark = [pytest.mark.workflow, pytest.mark.slow]

ENTRY = {"family": "mujoco", "model": "ball.xml", "horizon": 2, "frame_skip": 5, "ends": False}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = new_project(tmp_path_factory.mktemp("mjx") / "study")
    project.path("ball.xml").write_text((ROOT / "config/falling_ball.xml").read_text())
    project.configure(
        noise_levels=[0.3],
        environments=[{"name": "ball", "backend": "mjx", **ENTRY}, {"name": "cosine", "family": "cosine"}],
        estimators=["reinforce", "pathwise"],
        gradients={"samples": 64, "batch_size": 16, "dtype": "float64"},
        references={"noise_level": 0.1, "return_gaps": [0], "samples": 640},
        training={
            "environments": ["ball"], "estimators": ["pathwise"], "noise_levels": [0.3], "learning_rates": [0.1],
            "extension": 0, "seeds": 2, "iterations": 2,
        },
    )  # fmt: skip
    ended = project.run()
    assert ended.status == 0, ended.output
    return project


def test_the_study_ends_and_no_job_left_the_worker(studied: Project) -> None:
    cells = list(studied.folder.glob("results/**/ball/**/*.csv"))
    assert any("pathwise" in str(cell) for cell in cells)
    logs = "".join(path.read_text() for path in studied.folder.rglob("*.log"))
    assert "fork" not in logs
    assert "Traceback" not in logs


def test_results_are_the_same_bytes_when_computed_again(studied: Project) -> None:
    ended = studied.command("scorepath", "verify", "--fraction", "1", "--cores", "2")
    assert ended.status == 0, ended.output
