"""Mixtures against their parents, their formulas and exact expectations; nothing here has a false-alarm rate.

A batch whose noise are the nodes of a quadrature rule has exact expectations; one whose noise are normal quantiles has
nearly the variances of the normal law.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from scipy import stats
from tests.helpers.comparisons import assert_close
from tests.helpers.ending_episodes import Fall
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import (
    DIFFERENTIABLE,
    MATRIX_LQR,
    SAMPLES,
    matrix_lqr,
    noise,
    quadratic,
    randn,
    simulator,
    system,
)
from tests.helpers.rules import as_rollout, gauss_hermite, normals, quantiles
from torch import Tensor

from scorepath import pullback, registry
from scorepath.adjoint import linearise
from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.estimators._mixture import Mixture, inverse_variance_weight, sweep
from scorepath.estimators.alpha_order import AlphaOrder
from scorepath.estimators.discontinuity_switch import DiscontinuitySwitch
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.leave_one_out import LeaveOneOut, leave_one_out_credit
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.estimators.total_propagation_state import TotalPropagationState
from scorepath.noise import RolloutNoise
from scorepath.policies import Network, OpenLoop, Policy
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

MIXTURES: list[type[Mixture]] = [
    InverseVariance,
    PerStepInverseVariance,
    TotalPropagation,
    TotalPropagationState,
    DiscontinuitySwitch,
]


# --- variances of single steps ------------------------------------------------------------------------------------


POLICIES = {
    "open_loop": OpenLoop(4, 2),
    "linear": Network((3, 2), bias=False),
    "affine": Network((3, 2)),
    "mlp": Network((3, 7, 5, 2)),
}


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


@pytest.mark.parametrize("kind", ["open_loop", "mlp"])
def test_variances_of_some_steps_in_chunks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal on steps 1 and 2 alone, of episodes that end, in one chunk or in many."""
    start = simulator(MATRIX_LQR, kind=kind, batches=3)
    trajectories = start.rollout(noise(MATRIX_LQR, samples=5).rollout)
    active = torch.arange(4) < torch.tensor([4, 1, 3, 2, 4])[:, None]
    trajectories = replace(trajectories, active=active.expand(3, -1, -1))
    signal = randn(3, 5, 2, 2, seed=3)
    ended = signal * active[:, 1:3, None]
    inputs = layer_inputs(start.policy, start.parameters, trajectories.observations[:, :, 1:3])
    signals = start.policy.layer_signals(start.parameters, inputs, ended)
    expected = start.policy.step_trace_variances(inputs, signals)
    assert_close(pullback.step_trace_variances(trajectories, signal, 1), expected)
    monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", 1)
    assert_close(pullback.step_trace_variances(trajectories, signal, 1), expected)


# --- the backward recursion ---------------------------------------------------------------------------------------


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
    for at, rival in (("action", score), ("state", of_state)):
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
    points, probabilities = gauss_hermite(5, normals(environment))
    draws = as_rollout(environment, points)
    trajectories, (steps,) = linearise(start, draws)
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


# --- weights ------------------------------------------------------------------------------------------------------


def trace_covariance(one: Tensor, two: Tensor) -> Tensor:
    """Of per-trajectory gradients (batches, N, P), by the definition: (batches,)."""
    products = (one - one.mean(1, keepdim=True)) * (two - two.mean(1, keepdim=True))
    return products.sum((1, 2)) / (one.shape[1] - 1)


@pytest.mark.parametrize("found", [InverseVariance(), InverseVariance(covariance=True)], ids=["marginal", "covariance"])
def test_global_weights_are_their_formula(found: InverseVariance) -> None:
    start, draws = simulator(MATRIX_LQR, kind="mlp"), noise(MATRIX_LQR, samples=30)
    pathwise, score = (gradients(parent, start, draws) for parent in (Pathwise(), LeaveOneOut()))
    v1, v0, c = trace_covariance(pathwise, pathwise), trace_covariance(score, score), trace_covariance(score, pathwise)
    k = (v0 - c) / (v0 + v1 - 2 * c) if found.covariance else v0 / (v0 + v1)
    mixed = gradients(found, start, draws)
    k = k[:, None, None]
    torch.testing.assert_close(mixed, k * pathwise + (1 - k) * score, rtol=1e-9, atol=1e-9)
    if found.covariance:  # no other weight has less variance on this batch
        best = trace_covariance(mixed, mixed)
        for shift in (-0.01, 0.01):
            other = mixed + shift * (pathwise - score)
            assert (trace_covariance(other, other) > best).all()


