"""MuJoCo's contacts at their onset: the jump, what it does to the pathwise gradient, and what d0 = 0 does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.helpers.places import ROOT

pytest.importorskip("mujoco", reason="the extra `mujoco` is not installed")

import scorepath as sp
from scorepath import probes, registry
from scorepath.claims.mujoco_onset import MEAN, FallingBall, moments, responses
from scorepath.noise import Stream
from scorepath.study.settings import Study
from scorepath.study.validation import validate

PLUGIN = ROOT / "config" / "falling_ball.py"


def ball(**knobs: Any) -> Any:
    _, kind = registry.load_plugin(PLUGIN)
    return kind(**knobs)


def heights(environment: Any, actions: np.ndarray) -> np.ndarray:
    state = environment.initial_state(torch.zeros(len(actions), environment.initial_noise_dim, dtype=torch.float64))
    return environment.step(state, torch.from_numpy(actions)[:, None], state[:, :0])[1].numpy()


@pytest.mark.parametrize(("d0", "least", "most"), [(0.9, 1e-3, 1e-2), (0.0, 0.0, 1e-6)])
def test_a_jump_survives_bisection(d0: float, least: float, most: float) -> None:
    """Of the return between two actions 1e-11 apart. MuJoCo takes an impedance of 0 for 0.0001."""
    environment = ball(solimp_d0=d0)
    grid = np.linspace(-0.8, -0.6, 201)
    found = heights(environment, grid)
    place = int(np.abs(np.diff(found, 2)).argmax())
    low, high = grid[place], grid[place + 2]
    while high - low > 1e-11:
        inner = np.linspace(low, high, 17)
        widest = int(np.abs(np.diff(heights(environment, inner))).argmax())
        low, high = inner[widest], inner[widest + 1]
    jump = abs(np.diff(heights(environment, np.array([low, high]))).item())
    assert least <= jump < most


def test_with_it_pathwise_has_the_wrong_sign_and_without_it_more_variance() -> None:
    """The numbers of docs/mujoco.md at sigma = 0.1, on a coarser grid."""
    noise = torch.linspace(-4, 4, 201, dtype=torch.float64)
    jumping, smooth = (
        moments(noise, *responses(FallingBall(solimp_d0=d0), MEAN + 0.1 * noise), 0.1) for d0 in (0.9, 0.0)
    )
    np.testing.assert_allclose([jumping.gradient, jumping.pathwise], [-0.0041, 0.0186], atol=1e-3)
    np.testing.assert_allclose([smooth.gradient, smooth.pathwise], [-0.0043, -0.0043], atol=1e-3)
    assert smooth.variance > 100 * jumping.variance


def test_the_plugins_ball_is_the_claims() -> None:
    actions = torch.linspace(-2, 1, 31, dtype=torch.float64)
    others: dict[str, Any] = {"solimp_d0": 0.0, "time_step": 0.0005, "frame_skip": 320}
    for knobs in ({}, others):
        for one, other in zip(responses(ball(**knobs), actions), responses(FallingBall(**knobs), actions), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(("d0", "least", "most"), [(0.9, 0.0, 0.1), (0.0, 0.5, 1.0)])
def test_gi_ppos_test_of_bias_sees_the_wrong_sign(d0: float, least: float, most: float) -> None:
    """The product of both means is below 0 in a batch by four standard errors at 0.9."""
    simulator = sp.Simulator(FallingBall(solimp_d0=d0), parameters=torch.tensor([MEAN]), sigma=0.1)
    sampled = probes.sample(simulator, Stream(0, "", "ball"), range(probes.BATCHES))
    assert least <= probes.compared(sampled, "leave_one_out").raised <= most


def test_the_page_shows_the_plugin() -> None:
    assert f"```python\n{PLUGIN.read_text()}```" in (ROOT / "docs" / "mujoco.md").read_text()


def test_the_study_of_mujoco_can_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every entry of config/mujoco.yaml is an instance, with the plugin that it lists."""
    monkeypatch.chdir(ROOT)
    config = yaml.safe_load((ROOT / "config/mujoco.yaml").read_text())
    (plugin,) = config["plugins"]
    kinds = {
        "mujoco": registry.load(registry.ENVIRONMENTS, "mujoco"),
        "falling_ball": registry.load_plugin(Path(plugin))[1],
    }
    methods = {name: registry.load(registry.ESTIMATORS, name) for name in registry.names(registry.ESTIMATORS)}
    given = {key: value for key, value in config.items() if key != "plugins"}
    tables = [{name: registry.knobs(kind) for name, kind in each.items()} for each in (kinds, methods)]
    study = Study.from_config(validate(given, *tables))
    for entry in study.environments.values():
        kinds[entry.family](**entry.knobs)
