"""Exact variances against closed forms and against the estimators' own definitions.

Definitions are evaluated with Gauss-Hermite rules that are exact for the polynomials at hand: nothing is random.
"""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.problems import at, in_generic_position, label, quadratic, variance
from tests.helpers.rules import gauss_hermite
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.bump import Bump
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.relu import Relu
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.environments.uniform_support import UniformSupport
from scorepath.references.exact import exact_reference
from scorepath.references.variances import _scalar_decision, exact_variance, lqr_forms

METHODS = ["reinforce", "leave_one_out", "pathwise", "measure_valued"]


def density(z: float) -> float:
    return math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def distribution(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


def trace_variance(samples: Tensor, weights: Tensor) -> float:
    """Trace of the covariance of weighted rows (n, P)."""
    mean = weights @ samples
    return (weights @ (samples - mean).square().sum(-1)).item()


@pytest.mark.parametrize(("d", "s"), [(0.0, 1.0), (-1.0, 0.1), (0.7, 0.3)])
def test_quadratic(d: float, s: float) -> None:
    start = quadratic(d, s)
    assert variance("pathwise", start) == pytest.approx(4 * s**2)
    assert variance("reinforce", start) == pytest.approx(d**4 / s**2 + 14 * d**2 + 15 * s**2)
    assert variance("leave_one_out", start) == pytest.approx(8 * d**2 + 10 * s**2)
    assert variance("measure_valued", start) == pytest.approx(d**2 * (16 / math.pi - 4), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [2, 5])
def test_quadratic_in_closed_form_is_quadratic_by_quadrature(method: str, batch_size: int) -> None:
    start = quadratic(-0.7, 0.5)
    closed = exact_variance(method, start, batch_size)
    assert _scalar_decision(
        method, start.environment, start.policy, start.parameters, 0.5, batch_size
    ) == pytest.approx(closed, rel=1e-8)


@pytest.mark.parametrize("sigma", [0.05, 0.3])
@pytest.mark.parametrize("mean", [0.0, 0.1])
def test_cosine(sigma: float, mean: float) -> None:
    k, phase = 5.0, 1.0
    a, u = k * mean + phase, (k * sigma) ** 2
    gradient = -k * math.exp(-u / 2) * math.sin(a)
    pathwise = k**2 * (1 - math.exp(-2 * u) * math.cos(2 * a)) / 2 - gradient**2
    reinforce = (1 + (1 - 4 * u) * math.exp(-2 * u) * math.cos(2 * a)) / (2 * sigma**2) - gradient**2
    start = at(Cosine(frequency=k, phase=phase), mean, sigma)
    assert variance("pathwise", start) == pytest.approx(pathwise, rel=1e-8)
    assert variance("reinforce", start) == pytest.approx(reinforce, rel=1e-8)
    # a constant b adds (b^2 - 2 b b*) / sigma^2 to the variance without it
    b, best = math.exp(-u / 2) * math.cos(a), math.cos(a) * (1 - u) * math.exp(-u / 2)
    with_mean = reinforce + (b**2 - 2 * b * best) / sigma**2
    assert variance("leave_one_out", start) == pytest.approx(with_mean, rel=1e-7)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 0.1), (0.2, 0.1), (-0.5, 1.0)])
def test_step(mean: float, sigma: float) -> None:
    start, z = at(Step(edge=0.0), mean, sigma), mean / sigma
    phi, cumulative = density(z), distribution(z)
    best = cumulative - z * phi
    reinforce = (best - phi**2) / sigma**2
    measure_valued = math.exp(-(z**2) / 2) * (1 - math.exp(-(z**2) / 2)) / (2 * math.pi * sigma**2)
    with_mean = reinforce + (cumulative**2 - 2 * cumulative * best) / sigma**2
    # the midpoint rule is of first order at the jump
    assert variance("pathwise", start) == 0
    assert variance("reinforce", start) == pytest.approx(reinforce, rel=1e-3)
    assert variance("leave_one_out", start) == pytest.approx(with_mean, rel=1e-3)
    assert variance("measure_valued", start) == pytest.approx(measure_valued, rel=1e-3, abs=1e-3 / sigma**2)


