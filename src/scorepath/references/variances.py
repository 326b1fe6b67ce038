"""Exact variances of the basic estimators where they can be had: the lines that figures draw over measurements.

The variance is the trace of the covariance of one sample's gradient, or `batch_size` × the variance of a batch's mean
where samples interact. Three cases: any single decision whose return varies in one direction, by quadrature; the
quadratic in any dimension, in closed form; the scalar LQR, where return, score and pathwise derivative are quadratic
forms in one Gaussian vector.
"""

from __future__ import annotations

import math
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.policies import OpenLoop, Policy
from scorepath.references.quadrature import (
    LIMIT,
    decision_return,
    expectation,
    is_scalar_decision,
    normal_expectation,
    position,
)
from scorepath.rollout import Simulator

TOLERANCE = 1e-9
SCORE_FUNCTION = ("reinforce", "leave_one_out", "optimal_constant")


def exact_variance(method: str, simulator: Simulator, batch_size: int, tolerance: float = TOLERANCE) -> float | None:
    """Per-sample variance (trace) of an estimator of grad J_sigma, or None where no exact formula is at hand.

    Args:
        method: reinforce (no baseline), leave_one_out, optimal_constant (b* known), pathwise, or
            measure_valued (coupled, for every coordinate).
        simulator: see the module's first lines; open-loop landscapes (measure_valued with one action coordinate
            only, the quadratic excepted), and lqr with one state, one action, linear feedback and zero initial mean
            (there without measure_valued, and leave_one_out for a single step only). Rewards without noise, and
            normal action noise. Its parameters are one vector (P,) in float64; at sigma = 0 there is None.
        batch_size: N, which only leave_one_out depends on; it needs at least 2.
        tolerance: of the quadratures, relative to the size of what they integrate.
    """
    environment, policy, parameters, sigma = (
        simulator.environment, simulator.policy, simulator.parameters, simulator.sigma,
    )  # fmt: skip
    if sigma == 0 or (method == "leave_one_out" and batch_size < 2) or environment.reward_noise > 0:
        return None
    if isinstance(environment, LQR):
        return _scalar_lqr(method, environment, policy, parameters, sigma, batch_size)
    if not isinstance(policy, OpenLoop):
        return None
    if isinstance(environment, Quadratic):
        return _quadratic(method, environment, policy, parameters, sigma, batch_size)
    if is_scalar_decision(environment):
        return _scalar_decision(method, environment, policy, parameters, sigma, batch_size, tolerance)
    return None


Number = TypeVar("Number", float, Tensor)


class ScoreMoments(NamedTuple, Generic[Number]):
    """What the variances of score-function estimators are made of: moments of the return R and the score S."""

    gradient_square: Number  # |E[R S]|^2
    second: Number  # E[R^2 |S|^2]
    centred: Number  # E[(R - E R)^2 |S|^2]
    return_variance: Number  # Var R
    score_square: Number  # E|S|^2
    weighted: Number  # E[R |S|^2]


def score_function_variance(method: str, moments: ScoreMoments[Number], batch_size: int) -> Number:
    """Variance of `R S`, or of the leave-one-out `(R_i - mean_{j != i} R_j) S_i` as N × the variance of its batch mean.

    Of the optimal constant it is that with `b* = E[R |S|^2] / E|S|^2` known, which many samples come to.

    The batch mean of leave-one-out is the unbiased sample covariance of R and S, whose variance is
    `(E[(R - E R)^2 |S|^2] - (N-2)/(N-1) |E[R S]|^2 + Var R E|S|^2 / (N-1)) / N` (any textbook on U-statistics).
    """
    if method == "reinforce":
        return moments.second - moments.gradient_square
    if method == "optimal_constant":
        return moments.second - moments.weighted * moments.weighted / moments.score_square - moments.gradient_square
    pairs = batch_size - 1
    interaction = moments.return_variance * moments.score_square / pairs
    return moments.centred - (batch_size - 2) / pairs * moments.gradient_square + interaction


def _scalar_decision(
    method: str,
    environment: Environment,
    policy: Policy,
    parameters: Tensor,
    sigma: float,
    batch_size: int,
    tolerance: float = TOLERANCE,
) -> float | None:
    """Quadrature over the noise along the one direction; in D - 1 others the return is flat, but the score is not."""
    mean = position(environment, environment.first_mean(policy, parameters.detach()))
    dimension = environment.action_dim

    def score_square(eps: Tensor) -> Tensor:
        return (eps.square() + dimension - 1) / sigma**2

    if method in SCORE_FUNCTION:

        def raw(eps: Tensor) -> Tensor:
            returns = decision_return(environment, mean + sigma * eps)
            weights = score_square(eps)
            return torch.stack([returns, returns * eps / sigma, returns.square() * weights, returns * weights])

        (expected, gradient, second, weighted), _ = normal_expectation(raw, tolerance)

        def centred(eps: Tensor) -> Tensor:
            square = (decision_return(environment, mean + sigma * eps) - expected).square()
            return torch.stack([square, square * score_square(eps)])

        (return_variance, centred_second), _ = normal_expectation(centred, tolerance)
        moments = ScoreMoments(
            gradient.item() ** 2, second.item(), centred_second.item(), return_variance.item(), dimension / sigma**2,
            weighted.item(),
        )  # fmt: skip
        return score_function_variance(method, moments, batch_size)

    if method == "pathwise":
        if not environment.differentiable:
            return None

        def signals(eps: Tensor) -> Tensor:
            action = (mean + sigma * eps).requires_grad_()
            (slope,) = gradients(decision_return(environment, action).sum(), (action,))
            return torch.stack([slope, slope.square()])

        (first, second), _ = normal_expectation(signals, tolerance)
        return float(second - first.square())

    if method == "measure_valued" and dimension == 1:

        def differences(rho: Tensor) -> Tensor:
            above = decision_return(environment, mean + sigma * rho)
            below = decision_return(environment, mean - sigma * rho)
            signal = (above - below) / (sigma * math.sqrt(2 * math.pi))
            return torch.stack([signal, signal.square()])

        def rayleigh(rho: Tensor) -> Tensor:
            return rho * torch.exp(-rho.square() / 2)

        (first, second), _ = expectation(differences, rayleigh, 0.0, LIMIT, tolerance)
        return float(second - first.square())
    return None


