"""Fitted critics: exact where what they fit is quadratic."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from tests.helpers.problems import at, earlier, matrix_lqr, noise, simulator
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.step import Step
from scorepath.estimators.deterministic_policy_gradient import DeterministicPolicyGradient
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.short_horizon_value import ShortHorizonValue
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("window", [1, 2, 4])
def test_an_exact_value_bridges_every_cut(window: int) -> None:
    """Without any noise but the start's, G_t is quadratic in o_t: the fitted value is exact, and so is the signal."""
    environment = matrix_lqr(horizon=5, process_noise=0.0)
    start, draws = simulator(environment, sigma=0.0), noise(environment)
    past = earlier(start)
    _, expected = Pathwise().signal(start, draws)
    _, found = ShortHorizonValue(window=window, ridge=1e-13).signal(start, draws, past)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    _, without = TruncatedPathwise(window=window).signal(start, draws)
    assert not torch.allclose(without, expected, rtol=0.1)
    _, first = ShortHorizonValue(window=window).signal(start, draws)
    assert torch.equal(first, without)


def test_a_critic_learns_the_last_step_exactly() -> None:
    """After the last action nothing random is left: G is quadratic in (o, a), and dQ/da is the pathwise signal."""
    environment = matrix_lqr(horizon=3, process_noise=0.0)
    start, draws = simulator(environment), noise(environment)
    _, expected = Pathwise().signal(start, draws)
    _, found = DeterministicPolicyGradient(ridge=1e-13).signal(start, draws, earlier(start))
    torch.testing.assert_close(found[:, :, -1], expected[:, :, -1], rtol=1e-7, atol=1e-7)


def critic_at_quantiles(environment: Environment, past_mean: float, mean: float, sigma: float) -> float:
    """The mean slope of the critic of one decision, past and present noise at 2^14 quantiles of the normal."""
    nodes = 2**14
    eps = torch.special.ndtri((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes).reshape(1, nodes, 1, 1)
    draws = noise(environment, 1, nodes)
    draws.__dict__["rollout"] = draws.rollout._replace(action=eps)
    now, before = (at(environment, m, sigma) for m in (mean, past_mean))
    found = DeterministicPolicyGradient(ridge=1e-13)
    return gradients(found, now, draws, before.rollout(draws.rollout)).mean().item()


@pytest.mark.parametrize("environment", [Cosine(frequency=2.0, phase=1.5), Step()], ids=["cosine", "step"])
def test_quadratic_features_are_compatible_with_an_open_loop_policy(environment: Environment) -> None:
    """Least squares over all actions gives the mean slope of any return, jumps included; over other actions it errs."""
    gradient = exact_reference(at(environment, 0.25, 0.5)).gradient.item()
    assert critic_at_quantiles(environment, 0.25, 0.25, 0.5) == pytest.approx(gradient, rel=1e-3)
    assert critic_at_quantiles(environment, -0.5, 0.25, 0.5) != pytest.approx(gradient, rel=0.05)


def test_without_earlier_trajectories_there_is_no_critic() -> None:
    environment = LQR(horizon=3)
    _, signal = DeterministicPolicyGradient().signal(simulator(environment), noise(environment))
    assert (signal == 0).all()


class Undifferentiable(LQR):
    """An LQR from a simulator without derivatives."""

    source: ClassVar[str] = "test"
    differentiable: ClassVar[bool] = False

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state.detach(), action.detach(), process_noise)
        return next_state.detach(), reward.detach()


def test_a_critic_needs_no_derivative_of_the_simulator() -> None:
    found, signals = DeterministicPolicyGradient(), []
    for environment in (LQR(horizon=3), Undifferentiable(horizon=3)):
        assert found.not_applicable(environment, 0.3) is None
        start = simulator(environment)
        signals.append(found.signal(start, noise(environment), earlier(start))[1])
    assert torch.equal(*signals)
    assert Pathwise().not_applicable(Undifferentiable(), 0.3) is not None
    assert found.not_applicable(LQR(), 0.0) == "without action noise no critic learns what actions do"
