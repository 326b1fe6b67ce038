"""Static landscapes, random walks and noisy angle doubling: closed forms against integration, and what they show.

Integrals are Gauss-Hermite rules, quadratures or Sobol points, so nothing is random but the ensembles of random fields:
there fixed seeds give means that must lie within 5.5 standard errors, at most 4e-8 false alarms for a normal mean.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import qmc
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
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
from scorepath.noise import Noise, RolloutNoise, Stream, action_noise
from scorepath.policies import OpenLoop
from scorepath.references import quadrature
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator

torch.set_num_threads(1)

FIELDS = 1000
MANY = 10**9  # batch size at which leave-one-out is the score function with the exact mean as its baseline
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


def label(value: object) -> str | None:
    """Readable test names."""
    return type(value).__name__.strip("_") if isinstance(value, Environment) else None


def generic_parameters(environment: Environment) -> Tensor:
    return torch.linspace(0.17, -0.08, environment.horizon * environment.action_dim, dtype=torch.float64)


def as_rollout(environment: Environment, points: Tensor) -> RolloutNoise:
    """Rows of standard normals (n, ...), every action and then every step's process noise, as one batch."""
    horizon = environment.horizon
    sizes = [horizon * environment.action_dim, horizon * environment.process_noise_dim]
    action, process = points.split(sizes, dim=-1)
    reward = torch.zeros(1, len(points), horizon, 1 if environment.reward_noise > 0 else 0, dtype=torch.float64)
    return RolloutNoise(
        torch.zeros(1, len(points), 0, dtype=torch.float64),
        action.reshape(1, len(points), horizon, environment.action_dim),
        process.reshape(1, len(points), horizon, environment.process_noise_dim),
        reward,
    )


def with_noise(environment: Environment, rollout: RolloutNoise) -> Noise:
    """A `Noise` that holds these draws."""
    made = Noise(environment, Stream(0, "", ""), [0], rollout.action.shape[1], torch.float64)
    made.__dict__["rollout"] = rollout
    return made


