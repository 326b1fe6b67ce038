"""The linear-quadratic regulator: its recursion against expectations, the literature and Riccati equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg
import torch
from tests.helpers.problems import at, matrix_lqr, system
from tests.helpers.rules import central_differences, gauss_hermite, normals, plain_returns
from torch import Tensor

from scorepath.environments.base import make_policy
from scorepath.environments.lqr import LQR
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

LQR_CASES = [
    (matrix_lqr(horizon=2, initial_mean=0.7, discount=0.9, terminal_cost=2.0), "linear"),
    (matrix_lqr(horizon=2, initial_mean=0.7, discount=0.9, process_noise=0.3), "open_loop"),
    (LQR(horizon=3, process_noise=0.2, dynamics=((1.2,),)), "linear"),
]


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize(("environment", "kind"), LQR_CASES, ids=system)
def test_lqr_recursion_is_the_expectation_of_the_return(environment: LQR, kind: str, sigma: float) -> None:
    policy = make_policy(environment, kind)
    theta = torch.linspace(-0.8, 0.5, policy.parameter_count, dtype=torch.float64)
    start = Simulator(environment, policy, theta, sigma)
    z, weights = gauss_hermite(2, normals(environment))  # R is quadratic

    def objective(parameters: Tensor) -> Tensor:
        return weights @ plain_returns(replace(start, parameters=parameters), z)

    exact = exact_reference(start)
    assert exact.objective == pytest.approx(objective(start.parameters).item(), rel=1e-11)
    torch.testing.assert_close(exact.gradient, central_differences(objective, start.parameters), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("gain", [0.0, 0.4, 1.7])
def test_scalar_lqr_matches_the_published_recursion(gain: float) -> None:
    """m' = alpha² m + b² sigma² + sigma_w², dm' = alpha² dm - 2 b alpha m, with a = -K x and alpha = a - b K."""
    sigma, environment = 0.3, LQR(horizon=12, terminal_cost=3.0)
    a, b, q, r = 0.9, 0.5, environment.state_cost, environment.action_cost
    alpha, m, dm, cost, slope = a - b * gain, environment.initial_std**2, 0.0, 0.0, 0.0
    for _ in range(environment.horizon):
        cost += (q + r * gain**2) * m + r * sigma**2
        slope += 2 * r * gain * m + (q + r * gain**2) * dm
        m, dm = alpha**2 * m + b**2 * sigma**2 + environment.process_noise**2, alpha**2 * dm - 2 * b * alpha * m
    cost, slope = cost + environment.terminal_cost * m, slope + environment.terminal_cost * dm
    exact = exact_reference(at(environment, -gain, sigma))
    assert exact.objective == pytest.approx(-cost, rel=1e-13)
    assert exact.gradient.item() == pytest.approx(slope, rel=1e-13)  # R = -cost and W = -K: two signs cancel


def test_scalar_lqr_is_stationary_at_the_riccati_gain() -> None:
    a, b, q, r = 1.2, 0.5, 1.0, 0.1
    value = scipy.linalg.solve_discrete_are([[a]], [[b]], [[q]], [[r]]).item()
    gain = a * b * value / (r + b**2 * value)
    environment = LQR(horizon=50, dynamics=((a,),), control=((b,),), terminal_cost=value)
    below, best, above = (exact_reference(at(environment, -k, 0.1)) for k in (gain - 0.1, gain, gain + 0.1))
    assert best.objective > max(below.objective, above.objective)
    slopes = [abs(each.gradient.item()) for each in (below, best, above)]
    assert slopes[1] < 1e-9 < 1e-2 < min(slopes[0], slopes[2])


def test_matrix_lqr_is_stationary_at_the_riccati_gain_per_step() -> None:
    """The difference of two long horizons leaves the average cost, without the effects of start and end."""
    a, b = np.array([[1.0, 0.1], [0.1, 1.0]]), np.array([[0.0], [0.1]])
    value = scipy.linalg.solve_discrete_are(a, b, np.eye(2), 0.1 * np.eye(1))
    gain = np.linalg.solve(0.1 * np.eye(1) + b.T @ value @ b, b.T @ value @ a)

    def average_gradient(weights: np.ndarray) -> float:
        theta = torch.tensor(weights.T.reshape(-1))
        gradients = []
        for horizon in (200, 400):
            system = {"dynamics": a.tolist(), "control": b.tolist()}
            environment = LQR(horizon=horizon, process_noise=0.05, **system)
            gradients.append(exact_reference(at(environment, theta, 0.0)).gradient)
        return (gradients[1] - gradients[0]).norm().item() / 200

    assert average_gradient(-gain) < 1e-8
    assert average_gradient(-gain * 1.05) > 1e-4


def test_lqr_refuses_hidden_layers() -> None:
    policy = make_policy(LQR(), "mlp", (4,))
    with pytest.raises(ValueError, match="affine"):
        exact_reference(Simulator(LQR(), policy, torch.zeros(policy.parameter_count, dtype=torch.float64), 0.1))
