"""Total propagation: its backward recursion against both parents and by hand, and its exact expectation."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.ending_episodes import Fall
from tests.helpers.problems import DIFFERENTIABLE, SAMPLES, matrix_lqr, noise, randn, simulator, system
from tests.helpers.rules import as_rollout, gauss_hermite, normals
from torch import Tensor

from scorepath import pullback
from scorepath.adjoint import Linearisation, linearise
from scorepath.environments.base import Environment
from scorepath.environments.lqr import LQR
from scorepath.estimators._mixture import Mixture, inverse_variance_weight, sweep
from scorepath.estimators.leave_one_out import LeaveOneOut, leave_one_out_credit
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize(("environment", "kind"), DIFFERENTIABLE, ids=system)
def test_the_recursion_has_both_parents_at_its_ends(environment: Environment, kind: str, population: bool) -> None:
    start, draws = simulator(environment, kind=kind, batches=3 * population), noise(environment)
    trajectories, (steps,) = linearise(start, draws.rollout)
    ones, zeros = torch.ones(3, environment.horizon), torch.zeros(3, environment.horizon)
    score = leave_one_out_credit(trajectories)[..., None] * trajectories.score
    of_state = randn(3, SAMPLES, environment.horizon, environment.state_dim)
    whole = start.rollout(draws.rollout, differentiable=True)
    pathwise = whole.action_gradient(whole.returns)
    rivals: dict[Literal["action", "state"], Tensor] = {"action": score, "state": of_state}
    for at, rival in rivals.items():
        found, weights = sweep(steps, at, rival, ones)
        assert_close(found, pathwise)
        assert torch.equal(weights, ones)
    found, _ = sweep(steps, "action", score, zeros)
    assert torch.equal(found, LeaveOneOut().signal(start, draws)[1])
    # estimators that are given their weights do the same
    for weights, expected in ((ones, pathwise), (zeros, score)):
        _, signal, _ = TotalPropagation().mix(start, draws.rollout, weights)
        assert_close(signal, expected)


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("estimator", [TotalPropagation(), TotalPropagationState()], ids=["action", "state"])
def test_total_propagation_of_some_batches_at_a_time(
    estimator: Mixture, population: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals and weights of a batch do not depend on the others; given weights go to the batches that are theirs."""
    environment = matrix_lqr(process_noise=0.3)
    start, draws = simulator(environment, kind="mlp", batches=3 * population), noise(environment).rollout
    _, *whole = estimator.mix(start, draws)
    monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", 1)
    for weights in (None, whole[1]):
        _, *parts = estimator.mix(start, draws, weights)
        for found, expected in zip(parts, whole, strict=True):
            assert_close(found, expected)


def test_mixing_only_the_last_step_reaches_earlier_steps_through_the_policy() -> None:
    """By hand: with k = (1, 1, 0) the earlier signals change by what the policy's answer to the state carries back."""
    environment = LQR(horizon=3, dynamics=((0.9,),), control=((0.5,),), discount=0.8)
    start, draws = simulator(environment), noise(environment)
    trajectories, (steps,) = linearise(start, draws.rollout)
    score = leave_one_out_credit(trajectories)[..., None] * trajectories.score
    weights = torch.tensor([[1.0, 1.0, 0.0]]).expand(3, -1)
    found, _ = sweep(steps, "action", score, weights)
    _, pathwise = Pathwise().signal(start, draws)
    gain = start.parameters.item()
    change = (score - pathwise)[:, :, 2]
    assert_close(found[:, :, 2], score[:, :, 2])
    assert_close(found[:, :, 1] - pathwise[:, :, 1], 0.5 * gain * change)
    closed_loop = 0.9 + 0.5 * gain
    assert_close(found[:, :, 0] - pathwise[:, :, 0], 0.5 * closed_loop * gain * change)


def test_after_an_end_there_is_no_score_to_carry_back() -> None:
    environment = Fall(horizon=3, initial_mean=0.5, terminal_cost=0.0)
    start, draws = simulator(environment, kind="linear"), noise(environment, samples=20)
    _, signal, _ = TotalPropagation().mix(start, draws.rollout, torch.tensor([[1.0, 1.0, 0.0]]).expand(3, -1))
    trajectories, pathwise = Pathwise().signal(start, draws)
    assert trajectories.active is not None
    ended = ~trajectories.active[:, :, 2]
    assert 0 < ended.sum() < 60
    assert_close(signal[ended], pathwise[ended])
    assert (signal != pathwise)[~ended].any()