def _quadratic(
    method: str, environment: Quadratic, policy: Policy, parameters: Tensor, sigma: float, batch_size: int
) -> float | None:
    """Gaussian moments of `R = -|d + sigma eps|^2` with `d = mu - offset` in D dimensions."""
    dimension, variance = environment.dimension, sigma**2
    distance = (environment.first_mean(policy, parameters.detach()) - environment.offset).square().sum().item()
    if method == "pathwise":
        return 4 * dimension * variance
    if method == "measure_valued":
        return distance * (16 / math.pi - 4)
    if method not in SCORE_FUNCTION:
        return None
    moments = ScoreMoments(
        gradient_square=4 * distance,
        second=distance**2 * dimension / variance
        + distance * (4 + 2 * dimension) * (dimension + 2)
        + variance * dimension * (dimension + 2) * (dimension + 4),
        centred=4 * (dimension + 2) * distance + 2 * dimension * (dimension + 4) * variance,
        return_variance=4 * variance * distance + 2 * dimension * variance**2,
        score_square=dimension / variance,
        weighted=-(distance * dimension + variance * dimension * (dimension + 2)) / variance,
    )
    return score_function_variance(method, moments, batch_size)


def _scalar_lqr(
    method: str, environment: LQR, policy: Policy, parameters: Tensor, sigma: float, batch_size: int
) -> float | None:
    """Traces of the three quadratic forms, in one standard Gaussian vector."""
    scalar = environment.state_dim == environment.action_dim == 1 and environment.initial_mean == 0
    if not scalar or getattr(policy, "sizes", None) != (1, 1) or policy.parameter_count != 1:
        return None
    # over several steps leave-one-out uses rewards to go with a baseline per step, which these forms do not describe
    if method not in ("pathwise", *SCORE_FUNCTION) or (method == "leave_one_out" and environment.horizon > 1):
        return None
    a, b, m = lqr_forms(environment, parameters.item(), sigma)
    if method == "pathwise":
        return 2 * _trace(m, m)
    ab, bb = a @ b, b @ b
    mean, gradient = a.trace().item(), 2 * _trace(a, b)
    # E[(R - E R)^2 S^2] for S with mean 0, by Isserlis' theorem
    centred = 32 * _trace(a @ a, bb) + 16 * _trace(ab, ab) + 4 * _trace(a, a) * _trace(b, b) + 2 * gradient**2
    moments = ScoreMoments(
        gradient_square=gradient**2,
        second=centred + 16 * mean * _trace(a, bb) + 2 * mean**2 * _trace(b, b),
        centred=centred,
        return_variance=2 * _trace(a, a),
        score_square=2 * _trace(b, b),
        weighted=8 * _trace(a, bb) + 2 * mean * _trace(b, b),
    )
    return score_function_variance(method, moments, batch_size)


def lqr_forms(environment: LQR, gain: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Symmetric matrices A, B, M of a scalar LQR: return `z^T A z`, score `z^T B z`, pathwise derivative `z^T M z`.

    z stacks the standard normals of the start, of every action and of every step's process noise: 1 + 2 T of them.
    The derivative is with respect to the gain W of `a = W s + sigma eps`.
    """
    horizon, discount = environment.horizon, environment.discount
    dynamics, control = environment.dynamics[0][0], environment.control[0][0]
    basis = torch.eye(1 + 2 * horizon, dtype=torch.float64)
    state, slope = environment.initial_std * basis[0], torch.zeros_like(basis[0])  # s_t and d s_t / d W, as rows on z
    returns, score, pathwise = (torch.zeros_like(basis) for _ in range(3))
    for t in range(horizon):
        eps, noise = basis[1 + t], basis[1 + horizon + t]
        action, action_slope = gain * state + sigma * eps, state + gain * slope
        weight = discount**t
        returns = returns - weight * environment.state_cost * torch.outer(state, state)
        returns = returns - weight * environment.action_cost * torch.outer(action, action)
        pathwise = pathwise - 2 * weight * environment.state_cost * torch.outer(state, slope)
        pathwise = pathwise - 2 * weight * environment.action_cost * torch.outer(action, action_slope)
        score = score + torch.outer(state, eps) / sigma
        state = dynamics * state + control * action + environment.process_noise * noise
        slope = dynamics * slope + control * action_slope
    weight = discount**horizon * environment.terminal_cost
    returns = returns - weight * torch.outer(state, state)
    pathwise = pathwise - 2 * weight * torch.outer(state, slope)
    return returns, (score + score.mT) / 2, (pathwise + pathwise.mT) / 2


def _trace(left: Tensor, right: Tensor) -> float:
    """tr(left @ right) of square matrices."""
    return (left * right.mT).sum().item()
