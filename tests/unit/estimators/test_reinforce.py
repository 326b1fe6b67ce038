"""REINFORCE against autograd of the log-density of the actions taken."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import matrix_lqr, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.pendulum import Pendulum
from scorepath.estimators.reinforce import Reinforce


@pytest.mark.parametrize(
    "environment", [matrix_lqr(horizon=3, discount=1.0), Pendulum(horizon=3), Chain(horizon=4)], ids=str
)
def test_reinforce_is_the_return_times_the_score_of_the_density(environment: Environment) -> None:
    """The score against autograd of log pi(a | o) at the actions taken, normal or softmax(logits / sigma)."""
    start, samples = simulator(environment, sigma=0.7), 4
    draws = noise(environment, 1, samples)
    trajectories = start.rollout(draws.rollout)
    expected = []
    for sample in range(samples):
        theta = start.parameters.clone().requires_grad_()
        log_density = torch.zeros((), dtype=torch.float64)
        for t in range(environment.horizon):
            mean = start.policy.mean(theta, trajectories.observations[0, sample, t][None], t)[0]
            action = trajectories.actions[0, sample, t]
            if environment.discrete_actions:
                log_density = log_density + torch.log_softmax(mean / start.sigma, -1) @ action
            else:
                log_density = log_density - ((action - mean) / start.sigma).square().sum() / 2
        (score,) = torch.autograd.grad(log_density, theta)
        expected.append(trajectories.returns[0, sample] * score)
    found = gradients(Reinforce(), start, draws)[0]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-9, atol=1e-11)
