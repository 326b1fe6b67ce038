"""The code in docs/ runs as documented, in the place it says."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.pathwise import Pathwise
from scorepath.noise import Noise, Stream
from scorepath.policies import make_policy
from scorepath.rollout import Simulator

DOCS = Path(__file__).parents[2] / "docs"


def documented(page: str, folder: Path) -> ModuleType:
    """Import the page's one Python block as a module."""
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    path = folder / f"{page.replace('-', '_').removesuffix('.md')}.py"
    path.write_text(block)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_documented_estimator_estimates_the_gradient(tmp_path: Path) -> None:
    estimator = documented("add-an-estimator.md", tmp_path).ZeroNoiseBaseline()
    environment = Quadratic(dimension=1, offset=1.0)
    policy = make_policy(environment)
    simulator = Simulator(environment, policy, torch.zeros(1), sigma=0.1)
    noise = Noise(environment, Stream(0, "quadratic", "test"), range(8), 4096)
    means, _ = estimator.estimate(simulator, noise)
    # d/dmu of -(mu - 1)^2 at 0 is 2; per-sample variance is about 8, so six standard errors of 32,768 samples are 0.1
    assert means.mean().item() == pytest.approx(2.0, abs=0.1)


def test_documented_environment_can_be_differentiated(tmp_path: Path) -> None:
    environment = documented("add-an-environment.md", tmp_path).Point()
    policy = make_policy(environment)
    simulator = Simulator(environment, policy, torch.zeros(policy.parameter_count), sigma=0.1)
    noise = Noise(environment, Stream(0, "point", "test"), range(2), 64)
    means, trajectories = Pathwise().estimate(simulator, noise)
    assert trajectories is not None
    assert trajectories.observations.shape == (2, 64, environment.horizon, 1)
    assert (means < 0).all()  # a negative gain pushes towards the origin


def test_readme_example_runs_and_its_intervals_hold_the_exact_gradient(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS.parent / "README.md").read_text(), flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    pathwise, reinforce, exact = capsys.readouterr().out.splitlines()
    truth = float(exact.split()[1])
    for line in (pathwise, reinforce):
        _, value, _, half_width = line.split()
        assert abs(float(value) - truth) < 3 * float(half_width)  # fixed seed; 3 half-widths are 5.9 standard errors