@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_soft_step(sigma: float) -> None:
    width = 0.1
    p = 2 * distribution(width / (2 * sigma)) - 1
    measured = variance("pathwise", at(SoftStep(edge=0.1, width=width), 0.1, sigma))
    assert measured == pytest.approx(p * (1 - p) / width**2, rel=1e-3)  # the derivative jumps


def test_angle_doubling_from_the_start_is_a_cosine() -> None:
    doubling = at(AngleDoubling(doublings=2, noise_at="start", start=0.2), 0.1, 0.2)
    cosine = at(Cosine(frequency=8.0, phase=1.6), 0.1, 0.2)
    for method in METHODS:
        assert variance(method, doubling, 7) == pytest.approx(variance(method, cosine, 7), rel=1e-8)


@pytest.mark.parametrize("method", ["reinforce", "pathwise"])
def test_quadratic_in_three_dimensions_by_definition(method: str) -> None:
    sigma, environment = 0.6, Quadratic(dimension=3, offset=0.2)
    theta = torch.tensor([0.5, -0.4, 0.1], dtype=torch.float64)
    eps, weights = gauss_hermite(5, 3)
    action = theta + sigma * eps
    _, returns = environment.step(action[:, :1], action, eps[:, :0])
    samples = returns.unsqueeze(-1) * eps / sigma if method == "reinforce" else -2 * (action - 0.2)
    value = exact_variance(method, at(environment, theta, sigma), 1)
    assert value == pytest.approx(trace_variance(samples, weights), rel=1e-11)


@pytest.mark.parametrize(("dimension", "batch_size"), [(1, 2), (1, 4), (2, 3)])
def test_leave_one_out_by_definition(dimension: int, batch_size: int) -> None:
    sigma, environment = 0.6, Quadratic(dimension=dimension, offset=0.2)
    theta = torch.linspace(-0.4, 0.5, dimension, dtype=torch.float64)
    z, weights = gauss_hermite(4, dimension * batch_size)
    eps = z.reshape(-1, batch_size, dimension)
    _, returns = environment.step(eps, theta + sigma * eps, eps[..., :0])
    others = (returns.sum(1, keepdim=True) - returns) / (batch_size - 1)
    batch_means = ((returns - others).unsqueeze(-1) * eps / sigma).mean(1)
    value = exact_variance("leave_one_out", at(environment, theta, sigma), batch_size)
    assert value == pytest.approx(batch_size * trace_variance(batch_means, weights), rel=1e-11)


