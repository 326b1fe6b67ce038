"""Every step of the answers to the student's questions that numbers can check, by quadrature or differentiation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

from scorepath.references.quadrature import normal_expectation

MEAN, SIGMA = 0.4, 0.3
Function = Callable[[Tensor], Tensor]


def expectation(*functions: Function, tolerance: float = 1e-12) -> list[float]:
    """`E function(eps)` for a standard normal eps."""
    return normal_expectation(lambda eps: torch.stack([each(eps) for each in functions]), tolerance)[0].tolist()


def slope(function: Function, value: Tensor) -> Tensor:
    leaf = value.detach().requires_grad_()
    return torch.autograd.grad(function(leaf).sum(), leaf)[0]


SMOOTH: dict[str, Function] = {
    "polynomial": lambda a: a**3 - a**2,
    "cosine": lambda a: torch.cos(10 * a + 1),
    "kink": lambda a: (a - 0.5).abs(),
}


# --- where the gradient went -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMOOTH)
def test_steins_identity_and_the_derivative_of_the_objective(name: str) -> None:
    """dJ/dmu = E[f eps / sigma] = E[f'], the first against central differences of J by quadrature."""
    f = SMOOTH[name]
    tolerance = 1e-10 if name == "kink" else 1e-12
    score, path = expectation(
        lambda eps: f(MEAN + SIGMA * eps) * eps / SIGMA, lambda eps: slope(f, MEAN + SIGMA * eps), tolerance=tolerance
    )
    assert score == pytest.approx(path, abs=2e-5 if name == "kink" else 1e-9)
    step = 1e-4
    above, below = expectation(lambda eps: f(MEAN + step + SIGMA * eps), lambda eps: f(MEAN - step + SIGMA * eps))
    assert score == pytest.approx((above - below) / (2 * step), rel=1e-5)


def test_the_score_of_the_noise_is_minus_the_logarithmic_derivative_of_its_density() -> None:
    action = torch.linspace(-1, 2, 7, dtype=torch.float64)
    mean = torch.full_like(action, MEAN).requires_grad_()
    density = torch.distributions.Normal(mean, SIGMA).log_prob(action)
    (by_mean,) = torch.autograd.grad(density.sum(), mean)
    torch.testing.assert_close(by_mean, (action - MEAN) / SIGMA**2)  # eps / sigma, with a = mu + sigma eps


@pytest.mark.parametrize("height", [1.0, -2.5])
def test_a_jump_leaves_its_height_times_the_density_at_the_edge(height: float) -> None:
    edge, k = 0.3, 4.0

    def f(a: Tensor) -> Tensor:
        return torch.cos(k * a) + height * (a > edge)

    score, path = expectation(
        lambda eps: f(MEAN + SIGMA * eps) * eps / SIGMA, lambda eps: -k * torch.sin(k * (MEAN + SIGMA * eps))
    )
    z = (MEAN - edge) / SIGMA
    boundary = height * math.exp(-z * z / 2) / (SIGMA * math.sqrt(2 * math.pi))
    assert score - path == pytest.approx(boundary, rel=1e-4)  # the midpoint rule meets a jump to within a node
    assert abs(boundary) > 0.5


# --- three readings of tau -------------------------------------------------------------------------------------------


def test_at_a_fixed_point_the_reward_has_no_derivative_and_along_the_noise_it_has() -> None:
    theta = torch.tensor(MEAN, dtype=torch.float64, requires_grad=True)
    f = SMOOTH["cosine"]
    eps = torch.linspace(-2, 2, 9, dtype=torch.float64)
    action = theta + SIGMA * eps
    observed = f(action.detach()) + 0 * theta
    (partial,) = torch.autograd.grad(observed.sum(), theta)
    (total,) = torch.autograd.grad(f(action).sum(), theta)
    assert partial == 0
    assert total.item() == pytest.approx(slope(f, action.detach()).sum().item())


def test_either_reading_alone_is_the_whole_gradient_and_an_explicit_parameter_adds_to_both() -> None:
    """R_theta(a) = cos(10 a + 1) + theta^2 a: dJ/dtheta by differences of J, and by both readings."""

    def f(theta: Tensor, a: Tensor) -> Tensor:
        return SMOOTH["cosine"](a) + theta**2 * a

    def objective(theta: float) -> float:
        return expectation(lambda eps: f(torch.tensor(theta, dtype=torch.float64), theta + SIGMA * eps))[0]

    theta = torch.tensor(MEAN, dtype=torch.float64)
    explicit, score, path = expectation(
        lambda eps: 2 * theta * (theta + SIGMA * eps),
        lambda eps: f(theta, theta + SIGMA * eps) * eps / SIGMA,
        lambda eps: slope(lambda a: f(theta, a), theta + SIGMA * eps),
    )
    truth = (objective(MEAN + 1e-5) - objective(MEAN - 1e-5)) / 2e-5
    assert score + explicit == pytest.approx(truth, rel=1e-6)
    assert path + explicit == pytest.approx(truth, rel=1e-6)
    assert abs(explicit) > 0.01 * abs(truth)


def test_the_likelihood_ratio_holds_neither_reward_nor_dynamics() -> None:
    """log p_theta of an observed trajectory, with a law of the world that is nobody's business: d log pi alone."""
    gain = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    states = torch.tensor([1.0, 0.6, 0.9, 0.2], dtype=torch.float64)
    actions = torch.tensor([-0.5, 0.3, -0.9], dtype=torch.float64)
    rewards = torch.tensor([0.2, -0.1, 0.4], dtype=torch.float64)
    policy = torch.distributions.Normal(gain * states[:-1], SIGMA).log_prob(actions)
    world = torch.distributions.Normal(torch.sin(states[:-1]) * actions, 0.2).log_prob(states[1:])
    paid = torch.distributions.Normal(states[:-1] * actions, 0.5).log_prob(rewards)
    (whole,) = torch.autograd.grad((policy + world + paid).sum(), gain)
    eps = (actions - gain.detach() * states[:-1]) / SIGMA
    assert whole.item() == pytest.approx((eps / SIGMA * states[:-1]).sum().item(), rel=1e-12)


# --- the limit -------------------------------------------------------------------------------------------------------


def moment(f: Function, sigma: float, power: int = 1) -> float:
    """`E (f(mu + sigma eps) eps / sigma)^power`, to rounding."""
    return expectation(lambda eps: (f(MEAN + sigma * eps) * eps / sigma) ** power)[0]


@pytest.mark.parametrize("name", ["polynomial", "cosine"])
def test_the_derivative_of_the_density_tends_to_that_of_a_delta(name: str) -> None:
    """-∫ f p' -> f'(mu); the distance is sigma^2 / 2 f'''(mu) in the limit."""
    f = SMOOTH[name]
    limit = slope(f, torch.tensor(MEAN, dtype=torch.float64)).item()
    third = {"polynomial": 6.0, "cosine": 1000 * math.sin(10 * MEAN + 1)}[name]
    for sigma in (0.01, 0.003):
        assert moment(f, sigma) - limit == pytest.approx(sigma**2 / 2 * third, rel=0.02)


def test_at_a_jump_there_is_no_limit() -> None:
    for sigma in (0.01, 0.001):
        found = moment(lambda a: (a > MEAN).to(a), sigma)
        assert found == pytest.approx(1 / (sigma * math.sqrt(2 * math.pi)), rel=1e-4)


def test_reinforces_second_moment_grows_like_the_reward_over_the_noise_unless_a_baseline_takes_it_away() -> None:
    f = SMOOTH["cosine"]
    mean = torch.tensor(MEAN, dtype=torch.float64)
    at, first = f(mean).item(), slope(f, mean).item()
    for sigma, tolerance in ((0.001, 0.01), (0.0001, 1e-4)):
        assert moment(f, sigma, power=2) == pytest.approx((at / sigma) ** 2, rel=tolerance)
        assert moment(lambda a: f(a) - at, sigma, power=2) == pytest.approx(3 * first**2, rel=tolerance)


# --- random variables that depend on a parameter ---------------------------------------------------------------------


def pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Nodes of two independent standard normals and their weights, by Gauss and Hermite's rule: (60, 60) each."""
    nodes, weights = hermegauss(60)
    first, second = np.meshgrid(nodes, nodes, indexing="ij")
    return (
        torch.from_numpy(first),
        torch.from_numpy(second),
        torch.from_numpy(np.outer(weights, weights) / (2 * math.pi)),
    )


def test_a_turned_normal_pair_moves_and_keeps_its_law() -> None:
    """E of the derivative of R(rotated pair) is 0, as the law does not change; the derivative itself is not."""
    first, second, weights = pairs()
    angle = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    turned = torch.cos(angle) * first - torch.sin(angle) * second, torch.sin(angle) * first + torch.cos(angle) * second
    values = torch.sin(turned[0]) * turned[1] ** 2 + turned[0] * torch.cos(turned[1])
    jacobian = torch.autograd.functional.jvp(
        lambda t: torch.sin(torch.cos(t) * first - torch.sin(t) * second), angle.detach(), torch.ones_like(angle)
    )[1]
    assert jacobian.square().mul(weights).sum() > 0.1
    (mean,) = torch.autograd.grad((values * weights).sum(), angle)
    assert mean.item() == pytest.approx(0.0, abs=1e-10)


def test_two_representations_differ_by_sample_and_agree_in_the_mean() -> None:
    """N(0, theta^2 I) as theta eps and as theta times eps turned by theta: f(x) = x_1^2 + sin x_1 x_2."""
    first, second, weights = pairs()

    def f(x: Tensor, y: Tensor) -> Tensor:
        return x**2 + torch.sin(x) * y

    theta = torch.tensor(0.6, dtype=torch.float64)
    slopes = []
    for turn in (0.0, 1.0):

        def represented(t: Tensor, turn: float = turn) -> Tensor:
            c, s = torch.cos(turn * t), torch.sin(turn * t)
            return f(t * (c * first - s * second), t * (s * first + c * second))

        slopes.append(torch.autograd.functional.jvp(represented, theta, torch.ones_like(theta))[1])
    assert (slopes[0] - slopes[1]).abs().max() > 0.1
    means = [(each * weights).sum().item() for each in slopes]
    assert means[0] == pytest.approx(means[1], abs=1e-10)
    assert means[0] == pytest.approx(2 * 0.6, abs=1e-10)  # E x^2 = theta^2, E sin(x) y = 0


# --- stochastic rewards ----------------------------------------------------------------------------------------------


def test_pathwise_drops_added_noise_and_differentiates_noise_that_depends_on_the_action() -> None:
    """r = cos a + rho(a) w, w normal: the mean gradient is that of cos; samples hold rho'(a) w."""
    nodes, weight = (torch.from_numpy(each) for each in hermegauss(40))
    weights = weight / math.sqrt(2 * math.pi)
    for rho in (lambda a: 0.5 + 0 * a, lambda a: a**2):
        mean = torch.full((40, 40), MEAN, dtype=torch.float64, requires_grad=True)
        action = mean + SIGMA * nodes[:, None]
        (slopes,) = torch.autograd.grad((torch.cos(action) + rho(action) * nodes).sum(), mean)
        expected = (slopes * weights[:, None] * weights).sum()
        assert expected.item() == pytest.approx(-math.sin(MEAN) * math.exp(-(SIGMA**2) / 2), abs=1e-12)
        varies = slopes.std(1).max().item() > 1e-9
        assert varies == (rho(torch.tensor(2.0)) == 4.0)