def gauss_hermite(nodes: int, dimension: int) -> tuple[Tensor, Tensor]:
    """Points (n, dimension) and weights (n,) for standard normals; exact to degree 2 * nodes - 1 in each."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    points = torch.tensor(list(itertools.product(x, repeat=dimension)), dtype=torch.float64)
    weights = torch.tensor(list(itertools.product(w / w.sum(), repeat=dimension)), dtype=torch.float64).prod(-1)
    return points, weights


def sobol(dimension: int) -> tuple[Tensor, Tensor]:
    points = torch.from_numpy(qmc.Sobol(dimension, seed=1).random(2**15))
    return torch.special.ndtri(points), torch.full((len(points),), 1 / len(points), dtype=torch.float64)


# --- exact objectives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [Bump(), Bump(steepness=0.5, offset=-1.0), Relu(), Relu(kink=-0.2)], ids=label)
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.1, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.115])
def test_scalar_closed_forms_match_quadrature(environment: Environment, sigma: float, mean: float) -> None:
    policy, theta = make_policy(environment), torch.tensor([mean], dtype=torch.float64)
    exact = exact_reference(Simulator(environment, policy, theta, sigma))
    objective, gradient, _ = quadrature.objective_and_gradient(environment, policy, theta, sigma)
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
    policy, theta = make_policy(environment), generic_parameters(environment)
    normals = environment.horizon * (environment.action_dim + environment.process_noise_dim)
    points, weights = gauss_hermite(40, normals)
    rollout = as_rollout(environment, points)
    exact = exact_reference(Simulator(environment, policy, theta, sigma))
    returns = Simulator(environment, policy, theta, sigma).rollout(rollout).returns[0]
    assert exact.objective == pytest.approx((weights @ returns).item(), rel=1e-8, abs=1e-10)


def test_angle_doubling_with_noise_on_every_angle() -> None:
    """Two steps, four normals: noise of frequency 4 after the first doubling and 2 after the second."""
    environment, sigma = AngleDoubling(doublings=2, process_noise=0.15, start=0.4), 0.05
    policy, theta = make_policy(environment), generic_parameters(environment)
    points, weights = gauss_hermite(12, 4)
    returns = Simulator(environment, policy, theta, sigma).rollout(as_rollout(environment, points)).returns[0]
    exact = exact_reference(Simulator(environment, policy, theta, sigma)).objective
    assert exact == pytest.approx((weights @ returns).item(), rel=1e-9)
    quiet = exact_reference(
        Simulator(dataclasses.replace(environment, process_noise=0.0), policy, theta, sigma)
    ).objective
    assert exact / quiet == pytest.approx(math.exp(-(0.15**2) * (4**2 + 2**2) / 2), rel=1e-12)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_random_walks_match_integration(kind: type[Environment], noise: float) -> None:
    environment, sigma = kind(horizon=3, process_noise=noise, discount=0.8), 0.2
    policy, theta = make_policy(environment), generic_parameters(environment)
    points, weights = sobol(6 if noise else 3)
    returns = Simulator(environment, policy, theta, sigma).rollout(as_rollout(environment, points)).returns[0]
    exact = exact_reference(Simulator(environment, policy, theta, sigma)).objective
    assert exact == pytest.approx((weights @ returns).item(), rel=3e-3)


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
    theta = torch.tensor([0.13], dtype=torch.float64)
    of_walk, of_landscape = (exact_reference(Simulator(e, OpenLoop(1, 1), theta, sigma)) for e in (walk, landscape))
    assert of_walk.objective == pytest.approx(of_landscape.objective, rel=1e-12)
    torch.testing.assert_close(of_walk.gradient, of_landscape.gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("environment", ALL, ids=label)
def test_exact_gradients_are_finite_differences(environment: Environment) -> None:
    policy, theta, sigma = make_policy(environment), generic_parameters(environment), 0.3

    def objective(parameters: Tensor) -> float:
        return exact_reference(Simulator(environment, policy, parameters, sigma)).objective

    steps = 1e-5 * torch.eye(len(theta), dtype=torch.float64)
    differences = [(objective(theta + step) - objective(theta - step)) / 2e-5 for step in steps]
    gradient = exact_reference(Simulator(environment, policy, theta, sigma)).gradient
    assert gradient.norm() > 0.01
    torch.testing.assert_close(gradient, torch.tensor(differences, dtype=torch.float64), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("environment", SMOOTH, ids=label)
def test_action_gradients_are_finite_differences(environment: Environment) -> None:
    policy, theta, step = make_policy(environment), generic_parameters(environment), 1e-6
    draws = Noise(environment, Stream(1, "test", ""), [0], 5, torch.float64).rollout
    trajectories = Simulator(environment, policy, theta, 0.3).rollout(draws, differentiable=True)
    inputs = trajectories.layer_inputs
    signals = policy.layer_signals(theta, inputs, trajectories.action_gradient(trajectories.returns))
    found = policy.pull_back(inputs, signals)

    def returns(parameters: Tensor) -> Tensor:
        return Simulator(environment, policy, parameters, 0.3).rollout(draws).returns[0]

    expected = [(returns(theta + d) - returns(theta - d)) / (2 * step) for d in step * torch.eye(len(theta)).double()]
    torch.testing.assert_close(found[0], torch.stack(expected, dim=-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("environment", ALL, ids=label)
def test_rollouts_of_a_population_in_either_precision(environment: Environment) -> None:
    policy = make_policy(environment)
    population = generic_parameters(environment) * torch.tensor([[1.0], [0.5]], dtype=torch.float64)
    returns = {}
    for dtype in (torch.float32, torch.float64):
        draws = Noise(environment, Stream(1, "test", ""), range(2), 4, dtype).rollout
        returns[dtype] = Simulator(environment, policy, population, 0.3).rollout(draws).returns
        assert returns[dtype].dtype == dtype
        assert returns[dtype].shape == (2, 4)
    torch.testing.assert_close(returns[torch.float32].double(), returns[torch.float64], rtol=1e-4, atol=1e-4)
    assert hash(dataclasses.replace(environment)) == hash(environment)


# --- variances ------------------------------------------------------------------------------------------------------


def variance(method: str, environment: Environment, theta: Tensor, sigma: float, batch_size: int = MANY) -> float:
    value = exact_variance(method, Simulator(environment, make_policy(environment), theta, sigma), batch_size)
    assert value is not None
    return value


def check_score_variances(environment: Environment, mean: float, sigma: float, second: float, best: float) -> None:
    """Without a baseline `second - gradient^2`; a constant b adds `(b^2 - 2 b best) / sigma^2`, best being optimal."""
    theta = torch.tensor([mean], dtype=torch.float64)
    exact = exact_reference(Simulator(environment, make_policy(environment), theta, sigma))
    without = second - exact.gradient.item() ** 2
    assert variance("reinforce", environment, theta, sigma) == pytest.approx(without, rel=1e-7)
    b = exact.objective
    with_mean = without + (b**2 - 2 * b * best) / sigma**2
    assert variance("leave_one_out", environment, theta, sigma) == pytest.approx(with_mean, rel=1e-6)


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
    environment, theta = Bump(steepness=k, offset=0.3), torch.tensor([0.3 + distance], dtype=torch.float64)
    assert exact_reference(Simulator(environment, OpenLoop(1, 1), theta, sigma)).gradient.item() == pytest.approx(
        gradient
    )
    assert variance("pathwise", environment, theta, sigma) == pytest.approx(pathwise, rel=1e-7)
    check_score_variances(environment, 0.3 + distance, sigma, second, best)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 0.3), (-0.1, 0.1), (0.4, 0.5)])
def test_relu_variances(mean: float, sigma: float) -> None:
    z = mean / sigma
    phi, cumulative = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi), math.erfc(-z / math.sqrt(2)) / 2
    environment, theta = Relu(kink=0.0), torch.tensor([mean], dtype=torch.float64)
    # the derivative jumps: the midpoint rule is of first order
    assert variance("pathwise", environment, theta, sigma) == pytest.approx(cumulative * (1 - cumulative), rel=1e-4)
    check_score_variances(
        environment, mean, sigma, (z**2 + 3) * cumulative + z * phi, sigma * (z * cumulative + 2 * phi)
    )


def test_ridge_variances_by_definition() -> None:
    environment, sigma = TanhRidge(dimension=2, lipschitz=1.5), 0.4
    theta = generic_parameters(environment)
    eps, weights = gauss_hermite(40, 2)
    action = (theta + sigma * eps).requires_grad_()
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
        assert variance(method, environment, theta, sigma) == pytest.approx(expected.item(), rel=1e-7)


def test_pathwise_on_a_ridge_is_free_of_dimension() -> None:
    """And the score function pays `E R^2 / sigma^2` for every further coordinate."""
    sigma, lipschitz = 0.5, 2.0
    found: dict[int, dict[str, float]] = {}
    for dimension in (1, 10, 1000):
        environment = TanhRidge(dimension=dimension, lipschitz=lipschitz)
        theta = torch.full((dimension,), 0.3 / math.sqrt(dimension), dtype=torch.float64)
        found[dimension] = {m: variance(m, environment, theta, sigma) for m in ("pathwise", "reinforce")}
        exact = exact_reference(Simulator(environment, make_policy(environment), theta, sigma))
        assert 0 < exact.error < 1e-9
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
    policy = make_policy(environment)
    parameters = torch.zeros(policy.parameter_count, dtype=torch.float64)
    assert exact_variance(method, Simulator(environment, policy, parameters, 0.3), 8) is None


# --- a support that moves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.5, -0.4])
def test_the_score_function_has_the_wrong_sign_where_the_support_moves(offset: float, mean: float) -> None:
    environment, sigma = UniformSupport(offset=offset), 1 / math.sqrt(3)
    theta = torch.tensor([mean], dtype=torch.float64)
    middles = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    draws = as_rollout(environment, action_noise(environment, middles).unsqueeze(-1))
    simulator = Simulator(environment, make_policy(environment), theta, sigma)
    # the action is uniform on (0, 2 (1 + mu))
    torch.testing.assert_close(simulator.rollout(draws).actions.flatten(), 2 * (1 + mean) * middles)
    exact = exact_reference(Simulator(environment, simulator.policy, theta, sigma))
    assert (exact.objective, exact.gradient.tolist()) == (pytest.approx(1 + mean - offset), [1.0])
    means = {
        kind: kind().estimate(simulator, with_noise(environment, draws))[0].item() for kind in (Pathwise, Reinforce)
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


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_digital_jumps_where_it_says(noise: float) -> None:
    environment = RandomWalkDigital(horizon=4, process_noise=noise)
    policy, theta = make_policy(environment), generic_parameters(environment)
    draws = Noise(environment, Stream(1, "test", ""), range(2), 20, torch.float64).rollout
    actions = Simulator(environment, policy, theta, 0.3).rollout(draws).actions
    locations = environment.jump_locations(actions, draws.process)
    assert locations.shape == (2, 20, 4, 1, 1)

    def returns(t: int, action: Tensor) -> Tensor:
        moved = actions.clone()
        moved[..., t, 0] = action
        taken = draws._replace(action=moved)
        return Simulator(environment, policy, torch.zeros_like(theta), 1.0).rollout(taken).returns

    for t in range(4):
        assert (returns(t, locations[..., t, 0, 0] + 1e-9) == 1).all()
        assert (returns(t, locations[..., t, 0, 0] - 1e-9) == 0).all()


def test_a_narrow_ramp_is_nearly_the_digital() -> None:
    digital, sigma = RandomWalkDigital(horizon=3, process_noise=0.2, discount=0.9, reward_noise=0.1, strike=0.2), 0.1
    policy, theta = make_policy(digital), generic_parameters(digital)
    exact = exact_reference(Simulator(digital, policy, theta, sigma))
    gaps = []
    for width in (0.2, 0.1):
        ramp = digital.smoothed(width)
        assert ramp.continuous
        assert (ramp.process_noise, ramp.reward_noise) == (0.2, 0.1)
        gaps.append((exact_reference(Simulator(ramp, policy, theta, sigma)).gradient - exact.gradient).norm().item())
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
    for noise in (0.0, 0.5):
        environment = make(noise)
        policy = make_policy(environment)
        simulator = Simulator(environment, policy, torch.zeros(policy.parameter_count, dtype=torch.float64), 0.1)
        draws = Noise(environment, Stream(1, "test", ""), [0], 8, torch.float64)
        reinforce, to_go = (kind().estimate(simulator, draws)[0] for kind in (Reinforce, RewardToGo))
        declared = RewardToGo().identical_to(environment, 0.1)
        assert torch.allclose(reinforce, to_go) == (declared == "reinforce") == (noise == 0)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall, AngleDoubling], ids=lambda kind: kind.__name__)
def test_feedback_has_no_closed_form(kind: type[Environment]) -> None:
    policy = make_policy(kind(), "linear")
    with pytest.raises(ValueError, match=f"{kind.__name__} needs an open_loop policy"):
        exact_reference(Simulator(kind(), policy, torch.zeros(1, dtype=torch.float64), 0.1))


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
