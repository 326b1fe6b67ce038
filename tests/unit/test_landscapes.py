"""Static landscapes, random walks and noisy angle doubling: closed forms against integration, and what they show.

Integrals are Gauss-Hermite rules, quadratures or Sobol points, so nothing is random but the ensembles of random fields:
there fixed seeds give means that must lie within 5.5 standard errors, at most 4e-8 false alarms for a normal mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.stats import qmc
from tests.helpers.problems import at, in_generic_position, label, noise, variance
from tests.helpers.rules import as_rollout, central_differences, gauss_hermite, normals, with_rollout
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.bump import Bump
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.lqr import LQR
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.relu import Relu
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.noise import action_noise
from scorepath.policies import OpenLoop
from scorepath.references import quadrature
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance

FIELDS = 1000
SMOOTH = [
    Bump(steepness=3.0),
    Relu(),
    UniformSupport(offset=0.4),
    TanhRidge(dimension=2, lipschitz=2.0),
    FourierField(dimension=2, correlation_length=0.7, waves=5),
    RandomWalkCall(horizon=3, discount=0.9),
    RandomWalkCall(horizon=2, process_noise=0.2),
    RandomWalkDigital(horizon=2, process_noise=0.2).smoothed(0.5),
    AngleDoubling(doublings=2, process_noise=0.1),
]
ALL = [*SMOOTH, RandomWalkDigital(horizon=3, discount=0.9), RandomWalkDigital(horizon=2, process_noise=0.2)]


def sobol(dimension: int) -> tuple[Tensor, Tensor]:
    points = torch.from_numpy(qmc.Sobol(dimension, seed=1).random(2**15))
    return torch.special.ndtri(points), torch.full((len(points),), 1 / len(points), dtype=torch.float64)


# --- exact objectives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [Bump(), Bump(steepness=0.5, offset=-1.0), Relu(), Relu(kink=-0.2)], ids=label)
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.115])
def test_scalar_closed_forms_match_quadrature(environment: Environment, sigma: float, mean: float) -> None:
    start = at(environment, mean, sigma)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, sigma)
    assert objective == pytest.approx(exact.objective, rel=1e-7, abs=1e-9)
    torch.testing.assert_close(gradient, exact.gradient, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("sigma", [0.0, 0.1, 0.4])
@pytest.mark.parametrize(
    "environment",
    [
        TanhRidge(dimension=2, lipschitz=1.5),
        FourierField(dimension=2, correlation_length=0.7, waves=5),
        AngleDoubling(doublings=1, noise_at="every_step", process_noise=0.3, start=0.4, discount=0.9),
        AngleDoubling(doublings=2, noise_at="start", process_noise=0.3, start=0.4, reward_noise=0.5),
    ],
    ids=label,
)
def test_smooth_objectives_match_gauss_hermite(environment: Environment, sigma: float) -> None:
    start = in_generic_position(environment, sigma)
    points, weights = gauss_hermite(40, normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    assert exact_reference(start).objective == pytest.approx((weights @ returns).item(), rel=1e-8, abs=1e-10)


def test_angle_doubling_with_noise_on_every_angle() -> None:
    """Two steps, four normals: noise of frequency 4 after the first doubling and 2 after the second."""
    environment, sigma = AngleDoubling(doublings=2, process_noise=0.15, start=0.4), 0.05
    start = in_generic_position(environment, sigma)
    points, weights = gauss_hermite(12, normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    exact = exact_reference(start).objective
    assert exact == pytest.approx((weights @ returns).item(), rel=1e-9)
    quiet = exact_reference(replace(start, environment=replace(environment, process_noise=0.0))).objective
    assert exact / quiet == pytest.approx(math.exp(-(0.15**2) * (4**2 + 2**2) / 2), rel=1e-12)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("process_noise", [0.0, 0.3])
def test_random_walks_match_integration(kind: type[Environment], process_noise: float) -> None:
    environment, sigma = kind(horizon=3, process_noise=process_noise, discount=0.8), 0.2
    start = in_generic_position(environment, sigma)
    points, weights = sobol(normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    assert exact_reference(start).objective == pytest.approx((weights @ returns).item(), rel=3e-3)


@pytest.mark.parametrize(
    ("walk", "landscape"),
    [
        (RandomWalkDigital(horizon=1, strike=0.1), Step(edge=0.1)),
        (RandomWalkDigital(horizon=1, strike=0.1).smoothed(0.2), SoftStep(edge=0.1, width=0.2)),
        (RandomWalkCall(horizon=1, strike=0.1), Relu(kink=0.1)),
    ],
    ids=label,
)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_one_step_of_a_walk_is_a_landscape(walk: Environment, landscape: Environment, sigma: float) -> None:
    actions = torch.linspace(-1, 1, 50, dtype=torch.float64)
    expected = quadrature.decision_return(landscape, actions)
    torch.testing.assert_close(quadrature.decision_return(walk, actions), expected, rtol=1e-12, atol=1e-12)
    of_walk, of_landscape = (exact_reference(at(each, 0.13, sigma)) for each in (walk, landscape))
    assert of_walk.objective == pytest.approx(of_landscape.objective, rel=1e-12)
    torch.testing.assert_close(of_walk.gradient, of_landscape.gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("environment", ALL, ids=label)
def test_exact_gradients_are_finite_differences(environment: Environment) -> None:
    start = in_generic_position(environment, 0.3)

    def objective(parameters: Tensor) -> float:
        return exact_reference(replace(start, parameters=parameters)).objective

    gradient = exact_reference(start).gradient
    assert gradient.norm() > 0.01
    torch.testing.assert_close(gradient, central_differences(objective, start.parameters), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("environment", SMOOTH, ids=label)
def test_gradients_of_returns_are_finite_differences(environment: Environment) -> None:
    start, draws = in_generic_position(environment, 0.3), noise(environment, 1).rollout
    trajectories = start.rollout(draws, differentiable=True)
    inputs = trajectories.layer_inputs
    signals = start.policy.layer_signals(start.parameters, inputs, trajectories.action_gradient(trajectories.returns))
    found = start.policy.pull_back(inputs, signals)

    def returns(parameters: Tensor) -> Tensor:
        return replace(start, parameters=parameters).rollout(draws).returns[0]

    expected = central_differences(returns, start.parameters, step=1e-6)
    torch.testing.assert_close(found[0], expected.mT, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("environment", ALL, ids=label)
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


# --- variances ------------------------------------------------------------------------------------------------------


def check_score_variances(environment: Environment, mean: float, sigma: float, second: float, best: float) -> None:
    """Without a baseline `second - gradient^2`; a constant b adds `(b^2 - 2 b best) / sigma^2`, best being optimal."""
    start = at(environment, mean, sigma)
    exact = exact_reference(start)
    without = second - exact.gradient.item() ** 2
    assert variance("reinforce", start) == pytest.approx(without, rel=1e-7)
    b = exact.objective
    with_mean = without + (b**2 - 2 * b * best) / sigma**2
    assert variance("leave_one_out", start) == pytest.approx(with_mean, rel=1e-6)


@pytest.mark.parametrize(("distance", "sigma"), [(0.0, 0.3), (-0.4, 0.1), (0.7, 1.0)])
def test_bump_variances(distance: float, sigma: float) -> None:
    k = 2.0
    q, double = 1 + 2 * k * sigma**2, 1 + 4 * k * sigma**2
    gradient = -2 * k * distance * q**-1.5 * math.exp(-k * distance**2 / q)
    weight = double**-0.5 * math.exp(-2 * k * distance**2 / double)
    pathwise = 4 * k**2 * weight * (distance**2 / double**2 + sigma**2 / double) - gradient**2
    second = weight * (16 * k**2 * distance**2 / double**2 + 1 / (sigma**2 * double))
    height = q**-0.5 * math.exp(-k * distance**2 / q)
    best = height * (4 * k**2 * sigma**2 * distance**2 / q**2 + 1 / q)
    environment = Bump(steepness=k, offset=0.3)
    start = at(environment, 0.3 + distance, sigma)
    assert exact_reference(start).gradient.item() == pytest.approx(gradient)
    assert variance("pathwise", start) == pytest.approx(pathwise, rel=1e-7)
    check_score_variances(environment, 0.3 + distance, sigma, second, best)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 0.3), (-0.1, 0.1), (0.4, 0.5)])
def test_relu_variances(mean: float, sigma: float) -> None:
    z = mean / sigma
    phi, cumulative = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), math.erfc(-z / math.sqrt(2)) / 2
    environment = Relu(kink=0.0)
    # the derivative jumps: the midpoint rule is of first order
    slopes = variance("pathwise", at(environment, mean, sigma))
    assert slopes == pytest.approx(cumulative * (1 - cumulative), rel=1e-4)
    check_score_variances(
        environment, mean, sigma, (z**2 + 3) * cumulative + z * phi, sigma * (z * cumulative + 2 * phi)
    )


def test_ridge_variances_by_definition() -> None:
    environment, sigma = TanhRidge(dimension=2, lipschitz=1.5), 0.4
    start = in_generic_position(environment, sigma)
    eps, weights = gauss_hermite(40, 2)
    action = (start.parameters + sigma * eps).requires_grad_()
    _, returns = environment.step(action[:, :1], action, action[:, :0])
    (slopes,) = torch.autograd.grad(returns.sum(), action)
    returns = returns.detach()
    signals = {
        "pathwise": slopes,
        "reinforce": returns[:, None] * eps / sigma,
        "leave_one_out": (returns - weights @ returns)[:, None] * eps / sigma,
    }
    for method, signal in signals.items():
        expected = weights @ (signal - weights @ signal).square().sum(-1)
        assert variance(method, start) == pytest.approx(expected.item(), rel=1e-7)


def test_pathwise_on_a_ridge_is_free_of_dimension() -> None:
    """And the score function pays `E R^2 / sigma^2` for every further coordinate."""
    sigma, lipschitz = 0.5, 2.0
    found: dict[int, dict[str, float]] = {}
    for dimension in (1, 10, 1000):
        environment = TanhRidge(dimension=dimension, lipschitz=lipschitz)
        start = at(environment, 0.3 / math.sqrt(dimension), sigma)
        found[dimension] = {method: variance(method, start) for method in ("pathwise", "reinforce")}
        exact = exact_reference(start)
        assert 0 <= exact.error <= 1e-9
        found[dimension]["slope"] = exact.gradient.norm().item()
    per_coordinate = (found[10]["reinforce"] - found[1]["reinforce"]) / 9
    assert per_coordinate > 0.5
    for dimension, values in found.items():
        assert values["pathwise"] == pytest.approx(found[1]["pathwise"], rel=1e-8)
        assert values["pathwise"] < lipschitz**2
        assert values["slope"] == pytest.approx(found[1]["slope"], rel=1e-10)
        expected = found[1]["reinforce"] + (dimension - 1) * per_coordinate
        assert values["reinforce"] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("method", "environment"),
    [
        ("reinforce", LQR(reward_noise=0.1)),
        ("reinforce", AngleDoubling(doublings=1, reward_noise=0.1)),
        ("pathwise", AngleDoubling(doublings=1, process_noise=0.1)),
        ("pathwise", UniformSupport()),
        ("pathwise", FourierField(dimension=2)),
        ("measure_valued", TanhRidge(dimension=2)),
    ],
    ids=label,
)
def test_what_the_formulas_leave_out_has_no_exact_variance(method: str, environment: Environment) -> None:
    assert exact_variance(method, at(environment, 0.0, 0.3), 8) is None


# --- a support that moves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.5, -0.4])
def test_the_score_function_has_the_wrong_sign_where_the_support_moves(offset: float, mean: float) -> None:
    environment, sigma = UniformSupport(offset=offset), 1 / math.sqrt(3)
    middles = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    draws = as_rollout(environment, action_noise(environment, middles).unsqueeze(-1))
    simulator = at(environment, mean, sigma)
    # the action is uniform on (0, 2 (1 + mu))
    torch.testing.assert_close(simulator.rollout(draws).actions.flatten(), 2 * (1 + mean) * middles)
    exact = exact_reference(simulator)
    assert (exact.objective, exact.gradient.tolist()) == (pytest.approx(1 + mean - offset), [1.0])
    means = {
        kind: kind().estimate(simulator, with_rollout(environment, draws))[0].item() for kind in (Pathwise, Reinforce)
    }
    assert means[Pathwise] == pytest.approx(1.0, rel=1e-12)
    assert means[Reinforce] == pytest.approx(-1.0 + offset / (1 + mean), rel=1e-12, abs=1e-12)
    assert Pathwise().unbiased(environment)
    assert not Reinforce().unbiased(environment)


def test_quadrature_over_a_normal_refuses_a_moving_support() -> None:
    with pytest.raises(ValueError, match="moving_support True"):
        quadrature.objective_and_gradient(UniformSupport(), OpenLoop(1, 1), torch.zeros(1, dtype=torch.float64), 0.1)


# --- random fields --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [1, 3])
def test_random_fields_have_variance_one_and_the_stated_correlation_length(dimension: int) -> None:
    """Ensemble means: of `f(0)^2`, `f(0) f(r)` at `r = l`, and of what makes second moments cross at `sigma = l`.

    Those are `sigma^2 E|SF|^2 / D = 1` and `l^2 E|PW|^2 / D = 1` per sample, without baseline, in every dimension.
    """
    length, sigma = 0.4, 0.7
    generator = torch.Generator().manual_seed(1)
    expected = torch.tensor([1.0, math.exp(-1 / 2), 1.0, 1.0], dtype=torch.float64)
    rows = []
    for seed in range(FIELDS):
        field = FourierField(dimension=dimension, correlation_length=length, waves=2, field_seed=seed)
        pair = torch.zeros(2, dimension, dtype=torch.float64)
        pair[1, 0] = length
        eps = torch.randn(16, dimension, generator=generator, dtype=torch.float64)
        action = torch.cat([pair, sigma * eps]).requires_grad_()
        _, values = field.step(action[:, :1], action, action[:, :0])
        (slopes,) = torch.autograd.grad(values.sum(), action)
        (here, there), sampled = values[:2].tolist(), values[2:].detach()
        score = (sampled[:, None] * eps).square().mean().item()
        pathwise = (length * slopes[2:]).square().mean().item()
        rows.append([here**2, here * there, score, pathwise])
    table = torch.tensor(rows, dtype=torch.float64)
    standard_errors = table.std(0) / FIELDS**0.5
    assert ((table.mean(0) - expected).abs() < 5.5 * standard_errors).all(), (table.mean(0), standard_errors)
    assert standard_errors.max() < 0.05


def test_a_field_is_its_seed_and_scales_with_its_length() -> None:
    action = torch.linspace(-1, 1, 9, dtype=torch.float64).unsqueeze(-1)

    def values(**knobs: Any) -> Tensor:
        field = FourierField(dimension=1, waves=6, **{"correlation_length": 1.0, **knobs})
        return field.step(action, action, action[:, :0])[1]

    torch.testing.assert_close(values(), values())
    assert (values(field_seed=1) - values()).abs().max() > 0.1
    stretched = FourierField(dimension=1, waves=6, correlation_length=3.0)
    torch.testing.assert_close(stretched.step(action, 3 * action, action[:, :0])[1], values())


# --- random walks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process_noise", [0.0, 0.3])
def test_the_digital_jumps_where_it_says(process_noise: float) -> None:
    environment = RandomWalkDigital(horizon=4, process_noise=process_noise)
    start, draws = in_generic_position(environment, 0.3), noise(environment, 2, 20).rollout
    actions = start.rollout(draws).actions
    locations = environment.jump_locations(actions, draws.process)
    assert locations.shape == (2, 20, 4, 1, 1)

    def returns(t: int, action: Tensor) -> Tensor:
        moved = actions.clone()
        moved[..., t, 0] = action
        taken = draws._replace(action=moved)
        return at(environment, 0.0, 1.0).rollout(taken).returns

    for t in range(4):
        assert (returns(t, locations[..., t, 0, 0] + 1e-9) == 1).all()
        assert (returns(t, locations[..., t, 0, 0] - 1e-9) == 0).all()


def test_a_narrow_ramp_is_nearly_the_digital() -> None:
    digital, sigma = RandomWalkDigital(horizon=3, process_noise=0.2, discount=0.9, reward_noise=0.1, strike=0.2), 0.1
    start = in_generic_position(digital, sigma)
    exact = exact_reference(start)
    gaps = []
    for width in (0.2, 0.1):
        ramp = digital.smoothed(width)
        assert ramp.continuous
        assert (ramp.process_noise, ramp.reward_noise) == (0.2, 0.1)
        gaps.append((exact_reference(replace(start, environment=ramp)).gradient - exact.gradient).norm().item())
    assert not digital.continuous
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.02)  # an error of second order in the width


@pytest.mark.parametrize(
    "make",
    [
        lambda noise: RandomWalkCall(horizon=3, reward_noise=noise),
        lambda noise: AngleDoubling(doublings=3, reward_noise=noise),
    ],
    ids=["RandomWalkCall", "AngleDoubling"],
)
def test_rewards_to_go_are_the_return_unless_rewards_are_noisy(make: Callable[[float], Environment]) -> None:
    for reward_noise in (0.0, 0.5):
        environment = make(reward_noise)
        simulator, draws = at(environment, 0.0, 0.1), noise(environment, 1)
        reinforce, to_go = (kind().estimate(simulator, draws)[0] for kind in (Reinforce, RewardToGo))
        declared = RewardToGo().identical_to(environment, 0.1)
        assert torch.allclose(reinforce, to_go) == (declared == "reinforce") == (reward_noise == 0)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall, AngleDoubling], ids=lambda kind: kind.__name__)
def test_feedback_has_no_closed_form(kind: type[Environment]) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} needs an open_loop policy"):
        exact_reference(at(kind(), 0.0, 0.1, "linear"))


# --- knobs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Bump(steepness=0.0), "steepness"),
        (lambda: TanhRidge(dimension=0), "dimension"),
        (lambda: TanhRidge(lipschitz=-1.0), "lipschitz"),
        (lambda: FourierField(dimension=0), "dimension"),
        (lambda: FourierField(waves=0), "waves"),
        (lambda: FourierField(correlation_length=0.0), "correlation_length"),
        (lambda: FourierField(field_seed=-1), "field_seed"),
        (lambda: RandomWalkDigital(horizon=0), "horizon"),
        (lambda: RandomWalkCall(process_noise=-0.1), "process_noise"),
        (lambda: RandomWalkDigital().smoothed(0.0), "width"),
        (lambda: AngleDoubling(process_noise=-0.1), "process_noise"),
        (lambda: AngleDoubling(reward_noise=math.nan), "reward_noise"),
    ],
)
def test_impossible_knobs_are_named(make: Callable[[], Environment], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        make()
