"""Policies: their vector-Jacobian products against autograd, trajectory by trajectory and step by step."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import randn
from torch import Tensor

from scorepath.policies import Network, OpenLoop, Policy

POLICIES = {
    "open_loop": OpenLoop(4, 2),
    "linear": Network((3, 2), bias=False),
    "affine": Network((3, 2)),
    "mlp": Network((3, 7, 5, 2)),
}


def signal_through_autograd(policy: Policy, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
    """`grad of sum_t <mu_theta(o_t), delta_t>` for every trajectory, by torch.func."""

    def objective(theta: Tensor, rows: Tensor, deltas: Tensor) -> Tensor:
        means = torch.stack([policy.mean(theta, rows[t][None], t)[0] for t in range(len(rows))])
        return (means * deltas).sum()

    of_samples = torch.func.vmap(torch.func.grad(objective), in_dims=(None, 0, 0))
    return torch.func.vmap(of_samples, in_dims=(None if parameters.dim() == 1 else 0, 0, 0))(
        parameters, observations, signal
    )


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_pull_back_is_the_derivative_of_the_policy(kind: str, population: bool) -> None:
    policy, batches, samples, horizon = POLICIES[kind], 3, 5, 4
    shape = (batches, policy.parameter_count) if population else (policy.parameter_count,)
    parameters = randn(*shape, seed=1)
    observations, signal = randn(batches, samples, horizon, 3, seed=2), randn(batches, samples, horizon, 2, seed=3)
    expected = signal_through_autograd(policy, parameters, observations, signal)
    inputs = layer_inputs(policy, parameters, observations)
    signals = policy.layer_signals(parameters, inputs, signal)
    found = policy.pull_back(inputs, signals)
    assert found.shape == (batches, samples, policy.parameter_count)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    mean = policy.pull_back_mean(inputs, signals)
    torch.testing.assert_close(mean, expected.mean(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_variances_of_steps_are_those_of_pulling_back_one_step(kind: str, population: bool) -> None:
    policy: Policy = POLICIES[kind]
    parameters = randn(*((3,) if population else ()), policy.parameter_count, seed=1)
    observations, signal = randn(3, 5, 4, 3, seed=2), randn(3, 5, 4, 2, seed=3)
    inputs, expected = layer_inputs(policy, parameters, observations), []
    for t in range(4):
        only = torch.zeros_like(signal)
        only[:, :, t] = signal[:, :, t]
        expected.append(policy.pull_back(inputs, policy.layer_signals(parameters, inputs, only)).var(1).sum(-1))
    found = policy.step_trace_variances(inputs, policy.layer_signals(parameters, inputs, signal))
    torch.testing.assert_close(found, torch.stack(expected, -1), rtol=1e-11, atol=1e-12)