def test_per_step_weights_are_their_formula() -> None:
    start, draws = simulator(MATRIX_LQR, kind="mlp"), noise(MATRIX_LQR, samples=30)
    trajectories, pathwise = Pathwise().signal(start, draws)
    trajectories, score = LeaveOneOut().signal(start, draws)
    expected = torch.empty(3, 4, dtype=torch.float64)
    for t in range(4):
        only = torch.zeros_like(score)
        only[:, :, t] = 1
        v1, v0 = (pullback.trace_variances(trajectories, only * each) for each in (pathwise, score))
        expected[:, t] = v0 / (v0 + v1)
    _, signal, weights = PerStepInverseVariance().mix(start, draws.rollout)
    assert_close(weights, expected)
    k = expected[:, None, :, None]
    assert_close(signal, k * pathwise + (1 - k) * score)


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
        candidates = tuple((each @ control).unsqueeze(2) for each in (-2 * environment.terminal_cost * state, score))
    variances = []
    for each in candidates:
        last = torch.zeros_like(pathwise)
        last[:, :, 1] = each[:, :, -1]
        variances.append(pullback.trace_variances(trajectories.detach(), last))
    _, _, weights = kind().mix(start, draws.rollout)
    torch.testing.assert_close(weights[:, 1], inverse_variance_weight(*variances), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", [PerStepInverseVariance, TotalPropagation])
def test_with_one_decision_all_forms_are_one(kind: type[Mixture]) -> None:
    environment = Quadratic(dimension=3)
    start, draws = simulator(environment), noise(environment)
    assert kind().identical_to(environment, start.sigma) == "inverse_variance"
    found, expected = (gradients(each, start, draws) for each in (kind(), InverseVariance()))
    assert_close(found, expected)


@pytest.mark.parametrize("kind", MIXTURES)
def test_weights_of_an_independent_batch_do_not_depend_on_what_they_weigh(kind: type[Mixture]) -> None:
    environment = LQR(horizon=3, process_noise=0.3)
    start = simulator(environment, batches=3)
    used: list[Tensor] = []

    class Spy(kind):  # type: ignore[misc, valid-type]
        def mix(self, simulator: Simulator, draws: RolloutNoise, weights: Tensor | None = None) -> Any:
            found = super().mix(simulator, draws, weights)
            if weights is not None:
                used.append(found[2])
            return found

    signals = []
    for purpose in ("mixtures", "others"):
        draws = noise(environment)
        draws.__dict__["rollout"] = noise(environment, purpose=purpose).rollout
        signals.append(Spy(weights="independent_batch").signal(start, draws)[1])
    assert not torch.equal(*signals)
    assert torch.equal(*used)
    own = kind().mix(start, noise(environment).rollout)[2]
    assert own.shape == used[0].shape
    if kind is not DiscontinuitySwitch:
        assert not torch.allclose(own, used[0], atol=1e-3)


@pytest.mark.parametrize("found", [InverseVariance(), InverseVariance(covariance=True), PerStepInverseVariance()])
def test_parents_without_spread_share_equally(found: Mixture) -> None:
    environment = Step(edge=100.0)  # never reached: both parents are zero
    start, draws = simulator(environment), noise(environment)
    _, signal, weights = found.mix(start, draws.rollout)
    assert (weights == 0.5).all()
    assert (signal == 0).all()


# --- what mixing can gain -----------------------------------------------------------------------------------------


def test_independent_parents_reach_the_harmonic_variance() -> None:
    """V_0 V_1 / (V_0 + V_1), exactly: in all pairs of two samples the two are uncorrelated."""
    one, two = randn(1, 40, 3, seed=1), 3 * randn(1, 30, 3, seed=2)
    v1, v0 = (each.var(1, correction=0).sum(-1) for each in (one, two))
    k = inverse_variance_weight(v1, v0)
    pairs = (k * one[:, :, None] + (1 - k) * two[:, None]).flatten(1, 2)
    torch.testing.assert_close(pairs.var(1, correction=0).sum(-1), v0 * v1 / (v0 + v1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("baseline", "score_variance", "covariance", "marginal", "aware"),
    [(0.0, 30.0, 8.0, 1500 / 289, 28 / 9), (-2.0, 18.0, 4.0, 540 / 121, 4.0), (-4.0, 14.0, 0.0, 28 / 9, 28 / 9)],
    ids=["none", "mean", "optimal"],
)
def test_marginal_weights_of_one_rollout_can_lose_to_pathwise(
    baseline: float, score_variance: float, covariance: float, marginal: float, aware: float
) -> None:
    """The quadratic at d = sigma = 1, where pathwise has variance 4: 5.2 without a baseline, 4.5 with the mean."""
    start = quadratic(distance=-1.0, sigma=1.0)
    environment = start.environment
    points, probabilities = gauss_hermite(8, normals(environment))
    draws = as_rollout(environment, points)
    trajectories = start.rollout(draws, differentiable=True)
    pathwise = trajectories.action_gradient(trajectories.returns).flatten()
    score = ((trajectories.returns.detach() - baseline)[..., None, None] * trajectories.score).flatten()

    def moment(one: Tensor, two: Tensor) -> float:
        return (probabilities @ (one * two) - (probabilities @ one) * (probabilities @ two)).item()

    v1, v0, c = moment(pathwise, pathwise), moment(score, score), moment(score, pathwise)
    assert (v1, v0, c) == pytest.approx((4.0, score_variance, covariance), abs=1e-9)
    for k, expected in ((v0 / (v0 + v1), marginal), ((v0 - c) / (v0 + v1 - 2 * c), aware)):
        mixed = k * pathwise + (1 - k) * score
        assert moment(mixed, mixed) == pytest.approx(expected, rel=1e-9)


def test_with_the_mean_baseline_covariance_aware_weights_leave_pathwise_alone() -> None:
    """At d = sigma = 1 and the batch's mean as baseline, C = V_pathwise: k is 1 where marginal weights say 18 / 22."""
    start = quadratic(distance=-1.0, sigma=1.0)
    environment = start.environment
    draws = quantiles(environment, 2**16)
    for found, weight, variance in (
        (InverseVariance(), 18 / 22, 540 / 121),
        (InverseVariance(covariance=True), 1.0, 4.0),
    ):
        trajectories, signal, weights = found.mix(start, draws)
        assert weights.item() == pytest.approx(weight, abs=2e-3)
        assert pullback.trace_variances(trajectories, signal).item() == pytest.approx(variance, rel=5e-3)


# --- alpha order --------------------------------------------------------------------------------------------------


def batch_with(mean: float, variance: float, samples: int = 50) -> Tensor:
    """One parameter, a batch of exactly this mean and sample variance."""
    rows = randn(1, samples, 1, seed=samples)
    return mean + (rows - rows.mean()) / rows.std() * variance**0.5


def test_alpha_order_keeps_caps_or_drops_alpha() -> None:
    zeroth, first = batch_with(1.0, 9.0, 400), batch_with(3.0, 1.0, 400)
    odds = math.log(2 / 0.05)
    error = math.sqrt(2 * 9.0 * odds / 400) + 2 * 0.5 * odds / (3 * 400)
    assert 0.4 < error < 0.45
    for threshold, alpha in ((3.0, 0.9), (1.0, (1.0 - error) / 2), (0.4, 0.0), (0.9 * 2 + error + 1e-9, 0.9)):
        found = AlphaOrder(threshold=threshold, bound=0.5).weight(zeroth, first)
        assert found.item() == pytest.approx(alpha, abs=1e-9)
    # the published setting believes the score function more, and so allows a larger alpha
    published = AlphaOrder(threshold=1.0, bound=0.5, failure_probability=0.95).weight(zeroth, first).item()
    odds = math.log(2 / 0.95)
    error = math.sqrt(2 * 9.0 * odds / 400) + 2 * 0.5 * odds / (3 * 400)
    assert published == pytest.approx((1.0 - error) / 2)


def test_alpha_order_mixes_two_independent_batches() -> None:
    """On a step pathwise is zero; without a bound nothing is left, with one of 0 the score function is all there is."""
    environment = Step()
    start, draws = simulator(environment), noise(environment, samples=200)
    assert all((chunk == 0).all() for chunk in AlphaOrder(threshold=1e9).gradients(start, draws))
    (found,) = AlphaOrder(threshold=0.0).gradients(start, draws)
    zero_noise = registry.load(registry.ESTIMATORS, "zero_noise_baseline")()
    (dependent,) = zero_noise.gradients(start, draws)
    assert found.abs().sum() > 0
    assert not torch.allclose(found, dependent)
    assert set(found.flatten().sign().tolist()) <= {-1.0, 0.0, 1.0}
    assert AlphaOrder().environment_steps(LQR(horizon=7)) == 21


# --- the switch ---------------------------------------------------------------------------------------------------


def test_the_switch_is_one_of_its_parents() -> None:
    step, smooth = Step(), Quadratic(dimension=3)
    for environment, parent in ((step, LeaveOneOut()), (smooth, Pathwise())):
        start, draws = simulator(environment), noise(environment, samples=200)
        found, expected = (each.signal(start, draws)[1] for each in (DiscontinuitySwitch(), parent))
        assert torch.equal(found, expected)


@pytest.mark.parametrize("level", [0.05, 0.001])
@pytest.mark.parametrize("freedom", [1, 2, 5, 50])
def test_the_switch_fires_beyond_the_chi_square_quantile(freedom: int, level: float) -> None:
    """White differences in that many dimensions, with the mean just below and just above the threshold."""
    samples = 400
    rows = randn(samples, freedom)
    centred = torch.linalg.qr(rows - rows.mean(0)).Q * (samples - 1) ** 0.5
    assert torch.allclose(torch.cov(centred.mT), torch.eye(freedom, dtype=torch.float64))
    critical = stats.chi2.isf(level, freedom)
    for factor, fires in ((0.96, False), (1.04, True)):
        shift = math.sqrt(factor * critical / samples)
        differences = centred.clone()
        differences[:, 0] += shift
        assert DiscontinuitySwitch(level=level).fires(differences[None]).item() is fires
        # more parameters than samples, all of them without effect: the other way to the same covariance
        padded = torch.cat([differences, torch.zeros(samples, samples)], -1)
        assert DiscontinuitySwitch(level=level).fires(padded[None]).item() is fires


# --- declarations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MIXTURES)
def test_mixtures_declare_what_their_weights_cost_and_promise(kind: type[Mixture]) -> None:
    same, independent = kind(), kind(weights="independent_batch")
    environment = LQR(horizon=7)
    assert (same.environment_steps(environment), independent.environment_steps(environment)) == (7, 14)
    assert not same.unbiased(environment)
    assert independent.unbiased(environment)
    assert not independent.unbiased(Step())
    assert {"weights": "independent_batch"} in kind.variants


@pytest.mark.parametrize(
    ("make", "message"),
    [
        *(
            (lambda kind=kind: kind(weights="same"), "weights must be same_batch or independent_batch")
            for kind in MIXTURES
        ),
        (lambda: DiscontinuitySwitch(level=1.0), "level must lie in"),
        (lambda: AlphaOrder(threshold=-1.0), "threshold must not be negative"),
        (lambda: AlphaOrder(failure_probability=1.0), "failure_probability must lie in"),
        (lambda: AlphaOrder(bound=float("nan")), "bound must not be negative"),
    ],
)
def test_options_that_mean_nothing_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_mixing_at_the_state_needs_noise_on_the_whole_state() -> None:
    found = TotalPropagationState()
    assert found.not_applicable(LQR(process_noise=0.1), 0.3) is None
    assert found.not_applicable(LQR(process_noise=0.1), 0.0) is None
    for environment in (LQR(process_noise=0.0), Pendulum(process_noise=0.1), Quadratic()):
        assert found.not_applicable(environment, 0.3) == "no additive noise on the whole state"


@pytest.mark.parametrize("family", registry.names(registry.ENVIRONMENTS))
def test_additive_noise_is_added_as_it_is(family: str) -> None:
    kind = registry.load(registry.ENVIRONMENTS, family)
    for knobs in ({}, *kind.variants):
        environment = kind(**knobs)
        if (std := environment.additive_state_noise) == 0:
            continue
        state, action = randn(6, environment.state_dim), randn(6, environment.action_dim, seed=1)
        process = randn(6, environment.process_noise_dim, seed=2)
        moved, _ = environment.step(state, action, process)
        still, _ = environment.step(state, action, torch.zeros_like(process))
        assert_close(moved - still, std * process)