def lqr_samples(environment: LQR, theta: Tensor, sigma: float, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, score and total derivative by the gain for rows z = (start, actions, process noises)."""
    horizon, policy = environment.horizon, make_policy(environment)
    gains = theta.expand(len(z), 1).clone().requires_grad_()
    state, total, score = environment.initial_state(z[:, :1]), z.new_zeros(len(z)), z.new_zeros(len(z))
    for t in range(horizon):
        eps, noise = z[:, 1 + t : 2 + t], z[:, 1 + horizon + t : 2 + horizon + t]
        score = score + (state * eps / sigma)[:, 0].detach()
        action = policy.mean(gains, state.unsqueeze(1), t)[:, 0] + sigma * eps
        state, reward = environment.step(state, action, noise)
        total = total + environment.discount**t * reward
    total = total + environment.discount**horizon * environment.terminal_reward(state)
    (derivative,) = torch.autograd.grad(total.sum(), gains)
    return total.detach(), score, derivative[:, 0]


@pytest.mark.parametrize("gain", [0.0, -0.7])
def test_lqr_by_definition(gain: float) -> None:
    sigma, theta = 0.4, torch.tensor([gain], dtype=torch.float64)
    environment = LQR(horizon=2, process_noise=0.3, initial_std=0.8, terminal_cost=2.0, discount=0.9)
    z, weights = gauss_hermite(5, 5)
    returns, score, derivative = lqr_samples(environment, theta, sigma, z)
    reinforce, pathwise = (variance(method, at(environment, gain, sigma), 1) for method in ("reinforce", "pathwise"))
    assert reinforce == pytest.approx(trace_variance((returns * score).unsqueeze(-1), weights), rel=1e-10)
    assert pathwise == pytest.approx(trace_variance(derivative.unsqueeze(-1), weights), rel=1e-10)


def test_lqr_leave_one_out_by_definition() -> None:
    sigma, theta = 0.4, torch.tensor([-0.5], dtype=torch.float64)
    environment = LQR(horizon=1, process_noise=0.3)
    z, weights = gauss_hermite(5, 6)  # a batch of two trajectories, three normals each
    returns, score, _ = (x.reshape(-1, 2) for x in lqr_samples(environment, theta, sigma, z.reshape(-1, 3)))
    batch_means = ((returns - returns.flip(1)) * score).mean(1, keepdim=True)
    value = exact_variance("leave_one_out", at(environment, theta, sigma), 2)
    assert value == pytest.approx(2 * trace_variance(batch_means, weights), rel=1e-10)


@pytest.mark.parametrize("dynamics", [0.9, 1.2])
def test_lqr_forms_agree_with_the_recursion(dynamics: float) -> None:
    """J = tr A and grad J = tr M = 2 tr(AB): three routes to one gradient."""
    environment, sigma, gain = LQR(horizon=20, dynamics=((dynamics,),), discount=0.95), 0.3, -0.8
    a, b, m = lqr_forms(environment, gain, sigma)
    exact = exact_reference(at(environment, gain, sigma))
    assert a.trace().item() == pytest.approx(exact.objective, rel=1e-12)
    assert m.trace().item() == pytest.approx(exact.gradient.item(), rel=1e-12)
    assert 2 * (a * b).sum().item() == pytest.approx(exact.gradient.item(), rel=1e-12)


def test_what_has_no_exact_variance() -> None:
    nothing = [
        ("reinforce", Quadratic(), 0.0, 8),  # no noise
        ("leave_one_out", Quadratic(), 0.1, 1),  # nobody else in the batch
        ("measure_valued", LQR(), 0.1, 8),
        ("reinforce", LQR(initial_mean=1.0), 0.1, 8),
        ("evolution_strategies", Cosine(), 0.1, 8),
        ("reinforce", Pendulum(), 0.1, 8),
        ("reinforce", Chain(), 0.1, 8),
        ("pathwise", AngleDoubling(), 0.1, 8),
    ]
    for method, environment, sigma, batch_size in nothing:
        assert exact_variance(method, at(environment, 0.0, sigma), batch_size) is None


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
        assert 0 <= exact.error <= 1e-9  # 0 where more nodes change no digit
        found[dimension]["slope"] = exact.gradient.norm().item()
    # the mean slope along the ridge, by the trapezoidal rule
    z = torch.linspace(-10, 10, 2001, dtype=torch.float64)
    steepness = lipschitz / torch.cosh(lipschitz * (0.3 + sigma * z)).square()
    slope = torch.trapezoid(steepness * torch.exp(-z.square() / 2), z).item() / math.sqrt(2 * math.pi)
    per_coordinate = (found[10]["reinforce"] - found[1]["reinforce"]) / 9
    assert per_coordinate > 0.5
    for dimension, values in found.items():
        assert values["pathwise"] == pytest.approx(found[1]["pathwise"], rel=1e-8)
        assert values["pathwise"] < lipschitz**2
        assert values["slope"] == pytest.approx(slope, rel=1e-9)
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
