"""Score-function and parameter-space estimators against formulas for single samples: nothing here is left to chance."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, SAMPLES, SIGMA, earlier, generic_quadratic, noise, simulator
from torch import Tensor

from scorepath import registry
from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.estimators._perturbation import perturbed_returns
from scorepath.estimators.antithetic import Antithetic, mirrored
from scorepath.estimators.central_differences import CentralDifferences
from scorepath.estimators.evolution_strategies import EvolutionStrategies
from scorepath.estimators.generalised_advantage import GeneralisedAdvantage
from scorepath.estimators.optimal_constant import OptimalConstant, optimal_constants
from scorepath.estimators.pgpe import PGPE
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo, shifted_sobol_points
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.estimators.spsa import SPSA
from scorepath.estimators.state_value_baseline import StateValueBaseline
from scorepath.estimators.zero_noise_baseline import ZeroNoiseBaseline
from scorepath.pullback import per_trajectory_gradients

# --- baselines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_optimal_constant_is_estimated_on_the_other_samples(kind: str) -> None:
    environment = LQR(horizon=4, discount=0.9)
    start = simulator(environment, kind=kind)
    trajectories = start.rollout(noise(environment).rollout)
    scores = torch.cat(list(per_trajectory_gradients(trajectories, trajectories.score)))
    weights, found = scores.square().sum(-1), optimal_constants(trajectories)
    for batch, sample in itertools.product(range(BATCHES), range(SAMPLES)):
        others = [other for other in range(SAMPLES) if other != sample]
        weight = weights[batch, others]
        assert_close(found[batch, sample], (weight * trajectories.returns[batch, others]).sum() / weight.sum())
    expected = (trajectories.returns - found)[..., None] * scores
    assert_close(gradients(OptimalConstant(), start, noise(environment)), expected)


def test_alone_the_optimal_constant_is_reinforce() -> None:
    environment = LQR(horizon=4)
    start, alone = simulator(environment), noise(environment, samples=1)
    assert torch.equal(gradients(OptimalConstant(), start, alone), gradients(Reinforce(), start, alone))


def test_the_zero_noise_baseline_leaves_what_the_noise_changed() -> None:
    """`R - R(0) = -(2 sigma d.eps + sigma^2 |eps|^2)` on the quadratic."""
    start, draws, distance, eps = generic_quadratic()
    difference = -2 * SIGMA * eps @ distance - SIGMA**2 * eps.square().sum(-1)
    assert_close(gradients(ZeroNoiseBaseline(), start, draws), difference[..., None] * eps / SIGMA)


def test_the_zero_noise_baseline_shares_all_other_noise() -> None:
    """Noise on the reward, the same in both rollouts, cancels; with discrete actions the baseline is greedy."""
    environment = LQR(horizon=4, process_noise=0.3)
    start, noisy = simulator(environment), replace(environment, reward_noise=5.0)
    loud = gradients(ZeroNoiseBaseline(), replace(start, environment=noisy), noise(noisy))
    torch.testing.assert_close(loud, gradients(ZeroNoiseBaseline(), start, noise(environment)), rtol=1e-9, atol=1e-9)
    chain = Chain(horizon=4)
    start, draws = simulator(chain), noise(chain)
    greedy = start.with_sigma(0.0).rollout(draws.rollout).returns
    expected = start.rollout(draws.rollout)
    signal = (expected.returns - greedy)[..., None, None] * expected.score
    _, found = ZeroNoiseBaseline().signal(start, draws)
    assert torch.equal(found, signal)
    assert not torch.equal(greedy, expected.returns)


# --- generalised advantages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [0, BATCHES], ids=["shared", "population"])
def test_without_decay_advantages_are_the_state_value_baselines(batches: int) -> None:
    environment = LQR(horizon=5, discount=0.9, process_noise=0.2)
    start, draws = simulator(environment, batches=batches), noise(environment)
    past = earlier(start)
    expected = gradients(StateValueBaseline(), start, draws, past)
    assert_close(gradients(GeneralisedAdvantage(decay=1.0), start, draws, past), expected)
    assert GeneralisedAdvantage(decay=1.0).identical_to(environment, SIGMA) == "state_value_baseline"
    assert GeneralisedAdvantage().identical_to(environment, SIGMA) is None
    assert not torch.allclose(gradients(GeneralisedAdvantage(), start, draws, past), expected, rtol=1e-3)


def test_over_one_step_there_is_nothing_to_decay() -> None:
    environment = Cosine()
    start, draws = simulator(environment), noise(environment)
    past, estimator = earlier(start), GeneralisedAdvantage(decay=0.3)
    found, expected = (gradients(e, start, draws, past) for e in (estimator, StateValueBaseline()))
    assert torch.equal(found, expected)
    assert estimator.unbiased(environment)
    assert estimator.identical_to(environment, SIGMA) == "state_value_baseline"


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.95])
def test_advantages_are_decaying_sums_of_temporal_differences(decay: float) -> None:
    environment = LQR(horizon=5, discount=0.9)
    trajectories = simulator(environment).rollout(noise(environment).rollout)
    values = torch.randn(trajectories.rewards.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = GeneralisedAdvantage(decay=decay).advantages(trajectories, values)
    for t in range(5):
        expected = torch.zeros(BATCHES, SAMPLES, dtype=torch.float64)
        for k in range(t, 5):
            ahead = values[..., k + 1] if k < 4 else 0.0
            expected += decay ** (k - t) * (trajectories.rewards[..., k] + ahead - values[..., k])
        assert_close(found[..., t], expected)


def test_before_any_past_rewards_decay() -> None:
    environment = LQR(horizon=5, discount=0.9)
    start, draws = simulator(environment), noise(environment)
    trajectories, signal = GeneralisedAdvantage(decay=0.5).signal(start, draws)
    weights = torch.tensor([[0.5 ** (k - t) if k >= t else 0.0 for k in range(5)] for t in range(5)]).double()
    assert_close(signal, (trajectories.rewards @ weights.mT)[..., None] * trajectories.score)


def test_values_count_for_nothing_after_an_episodes_end() -> None:
    grid = Grid(horizon=12)
    trajectories = simulator(grid, sigma=1.0).rollout(noise(grid, samples=64).rollout)
    over = ~trajectories.active
    assert over.any()
    values = torch.ones_like(trajectories.rewards)
    found, expected = (
        GeneralisedAdvantage(decay=0.5).advantages(trajectories, torch.where(over, after, values))
        for after in (7.0, 0.0)
    )
    assert torch.equal(found, expected)


# --- other noise ------------------------------------------------------------------------------------------------------


def test_an_antithetic_pair_keeps_what_is_odd_in_the_noise() -> None:
    """On the quadratic only the linear part is left, `g = -2 (d.eps) eps`: neither |d|^2 nor |eps|^2 appears."""
    start, draws, distance, eps = generic_quadratic()
    assert_close(gradients(Antithetic(), start, draws), -2 * (eps @ distance)[..., None] * eps)


@pytest.mark.parametrize("environment", [LQR(horizon=4), Chain(horizon=4)], ids=["normal", "Gumbel"])
def test_an_antithetic_estimate_is_the_mean_of_its_two_halves(environment: Environment) -> None:
    start, draws = simulator(environment, batches=BATCHES), noise(environment)
    image = noise(environment)
    image.__dict__["rollout"] = draws.rollout._replace(action=mirrored(environment, draws.rollout.action))
    halves = [gradients(RewardToGo(), start, each) for each in (draws, image)]
    assert_close(gradients(Antithetic(), start, draws), (halves[0] + halves[1]) / 2)
    assert not torch.allclose(halves[0], halves[1])


def test_mirrored_gumbel_noise_has_the_opposite_probability() -> None:
    # the smallest and largest that can be drawn: exponentials of 25 and 1e-30
    gumbel = torch.cat([noise(Chain()).rollout.action.flatten(), torch.tensor([-3.2, 69.0], dtype=torch.float64)])
    image = mirrored(Chain(), gumbel)
    assert_close(torch.exp(-torch.exp(-gumbel)) + torch.exp(-torch.exp(-image)), torch.ones_like(gumbel))
    assert mirrored(Chain(), gumbel.float()).isfinite().all()


@pytest.mark.parametrize("samples", [1, 16, 64])
def test_sobol_points_fill_every_interval_once(samples: int) -> None:
    environment = LQR(horizon=7)
    points = shifted_sobol_points(noise(environment, samples=samples), 7)
    assert points.shape == (BATCHES, samples, 7)
    cells = (points * samples).long().sort(dim=1).values
    assert (cells == torch.arange(samples)[:, None]).all()
    # each batch has a shift of its own, and each coordinate
    assert len(points[:, 0].unique()) == BATCHES * 7
    assert ((points > 0) & (points < 1)).all()


def test_sobol_points_of_a_batch_do_not_depend_on_the_others() -> None:
    environment = LQR(horizon=7)
    draws = noise(environment)
    whole = gradients(QuasiMonteCarlo(), simulator(environment), draws)
    part = gradients(QuasiMonteCarlo(), simulator(environment), draws.select(slice(1, 2)))
    assert_close(part, whole[1:2])


def test_quasi_monte_carlo_ends_where_the_sobol_sequence_does() -> None:
    assert QuasiMonteCarlo().not_applicable(LQR(horizon=21201), SIGMA) is None
    assert "more than 21201" in str(QuasiMonteCarlo().not_applicable(LQR(horizon=21202), SIGMA))
    assert "score function" in str(QuasiMonteCarlo().not_applicable(LQR(), 0.0))


# --- perturbed parameters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [0, BATCHES], ids=["shared", "population"])
@pytest.mark.parametrize("environment", [LQR(horizon=4, reward_noise=0.1), Chain(horizon=4)], ids=["lqr", "chain"])
def test_every_perturbed_policy_simulates_its_own_trajectory(environment: Environment, batches: int) -> None:
    start, draws = simulator(environment, batches=batches), noise(environment)
    shifts = 0.5 * draws.draw("shifts", (start.policy.parameter_count,))
    found = perturbed_returns(start, draws, shifts)
    for batch, sample in itertools.product(range(BATCHES), range(SAMPLES)):
        centre = start.parameters[batch] if batches else start.parameters
        alone = replace(start, parameters=centre + shifts[batch, sample]).rollout(draws.rollout)
        assert_close(found[batch, sample], alone.returns[batch, sample])


def test_pgpe_subtracts_the_mean_return_of_the_others() -> None:
    environment = LQR(horizon=4)
    start, draws = simulator(environment), noise(environment)
    directions = draws.draw("parameters", (start.policy.parameter_count,))
    returns = perturbed_returns(start, draws, 0.2 * directions)
    others = (returns.sum(1, keepdim=True) - returns) / (SAMPLES - 1)
    expected = ((returns - others) / 0.2)[..., None] * directions
    assert_close(gradients(PGPE(perturbation=0.2), start, draws), expected)


def test_simultaneous_perturbation_is_exact_for_one_parameter_of_a_generic_quadratic() -> None:
    """Every sample is `dR / da`; with more parameters it is `(D . dR / da) D`."""
    for dimension in (1, 3):
        environment = Quadratic(dimension=dimension)
        start, draws = simulator(environment), noise(environment)
        slopes = -2 * (start.parameters - 1.0 + SIGMA * draws.rollout.action[..., 0, :])
        found = gradients(SPSA(), start, draws)
        signs = found.sign() * (found[..., :1].sign())  # D up to its own sign, which cancels
        torch.testing.assert_close(found, (slopes * signs).sum(-1, keepdim=True) * signs, rtol=1e-9, atol=1e-9)
        assert len(signs.flatten(0, 1).unique(dim=0)) == 2 ** (dimension - 1)


def test_central_differences_are_exact_on_a_generic_quadratic() -> None:
    """Each sample is the derivative by one coordinate times their number, and every coordinate has its turn."""
    start, draws, distance, eps = generic_quadratic()
    found = gradients(CentralDifferences(perturbation=0.3), start, draws)
    chosen = found != 0
    assert (chosen.sum(-1) == 1).all()
    assert_close(found, torch.where(chosen, 3 * -2 * (distance + SIGMA * eps), 0.0))
    # 3000 draws: 1000 each, give or take six standard deviations (false alarms: 6e-9)
    counts = (gradients(CentralDifferences(), start, noise(start.environment, samples=1000)) != 0).sum((0, 1))
    assert ((counts - 1000).abs() < 6 * (3000 * 2 / 9) ** 0.5).all()


def test_both_sides_of_a_difference_share_their_noise() -> None:
    """However loud the reward's noise, it cancels: the pair shares it."""
    environment = LQR(horizon=4, process_noise=0.3)
    start, noisy = simulator(environment), replace(environment, reward_noise=5.0)
    for estimator in (EvolutionStrategies(), SPSA(), CentralDifferences()):
        loud = gradients(estimator, replace(start, environment=noisy), noise(noisy))
        torch.testing.assert_close(loud, gradients(estimator, start, noise(environment)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe"])
def test_the_estimand_is_known_where_parameters_are_actions(method: str) -> None:
    found = registry.load(registry.ESTIMATORS, method)(perturbation=0.3)

    def level(sigma: float) -> Tensor:
        return torch.tensor(sigma)

    for environment in (Cosine(), TanhRidge()):
        assert found.expectation(environment, 0.4, level) == pytest.approx(0.5)
        assert found.expectation(environment, 0.0, level) == pytest.approx(0.3)
    assert found.expectation(LQR(), 0.4, level) is None
    assert found.expectation(Chain(), 0.4, level) is None


@pytest.mark.parametrize("method", ["evolution_strategies", "pgpe", "spsa", "central_differences"])
def test_a_perturbation_must_be_positive(method: str) -> None:
    with pytest.raises(ValueError, match=r"perturbation must be positive, got 0\.0"):
        registry.load(registry.ESTIMATORS, method)(perturbation=0.0)


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_a_decay_lies_between_none_and_all(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must lie in"):
        GeneralisedAdvantage(decay=decay)
