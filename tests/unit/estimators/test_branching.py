"""Branches: another action at one random step, and everything else as it was."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.discrete import TEMPERATURE, Bandit
from tests.helpers.problems import at, label, noise, simulator

from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.estimators._branching import Branching


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logits", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("sigma", [1e-6, 0.3, 1e6])
def test_infinite_noise_decides_whatever_logits_and_sigma(dtype: torch.dtype, logits: float, sigma: float) -> None:
    parameters = logits * torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    start = at(Bandit(), parameters, sigma, "open_loop")
    branching = Branching.at_random_steps(start, noise(Bandit(), 2, 50, dtype=dtype))
    for choice, reward in enumerate([0.0, 1.0, 3.0]):
        assert (branching.returns(choice, math.inf) == reward).all()
        assert (branching.returns(choice, -math.inf) != reward).all()


@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
@pytest.mark.parametrize("environment", [Chain(reward_noise=0.1), Grid(cliff=True)], ids=label)
def test_a_branch_with_the_same_action_is_the_same_trajectory(environment: Environment, batches: int) -> None:
    start, draws = simulator(environment, TEMPERATURE, batches=batches), noise(environment, 2, 50)
    trajectories, branching = start.rollout(draws.rollout), Branching.at_random_steps(start, draws)
    taken = branching.select(trajectories.actions) > 0
    assert branching.at_step.sum(-1).eq(1).all()
    assert branching.at_step.any((0, 1)).all(), "every step is drawn"
    for action in range(environment.action_dim):
        forced, left_out = (branching.returns(action, eps) for eps in (math.inf, -math.inf))
        same = taken[..., action]
        assert torch.equal(forced[same], trajectories.returns[same])
        assert torch.equal(left_out[~same], trajectories.returns[~same])
        assert not torch.equal(forced[~same], trajectories.returns[~same])


def test_a_branch_changes_one_coordinate_of_one_action() -> None:
    environment = LQR(horizon=4, control=((0.5, 0.2),))
    start, draws = simulator(environment, TEMPERATURE), noise(environment, 2, 50)
    branching = Branching.at_random_steps(start, draws)
    action = draws.rollout.action.clone()
    for batch, sample, step in branching.at_step.nonzero().tolist():
        action[batch, sample, step, 1] = 2.5
    expected = start.rollout(draws.rollout._replace(action=action)).returns
    assert torch.equal(branching.returns(1, 2.5), expected)
