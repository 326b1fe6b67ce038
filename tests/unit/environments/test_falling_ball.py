"""MuJoCo's contacts at their onset: the jump, what it does to the pathwise gradient, and what d0 = 0 does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from benchmarks import contact_onset
from tests.helpers.places import ROOT

pytest.importorskip("mujoco", reason="the extra `mujoco` is not installed")

from scorepath import registry
from scorepath.study.settings import Study
from scorepath.study.validation import validate


def ball(**knobs: Any) -> Any:
    _, kind = registry.load_plugin(contact_onset.PLUGIN)
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


def test_with_it_pathwise_has_the_wrong_sign_and_without_it_more_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of docs/mujoco.md at sigma = 0.1, on a coarser grid."""
    monkeypatch.setattr(contact_onset, "NODES", 201)
    monkeypatch.setattr(contact_onset, "REACH", 4.0)
    monkeypatch.setattr(contact_onset, "SIGMAS", (0.1,))
    found = {}
    for d0 in (0.9, 0.0):
        actions, returns, slopes = contact_onset.returns_and_slopes(d0, 0.002)
        found[d0] = contact_onset.moments(actions, returns, slopes, 0.1)
    np.testing.assert_allclose(found[0.9][:2], [-0.0041, 0.0186], atol=1e-3)
    np.testing.assert_allclose(found[0.0][:2], [-0.0043, -0.0043], atol=1e-3)
    assert found[0.0][3] > 100 * found[0.9][3]


def test_the_page_shows_the_plugin() -> None:
    assert f"```python\n{contact_onset.PLUGIN.read_text()}```" in (ROOT / "docs" / "mujoco.md").read_text()


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