def expectation(
    start: Simulator, at: Literal["action", "state"], weights: tuple[float, ...], change: float = 1.0
) -> Tensor:
    """Of the gradient with these weights and the constant baseline -2, without sampling.

    `change` multiplies what the state carries back.
    """
    environment = start.environment
    assert isinstance(environment, LQR)
    points, probabilities = gauss_hermite(5, normals(environment))
    draws = as_rollout(environment, points)
    trajectories, (steps,) = linearise(start, draws)
    assert isinstance(steps, Linearisation)
    steps = replace(steps, reward_by_state=change * steps.reward_by_state, next_by_state=change * steps.next_by_state)
    if at == "action":
        score = (trajectories.rewards_to_go + 2)[..., None] * trajectories.score
    else:
        terminal = environment.discount**environment.horizon * environment.terminal_reward(trajectories.states[-1])
        later = torch.cat([trajectories.rewards_to_go[..., 1:], terminal[..., None]], -1)
        score = (later + 2)[..., None] * draws.process / environment.process_noise
    signal, _ = sweep(steps, at, score, torch.tensor([weights]))
    return probabilities @ torch.cat(list(pullback.per_trajectory_gradients(trajectories, signal)))[0]


@pytest.mark.parametrize("weights", [(0.3, 0.8), (0.0, 1.0), (-0.5, 1.4)])
@pytest.mark.parametrize("at", ["action", "state"])
def test_total_propagation_is_unbiased_whatever_its_weights(
    at: Literal["action", "state"], weights: tuple[float, ...]
) -> None:
    environment = LQR(horizon=2, discount=0.8, initial_mean=0.4, terminal_cost=3.0, process_noise=0.3)
    start = simulator(environment, sigma=0.5)
    gradient = exact_reference(start).gradient
    torch.testing.assert_close(expectation(start, at, weights), gradient, rtol=1e-10, atol=1e-10)


def test_weighing_the_dynamics_too_is_wrong() -> None:
    """`lambda_t = ... k f_s^T ...` looks as natural, and the same expectation tells them apart."""
    environment = LQR(horizon=2, initial_mean=0.4, terminal_cost=3.0, process_noise=0.3)
    start = simulator(environment, sigma=0.5)
    gradient = exact_reference(start).gradient
    torch.testing.assert_close(expectation(start, "action", (0.5, 0.5)), gradient, rtol=1e-10, atol=1e-10)
    assert abs(expectation(start, "action", (0.5, 0.5), change=0.5) / gradient - 1).item() > 0.1


@pytest.mark.parametrize("kind", [TotalPropagation, TotalPropagationState])
def test_total_propagation_weighs_the_last_step_by_its_own_variances(kind: type[Mixture]) -> None:
    """The last step's candidates are plain: the pathwise signal (or its state part) and the score."""
    environment = matrix_lqr(horizon=2, discount=1.0, process_noise=0.3)
    start, draws = simulator(environment, kind="linear"), noise(environment, samples=30)
    trajectories, pathwise = Pathwise().signal(start, draws)
    if kind is TotalPropagation:
        candidates = (pathwise, leave_one_out_credit(trajectories.detach())[..., None] * trajectories.score)
    else:
        control = torch.tensor(environment.control, dtype=torch.float64)
        state = trajectories.observations[:, :, 1] @ torch.tensor(environment.dynamics, dtype=torch.float64).mT
        state = state + trajectories.actions[:, :, 1] @ control.mT + 0.3 * draws.rollout.process[:, :, 1]
        terminal = environment.terminal_reward(state)
        others = (terminal.sum(1, keepdim=True) - terminal) / 29
        score = (terminal - others)[..., None] * draws.rollout.process[:, :, 1] / 0.3
        slope = -2 * environment.terminal_cost * state
        candidates = (slope @ control).unsqueeze(2), (score @ control).unsqueeze(2)
    variances = []
    for each in candidates:
        last = torch.zeros_like(pathwise)
        last[:, :, 1] = each[:, :, -1]
        variances.append(pullback.trace_variances(trajectories.detach(), last))
    _, _, weights = kind().mix(start, draws.rollout)
    torch.testing.assert_close(weights[:, 1], inverse_variance_weight(*variances), rtol=1e-9, atol=1e-9)
