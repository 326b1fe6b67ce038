"""Estimators that branch, and those for discrete actions, against exact expectations.

Expectations are sums over every history or over quadrature nodes, so nothing here has a false-alarm rate.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from tests.helpers.problems import at, label, noise, quadratic, simulator
from tests.helpers.rules import listed
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.estimators._branching import Branching
from scorepath.estimators.all_action import AllAction
from scorepath.estimators.base import ActionSignalEstimator, Estimator
from scorepath.estimators.categorical_measure_valued import CategoricalMeasureValued
from scorepath.estimators.gumbel_softmax import GumbelSoftmax
from scorepath.estimators.measure_valued import MeasureValued
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.straight_through import StraightThrough
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class Bandit(TabularEnvironment):
    """One choice between rewards 0, 1 and 3."""

    source: ClassVar[str] = "test"
    slips: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2, 0),)
    state_dim: ClassVar[int] = 1
    start: ClassVar[int] = 0

    horizon: int = 1
    slip: float = 0.0

    def destinations(self) -> Tensor:
        return torch.zeros(3, 1, dtype=torch.long)

    def move_rewards(self) -> Tensor:
        return torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)


SMALL: list[TabularEnvironment] = [
    Bandit(),
    Chain(states=3, horizon=3, slip=0.3, left_reward=0.4, discount=0.8),
    Grid(rows=2, columns=2, horizon=2, slip=0.3, discount=0.8),
    Grid(rows=2, columns=3, horizon=2, slip=0.3, cliff=True, discount=0.8),
]
SIGMA = 0.7


# --- unbiased: sums over every history ----------------------------------------------------------------------------


def expectation(estimator: ActionSignalEstimator, start: Simulator) -> Tensor:
    """The expected gradient of each batch, (batches, P): over first and second choices, slips and branching steps.

    For an open-loop policy, whose logits are the same in every branch. Choices are forced by Gumbel noise 20 apart; how
    likely they are is then read off the rollout: by Plackett and Luce the best and the second best of the perturbed
    logits are a and b with probability `pi_a pi_b / (1 - pi_a)`.
    """
    environment = start.environment
    assert isinstance(environment, TabularEnvironment)
    horizon, count, alternatives = environment.horizon, environment.action_dim, len(environment.slips)
    shares = [environment.slip / alternatives] * alternatives + [1 - environment.slip]
    outcomes = torch.tensor(shares, dtype=torch.float64)
    middles = outcomes.cumsum(0) - outcomes / 2
    history = itertools.product(
        itertools.product(itertools.permutations(range(count), 2), repeat=horizon),
        itertools.product(outcomes.nonzero()[:, 0].tolist(), repeat=horizon),
        range(horizon),
    )
    rankings, slips, steps = (torch.tensor(values) for values in zip(*history, strict=True))
    gumbel = 40.0 * torch.nn.functional.one_hot(rankings[..., 0], count)
    gumbel = gumbel + 20.0 * torch.nn.functional.one_hot(rankings[..., 1], count)
    draws = listed(
        environment,
        len(start.parameters),
        action=torch.exp(-gumbel.double()),
        process=torch.special.ndtri(middles[slips])[..., None],
        branch_step=(steps[:, None] + 0.5) / horizon,
    )
    chosen = start.rollout(draws.rollout).choice_probabilities
    assert chosen is not None
    first, second = (chosen.take_along_dim(rankings[None, :, :, k, None], -1)[..., 0] for k in (0, 1))
    weights = (first * second / (1 - first)).prod(-1) * outcomes[slips].prod(-1) / horizon
    torch.testing.assert_close(weights.sum(1), torch.ones(len(start.parameters), dtype=torch.float64))
    return (weights[..., None] * gradients(estimator, start, draws)).sum(1)


@pytest.mark.parametrize("environment", SMALL, ids=label)
@pytest.mark.parametrize("estimator", [Reinforce(), AllAction(), CategoricalMeasureValued()], ids=label)
def test_the_mean_over_every_history_is_the_exact_gradient(
    estimator: ActionSignalEstimator, environment: TabularEnvironment
) -> None:
    start = simulator(environment, SIGMA, batches=2, kind="open_loop")
    exact = [exact_reference(replace(start, parameters=theta)).gradient for theta in start.parameters]
    assert min(gradient.norm() for gradient in exact) > 0.01
    torch.testing.assert_close(expectation(estimator, start), torch.stack(exact), rtol=1e-11, atol=1e-13)


def test_all_actions_leave_nothing_to_chance_in_a_single_choice() -> None:
    start = simulator(Bandit(), SIGMA)
    exact = exact_reference(start).gradient
    found = gradients(AllAction(), start, noise(Bandit(), 2, 50))
    torch.testing.assert_close(found, exact.expand_as(found), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("batches", [0, 3], ids=["shared", "population"])
def test_of_two_actions_the_measure_valued_signal_is_the_all_action_signal(batches: int) -> None:
    environment = Chain(horizon=5)
    start, draws = simulator(environment, SIGMA, batches=batches), noise(environment, 3, 50)
    (_, one), (_, two) = AllAction().signal(start, draws), CategoricalMeasureValued().signal(start, draws)
    assert one.abs().max() > 0.01
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)
    assert CategoricalMeasureValued().identical_to(environment, SIGMA) == "all_action"
    # of more actions they differ, though not in the mean: see above
    (_, one), (_, two) = (
        found.signal(simulator(Grid(), SIGMA), noise(Grid(), 2, 50))
        for found in (AllAction(), CategoricalMeasureValued())
    )
    assert not torch.allclose(one, two)
    assert CategoricalMeasureValued().identical_to(Grid(), SIGMA) is None


# --- branches ---------------------------------------------------------------------------------------------------------


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
    start, draws = simulator(environment, SIGMA, batches=batches), noise(environment, 2, 50)
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
    start, draws = simulator(environment, SIGMA), noise(environment, 2, 50)
    branching = Branching.at_random_steps(start, draws)
    action = draws.rollout.action.clone()
    for batch, sample, step in branching.at_step.nonzero().tolist():
        action[batch, sample, step, 1] = 2.5
    expected = start.rollout(draws.rollout._replace(action=action)).returns
    assert torch.equal(branching.returns(1, 2.5), expected)


# --- measure-valued: coupled or not -------------------------------------------------------------------------------


def rayleigh_rule() -> tuple[Tensor, Tensor]:
    """Nodes and weights for the density `rho exp(-rho^2 / 2)`."""
    x, w = np.polynomial.legendre.leggauss(60)
    rho = torch.tensor(6 * (x + 1))
    return rho, torch.tensor(6 * w) * rho * torch.exp(-rho.square() / 2)


@pytest.mark.parametrize("distance", [0.0, 0.3, 0.7, 0.8, 2.0])
def test_coupling_hurts_far_from_the_optimum_of_a_quadratic(distance: float) -> None:
    """d = mu - k: variances d^2 (16 / pi - 4) coupled and d^2 (8 / pi - 2) + 4 sigma^2 / pi not, per coordinate."""
    sigma = 0.5
    start = quadratic(distance, sigma, dimension=2)
    rho, weight = rayleigh_rule()
    above, below = torch.cartesian_prod(rho, rho).T
    weights = torch.outer(weight, weight).flatten()
    draws = listed(
        start.environment,
        1,
        action=torch.tensor([0.4, -1.3]),
        branch_step=torch.tensor([[0.5]]),
        branch_distance=above.square()[:, None] / 2,  # exponential variates
        branch_distance_below=below.square()[:, None] / 2,
    )
    variances = {}
    for coupled in (True, False):
        signal = MeasureValued(coupled=coupled).signal(start, draws)[1][0, :, 0]
        mean = weights @ signal
        torch.testing.assert_close(mean, torch.full((2,), -2 * distance, dtype=torch.float64), rtol=1e-9, atol=1e-9)
        variances[coupled] = (weights @ (signal - mean).square()).tolist()
    independent = distance**2 * (8 / math.pi - 2) + 4 * sigma**2 / math.pi
    assert variances[True] == pytest.approx([distance**2 * (16 / math.pi - 4)] * 2, rel=1e-9, abs=1e-9)
    assert variances[False] == pytest.approx([independent] * 2, rel=1e-9)
    assert (variances[True] > variances[False]) == (distance > math.sqrt(2 / (4 - math.pi)) * sigma)


# --- relaxations --------------------------------------------------------------------------------------------------

RELAXED: list[GumbelSoftmax | StraightThrough] = [GumbelSoftmax(temperature=0.6), StraightThrough(temperature=0.6)]
SEQUENTIAL = [Chain(states=4, horizon=4, slip=0.3, discount=0.8, reward_noise=0.2), Grid(horizon=4, cliff=True)]


@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_straight_through_simulates_the_choices(environment: Environment, dtype: torch.dtype, batches: int) -> None:
    start, draws = simulator(environment, SIGMA, batches=batches), noise(environment, 2, 50, dtype=dtype)
    hard, (found, _) = start.rollout(draws.rollout), StraightThrough().signal(start, draws)
    for name in ("actions", "observations", "rewards", "active"):
        left, right = getattr(found, name), getattr(hard, name)
        assert (left is None and right is None) or torch.equal(left, right)


@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_gumbel_softmax_simulates_choices_at_low_temperature(environment: Environment) -> None:
    start, draws = simulator(environment, SIGMA, batches=2), noise(environment, 2, 50)
    hard = start.rollout(draws.rollout).returns
    distances = {}
    for temperature in (1.0, 0.1, 1e-6):
        trajectories, _ = GumbelSoftmax(temperature=temperature).signal(start, draws)
        distances[temperature] = (trajectories.returns - hard).abs().mean().item()
    assert distances[1.0] > 0.01
    assert distances[0.1] < distances[1.0] / 2
    assert distances[1e-6] < 1e-9  # none of these 100 × 4 choices is nearly a tie


@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
@pytest.mark.parametrize("estimator", RELAXED, ids=label)
def test_relaxed_gradients_are_those_of_the_parameters(
    estimator: GumbelSoftmax | StraightThrough, environment: Environment, batches: int
) -> None:
    """Signal plus pull-back against torch's reverse mode through the parameters."""
    start, draws = simulator(environment, SIGMA, batches=batches), noise(environment, 2, 50)
    parameters = start.parameters.clone().requires_grad_()
    tracked = replace(start, parameters=parameters)
    returns = tracked.rollout(draws.rollout, differentiable=True, relax=estimator.relax).returns
    (expected,) = torch.autograd.grad(returns.sum() / 50, parameters)
    found, _ = estimator.estimate(start, draws)
    torch.testing.assert_close(found if batches else found.sum(0), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_gumbel_softmax_signals_are_finite_differences(environment: Environment) -> None:
    """Of the relaxed return by each logit: later choices and states answer."""
    start, draws, step = simulator(environment, SIGMA), noise(environment, 1, 6), 1e-6
    estimator = GumbelSoftmax(temperature=0.6)
    _, signal = estimator.signal(start, draws)
    assert signal.abs().amax((0, 1, 3)).min() > 1e-3
    for t, choice in itertools.product(range(environment.horizon), range(environment.action_dim)):
        ends = []
        for sign in (1, -1):
            action = draws.rollout.action.clone()
            action[..., t, choice] += sign * step / start.sigma
            ends.append(start.rollout(draws.rollout._replace(action=action), relax=estimator.relax).returns)
        torch.testing.assert_close((ends[0] - ends[1]) / (2 * step), signal[..., t, choice], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("estimator", RELAXED, ids=label)
def test_the_derivative_of_a_single_choice_is_that_of_a_softmax(estimator: GumbelSoftmax | StraightThrough) -> None:
    """`s_k (r_k - s . r) / (sigma temperature)` with s the relaxed choice: where rewards are linear both agree."""
    start, draws = simulator(Bandit(), SIGMA), noise(Bandit(), 2, 50)
    _, signal = estimator.signal(start, draws)
    rewards = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    soft = torch.softmax((start.parameters / SIGMA + draws.rollout.action) / 0.6, -1)
    expected = soft * (rewards - (soft @ rewards)[..., None]) / (SIGMA * 0.6)
    torch.testing.assert_close(signal, expected, rtol=1e-11, atol=1e-13)


def test_the_bias_of_gumbel_softmax_vanishes_with_its_temperature() -> None:
    """Of two actions only the difference of their Gumbel noise matters, and that is logistic: a midpoint rule."""
    environment = Chain(states=2, start=0, horizon=1, slip=0.0)
    start = simulator(environment, SIGMA, batches=2)
    uniform = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    exponentials = torch.stack([(1 - uniform) / uniform, torch.ones_like(uniform)], -1)[:, None]
    draws = listed(environment, 2, action=exponentials, process=torch.zeros(1))
    exact = [exact_reference(replace(start, parameters=theta)).gradient for theta in start.parameters]
    biases = []
    for temperature in (1.0, 0.1, 0.01):
        found, _ = GumbelSoftmax(temperature=temperature).estimate(start, draws)
        biases.append(((found - torch.stack(exact)).norm(dim=-1) / torch.stack(exact).norm(dim=-1)).tolist())
    for large, medium, small in zip(*biases, strict=True):
        assert 0.05 < large < 1
        assert small < medium / 50 < large / 1000


# --- declarations -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rigid(Chain):
    relaxed_actions: ClassVar[bool] = False


@pytest.mark.parametrize(
    "estimator", [AllAction(), CategoricalMeasureValued(), GumbelSoftmax(), StraightThrough()], ids=label
)
def test_where_they_do_not_apply(estimator: Estimator) -> None:
    assert estimator.not_applicable(LQR(), 0.3) == "actions are continuous"
    assert estimator.not_applicable(Chain(), 0.3) is None
    assert "without action noise" in (estimator.not_applicable(Chain(), 0.0) or "")
    relaxes = estimator in (GumbelSoftmax(), StraightThrough())
    assert estimator.not_applicable(Rigid(), 0.3) == ("no relaxation of discrete actions" if relaxes else None)
    assert estimator.unbiased(Chain()) == (not relaxes)


@pytest.mark.parametrize("method", [GumbelSoftmax, StraightThrough])
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_impossible_temperatures_are_named(method: type[GumbelSoftmax | StraightThrough], temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^temperature must be positive"):
        method(temperature=temperature)
