"""A study of MuJoCo XLA beside the warm worker, which stays without JAX; and the same bytes when computed again."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.helpers.places import ROOT
from tests.helpers.project import BIN, new_project

pytest.importorskip("mujoco.mjx", reason="the extra `mjx` is not installed")

from scorepath.cli.worker import COMPUTING, REPORTING


def test_what_the_worker_imports_before_it_forks_brings_no_jax() -> None:
    """Its threads would not survive the fork."""
    lines = [f"import {name}" for name in (*COMPUTING, *REPORTING, "scorepath.environments.mujoco", "mujoco")]
    code = "\n".join(["import sys", *lines, "sys.exit('jax' in sys.modules)"])
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.workflow
@pytest.mark.slow
def test_a_whole_study_ends_and_is_the_same_bytes_when_computed_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    project = new_project(tmp_path_factory.mktemp("mjx") / "study", "mjx")
    project.path("ball.xml").write_text((ROOT / "config/falling_ball.xml").read_text())
    ball = {"name": "ball", "family": "mujoco", "model": "ball.xml", "horizon": 2, "frame_skip": 10, "ends": False}
    project.configure(
        noise_levels=[0.3],
        environments=[{**ball, "backend": "mjx"}],
        estimators=["leave_one_out", "pathwise"],
        gradients={"samples": 64, "batch_size": 16, "dtype": "float64"},
        references={"noise_level": 0.1, "return_gaps": [0], "samples": 640},
        training={
            "environments": ["ball"], "estimators": ["pathwise"], "noise_levels": [0.3], "learning_rates": [0.1],
            "extension": 0, "seeds": 2, "iterations": 2,
        },
    )  # fmt: skip
    ended = project.run()
    assert ended.status == 0, ended.output
    cells = {f"gradients/ball/{name}/sigma=0.3.csv" for name in ("leave_one_out", "pathwise")}
    assert cells <= project.results("gradients/ball/*/*.csv").keys()
    assert project.path("reports/report.html").is_file()
    ended = project.execute(str(BIN / "scorepath"), "verify", "--fraction", "1", "--cores", "2")
    assert ended.status == 0, ended.output
