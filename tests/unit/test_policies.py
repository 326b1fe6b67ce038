"""Policies: their vector-Jacobian products against autograd, trajectory by trajectory and step by step."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import randn
from torch import Tensor, nn
from torch.nn import functional

from scorepath.modules import ModulePolicy
from scorepath.policies import ACTIVATIONS, LearnedStd, Network, OpenLoop, Policy


class Mine(nn.Module):
    """A module with a normalisation, a residual, a frozen layer, a buffer and two parts of one parameter."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, outputs)
        self.norm = nn.LayerNorm(5)
        self.fixed = nn.Linear(3, 3)
        self.fixed.requires_grad_(False)
        self.register_buffer("scale", torch.tensor([0.5, 1.0, 2.0]))

    def forward(self, observation: Tensor) -> Tensor:
        hidden = functional.elu(self.first(self.fixed(observation) * self.scale))
        return self.last(hidden + torch.sin(self.norm(self.second(hidden))))


def normalised() -> nn.Module:
    """With the statistics of batches that it has seen."""
    norm = nn.BatchNorm1d(5)
    norm(torch.randn(20, 5) * 2 + 1)
    return nn.Sequential(nn.Linear(3, 5), norm, nn.ELU(), nn.Linear(5, 2)).eval()


POLICIES: dict[str, Policy] = {
    "open_loop": OpenLoop(4, 2),
    "linear": Network((3, 2), bias=False),
    "affine": Network((3, 2)),
    "mlp": Network((3, 7, 5, 2)),
    "state_dependent": Network((3, 7, 5, 2), log_std=True),
    "module": ModulePolicy(partial(Mine, 2), 3, 2),
    "module, normalised": ModulePolicy(normalised, 3, 2),
    "module, state_dependent": ModulePolicy(partial(Mine, 2), 3, 2, log_std=True),
    **{activation: Network((3, 7, 5, 2), activation=activation) for activation in ACTIVATIONS if activation != "tanh"},
}
POLICIES |= {f"{name}, learned": LearnedStd(POLICIES[name]) for name in ("open_loop", "mlp", "elu", "module")}


def signal_through_autograd(policy: Policy, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
    """`grad of sum_t <output_theta(o_t), delta_t>`, a pass of torch's autograd for every trajectory."""
    batches, samples, horizon = signal.shape[:3]
    found = torch.empty(batches, samples, policy.parameter_count).to(signal)
    for b, s in itertools.product(range(batches), range(samples)):
        theta = (parameters if parameters.dim() == 1 else parameters[b]).clone().requires_grad_()
        outputs = torch.cat([policy.output(theta, observations[b, s, t][None], t) for t in range(horizon)])
        (found[b, s],) = torch.autograd.grad((outputs * signal[b, s]).sum(), theta)
    return found


def _signal(policy: Policy) -> Tensor:
    return randn(3, 5, 4, policy.output_dim, seed=3)


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_pull_back_is_the_derivative_of_the_policy(kind: str, population: bool) -> None:
    policy, batches, samples, horizon = POLICIES[kind], 3, 5, 4
    shape = (batches, policy.parameter_count) if population else (policy.parameter_count,)
    parameters = randn(*shape, seed=1)
    observations, signal = randn(batches, samples, horizon, 3, seed=2), _signal(policy)
    expected = signal_through_autograd(policy, parameters, observations, signal)
    inputs = layer_inputs(policy, parameters, observations)
    signals = policy.layer_signals(parameters, inputs, signal)
    found = policy.pull_back(parameters, inputs, signals)
    assert found.shape == (batches, samples, policy.parameter_count)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    mean = policy.pull_back_mean(parameters, inputs, signals)
    torch.testing.assert_close(mean, expected.mean(1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_variances_of_steps_are_those_of_pulling_back_one_step(kind: str, population: bool) -> None:
    policy: Policy = POLICIES[kind]
    parameters = randn(*((3,) if population else ()), policy.parameter_count, seed=1)
    observations, signal = randn(3, 5, 4, 3, seed=2), _signal(policy)
    inputs, expected = layer_inputs(policy, parameters, observations), []
    for t in range(4):
        only = torch.zeros_like(signal)
        only[:, :, t] = signal[:, :, t]
        expected.append(
            policy.pull_back(parameters, inputs, policy.layer_signals(parameters, inputs, only)).var(1).sum(-1)
        )
    found = policy.step_trace_variances(parameters, inputs, policy.layer_signals(parameters, inputs, signal))
    torch.testing.assert_close(found, torch.stack(expected, -1), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_signals_go_back_to_observations(kind: str, population: bool) -> None:
    policy = POLICIES[kind]
    parameters = randn(*((3,) if population else ()), policy.parameter_count, seed=1)
    observations, signal = randn(3, 5, 4, 3, seed=2).requires_grad_(), _signal(policy)
    function = policy.function(parameters)
    outputs = torch.stack([function(observations[:, :, t], t)[-1] for t in range(4)], 2)
    (expected,) = torch.autograd.grad((outputs * signal).sum() + 0 * observations.sum(), observations)
    inputs = layer_inputs(policy, parameters, observations.detach())
    signals = policy.layer_signals(parameters, inputs, signal)
    found = policy.observation_gradient(parameters, inputs, signals)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_policys_own_standard_deviation_starts_near_the_noise_level() -> None:
    generator = np.random.default_rng(3)
    for policy in (POLICIES["mlp, learned"], Network((3, 32, 32, 4), log_std=True)):
        log_std = policy.split(policy.output(policy.initial_parameters(generator), randn(64, 3, seed=4), 0))[1]
        assert log_std is not None
        assert log_std.abs().max() < 0.5
    with pytest.raises(ValueError, match="two outputs for each action coordinate, got 3"):
        Network((3, 3), log_std=True)
    with pytest.raises(ValueError, match=r"activation must be one of tanh, relu.* got 'rleu'"):
        Network((3, 4, 2), activation="rleu")
