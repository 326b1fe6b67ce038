"""Trajectories: discounting, terminal rewards, the ends of episodes, and derivatives by finite differences."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tests.helpers.problems import (
    LANDSCAPES,
    SMOOTH_LANDSCAPES,
    in_generic_position,
    label,
    matrix_lqr,
    noise,
    simulator,
)
from tests.helpers.rules import central_differences
from torch import Tensor

import scorepath as sp
from scorepath import pullback
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, ReferenceClass
from scorepath.environments.cartpole import CartPole
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.policies import Network


@dataclass(frozen=True, kw_only=True)
class Counter(Environment):
    """Rewards 1, 2, 4 whatever is done, and a terminal reward of 10."""

    source: ClassVar[str] = "test"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    @property
    def horizon(self) -> int:
        return 3

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state + 1, 2 ** state[..., 0] + 0 * action[..., 0]

    def terminal_reward(self, state: Tensor) -> Tensor:
        assert (state == 3).all()
        return 10 * torch.ones_like(state[..., 0])


def test_discounts_and_the_terminal_reward() -> None:
    trajectories = simulator(Counter(discount=0.8)).rollout(noise(Counter(), 1, 1).rollout)
    rewards = [1.0, 0.8 * 2, 0.64 * 4 + 0.512 * 10]
    torch.testing.assert_close(trajectories.rewards[0, 0], torch.tensor(rewards, dtype=torch.float64))
    assert trajectories.returns.item() == pytest.approx(sum(rewards), rel=1e-12)
    to_go = [sum(rewards[t:]) for t in range(3)]
    torch.testing.assert_close(trajectories.rewards_to_go[0, 0], torch.tensor(to_go, dtype=torch.float64))


SMOOTH = [
    Quadratic(dimension=2),
    Cosine(),
    Ripple(),
    SoftStep(width=2.0),
    matrix_lqr(),
    AngleDoubling(doublings=3),
    Pendulum(horizon=5),
    CartPole(horizon=5),
    BallWithWall(stiffness=50.0),
]


@pytest.mark.parametrize("environment", SMOOTH, ids=label)
def test_action_gradients_are_finite_differences(environment: Environment) -> None:
    """Total derivatives: a pushed action changes later observations, and the policy answers them."""
    start, draws, step = simulator(environment, sigma=0.3), noise(environment, 1, 4).rollout, 1e-6
    trajectories = start.rollout(draws, differentiable=True)
    found = trajectories.action_gradient(trajectories.returns)
    expected = torch.zeros_like(found)
    for t, coordinate in itertools.product(range(environment.horizon), range(environment.action_dim)):
        ends = []
        for sign in (1, -1):
            action = draws.action.clone()
            action[..., t, coordinate] += sign * step / start.sigma
            ends.append(start.rollout(draws._replace(action=action)).returns)
        expected[..., t, coordinate] = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_without_noise_there_is_no_score() -> None:
    environment = LQR(horizon=2)
    with pytest.raises(ValueError, match="sigma = 0"):
        _ = simulator(environment, sigma=0.0).rollout(noise(environment).rollout).score


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("shape", [(7,), (2, 7), (32,), (4, 8), (1, 2, 16), ()])
def test_parameters_that_are_not_those_of_the_policy_are_refused(
    hidden: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    """Also where they are as many as those of a population."""
    policy = Network((3, *hidden, 1))
    with pytest.raises(ValueError, match=r"parameters have shape .*, but must have \("):
        sp.Simulator(sp.environments.Pendulum(horizon=2), policy, torch.zeros(shape), 0.1)


@pytest.mark.parametrize("sigma", [math.nan, math.inf, -0.1])
def test_a_noise_level_that_is_none_is_refused(sigma: float) -> None:
    with pytest.raises(ValueError, match="must be given, finite and at least 0"):
        sp.Simulator(sp.environments.Cosine(), sigma=sigma)


@dataclass(frozen=True, kw_only=True)
class Ending(LQR):
    """LQR that is over once the state is positive."""

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] <= 0


def test_after_an_episodes_end_there_is_no_reward_noise_and_no_signal() -> None:
    environment = Ending(horizon=4, state_cost=0.0, action_cost=0.0, terminal_cost=0.0, reward_noise=1.0)
    start, draws = simulator(environment, sigma=0.5), noise(environment)
    trajectories = start.rollout(draws.rollout)
    active = trajectories.active
    assert active is not None
    assert active.any()
    assert not active.all()
    assert torch.equal(trajectories.rewards != 0, active)
    signal = torch.ones_like(trajectories.action_noise)
    masked = torch.cat(list(pullback.per_trajectory_gradients(trajectories, signal)))
    expected = torch.cat(list(pullback.per_trajectory_gradients(trajectories, signal * active[..., None])))
    assert torch.equal(masked, expected)
    assert not torch.equal(
        masked, torch.cat(list(pullback.per_trajectory_gradients(replace(trajectories, active=None), signal)))
    )


@pytest.mark.parametrize("environment", SMOOTH_LANDSCAPES, ids=label)
def test_gradients_of_returns_are_finite_differences(environment: Environment) -> None:
    start, draws = in_generic_position(environment, 0.3), noise(environment, 1).rollout
    trajectories = start.rollout(draws, differentiable=True)
    inputs = trajectories.layer_inputs
    signals = start.policy.layer_signals(start.parameters, inputs, trajectories.action_gradient(trajectories.returns))
    found = start.policy.pull_back(start.parameters, inputs, signals)

    def returns(parameters: Tensor) -> Tensor:
        return replace(start, parameters=parameters).rollout(draws).returns[0]

    expected = central_differences(returns, start.parameters, step=1e-6)
    torch.testing.assert_close(found[0], expected.mT, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("environment", LANDSCAPES, ids=label)
def test_rollouts_of_a_population_in_either_precision(environment: Environment) -> None:
    start = in_generic_position(environment, 0.3)
    population = replace(start, parameters=start.parameters * torch.tensor([[1.0], [0.5]], dtype=torch.float64))
    returns = {}
    for dtype in (torch.float32, torch.float64):
        draws = noise(environment, 2, 4, dtype=dtype).rollout
        returns[dtype] = population.rollout(draws).returns
        assert returns[dtype].dtype == dtype
        assert returns[dtype].shape == (2, 4)
    torch.testing.assert_close(returns[torch.float32].double(), returns[torch.float64], rtol=1e-4, atol=1e-4)
    assert hash(replace(environment)) == hash(environment)
