"""The return along a line: exact where the objective is, tangent to the gradient, and no longer than it is tame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.noise import Stream
from scorepath.references.exact import exact_objective, exact_reference
from scorepath.references.lines import MOST_TRAJECTORIES, POINTS, TAME, line, noiseless_episode, trajectories_of
from scorepath.rollout import Simulator

STREAM = Stream(3, "lines", "test")
SIGMAS = (0.0, 0.1, 1.0)


def simulator_of(environment: Environment, sigma: float = 0.1, mean: float = 0.1) -> Simulator:
    policy = make_policy(environment)
    return Simulator(environment, policy, torch.full((policy.parameter_count,), mean, dtype=torch.float64), sigma)


@pytest.mark.parametrize("environment", [Cosine(frequency=10.0, phase=1.0), Step(edge=0.1), LQR(horizon=6), Chain()])
def test_a_line_is_the_exact_objective_and_rises_like_its_gradient(environment: Environment) -> None:
    simulator = simulator_of(environment)
    gradient = exact_reference(simulator).gradient
    found = line(simulator, gradient, SIGMAS, STREAM, trajectories_of(simulator, 3))
    assert found is not None
    unit = gradient / gradient.norm()
    middle = POINTS // 2
    for point in (3, middle, 40):
        there = simulator.parameters + found.distances[point] * unit
        for level, sigma in enumerate(SIGMAS):
            exact = exact_objective(Simulator(environment, simulator.policy, there, sigma))
            assert found.returns.value[level, point] == pytest.approx(exact, rel=2e-3, abs=2e-3)
    assert np.array_equal(found.returns.low, found.returns.high)
    rise = found.returns.value[1, middle + 1] - found.returns.value[1, middle - 1]
    span = found.distances[middle + 1] - found.distances[middle - 1]
    assert rise / span == pytest.approx(gradient.norm().item(), rel=0.15)
    assert np.allclose(found.paired.value, found.returns.value, rtol=1e-12)


def test_an_unstable_loop_is_looked_at_from_nearby() -> None:
    simulator = simulator_of(LQR(horizon=40, dynamics=((1.2,),), control=((0.5,),)), mean=0.0)
    found = line(simulator, torch.ones(1), SIGMAS, STREAM, 0)
    assert found is not None
    values = found.returns.value[-1]
    assert np.ptp(values) <= 1.2 * TAME * np.ptp(values[POINTS // 4 : -(POINTS // 4)])
    assert found.distances[-1] < 0.2


def test_without_a_direction_there_is_no_line() -> None:
    simulator = simulator_of(Cosine())
    assert line(simulator, torch.zeros(1), SIGMAS, STREAM, 0) is None
    assert line(simulator, torch.tensor([torch.nan]), SIGMAS, STREAM, 0) is None


def test_a_simulated_line_is_surer_of_its_shape_than_of_its_height() -> None:
    environment = Pendulum(horizon=8)
    policy = make_policy(environment, "linear")
    simulator = Simulator(environment, policy, torch.zeros(policy.parameter_count, dtype=torch.float64), 0.1)
    count = trajectories_of(simulator, 3)
    assert count == MOST_TRAJECTORIES
    found = line(simulator, torch.ones(policy.parameter_count), SIGMAS, STREAM, count)
    assert found is not None
    near = POINTS // 2 + 1
    height, shape = ((each.high - each.low)[1, near] for each in (found.returns, found.paired))
    assert 0 < shape < height / 10
    again = line(simulator, torch.ones(policy.parameter_count), SIGMAS, STREAM, count)
    assert again is not None
    assert np.array_equal(found.returns.value, again.returns.value)


def test_an_episode_is_what_the_policy_does_undisturbed() -> None:
    environment = LQR(
        horizon=5, dynamics=((0.9,),), control=((0.5,),), process_noise=0.3, reward_noise=1.0, discount=0.5
    )
    simulator = simulator_of(environment, mean=-0.2)
    found = noiseless_episode(simulator, STREAM)
    assert found.states.shape == (6, 1)
    for step in range(5):
        assert found.actions[step] == pytest.approx(-0.2 * found.states[step].numpy())
        assert found.states[step + 1].numpy() == pytest.approx(
            (0.9 * found.states[step] + 0.5 * found.actions[step]).numpy()
        )
    assert found.states[0].abs() > 0
