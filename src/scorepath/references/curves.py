"""Exact lines over the noise level: gradient norms and variances at many levels at once.

For one decision whose return varies in one direction, the return and its derivative are evaluated once, at nodes whose
distance grows with the distance from the mean (`x = x_0 sinh u`, u on a midpoint rule): they are as dense for every
noise level, so that all levels and all estimators are weighted sums of the same evaluations. Elsewhere each level is
asked for by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.environments._jacobians import gradients
from scorepath.environments.quadratic import Quadratic
from scorepath.policies import OpenLoop
from scorepath.references.exact import exact_reference
from scorepath.references.quadrature import CHUNK, LIMIT, decision_return, is_scalar_decision, position
from scorepath.references.variances import SCORE_FUNCTION, ScoreMoments, exact_variance, score_function_variance
from scorepath.rollout import Simulator

NODES = 2**18
"""A jump or kink at distance a from the mean is placed to within 1e-4 a: errors stay below 1e-3, and a test says so."""


class Curves(NamedTuple):
    """Values at so many noise levels; a method without a formula has no line."""

    gradient_norm: Tensor  # (levels,)
    variances: dict[str, Tensor]  # by method, each (levels,)


def exact_curves(
    simulator: Simulator, sigmas: Sequence[float], methods: Iterable[str], batch_size: int, nodes: int = NODES
) -> Curves:
    """Exact norm of the gradient and per-sample variances at every noise level.

    They are off by at most 1e-3, relative to the larger of 1 and the value.

    Args:
        simulator: an environment with an exact reference, its policy, one vector of parameters (P,) in float64; its
            noise level does not matter.
        sigmas: noise levels, all positive.
        methods: whose variance is wanted, see `exact_variance`.
        batch_size: N, which leave_one_out depends on.
        nodes: fewer are quicker; the error above is that of the default.
    """
    environment = simulator.environment
    methods = list(methods)
    one_direction = is_scalar_decision(environment) and isinstance(simulator.policy, OpenLoop)
    if one_direction and environment.reward_noise == 0 and not isinstance(environment, Quadratic):
        return _of_one_decision(simulator, torch.tensor(sigmas, dtype=torch.float64), set(methods), batch_size, nodes)
    levels = [simulator.with_sigma(sigma) for sigma in sigmas]
    norms = torch.stack([exact_reference(level).gradient.norm() for level in levels])
    variances = {}
    for method in methods:
        if exact_variance(method, levels[0], batch_size) is not None:
            values = [exact_variance(method, level, batch_size) for level in levels]
            variances[method] = torch.tensor(values, dtype=torch.float64)
    return Curves(norms, variances)


def _of_one_decision(simulator: Simulator, sigmas: Tensor, methods: set[str], batch_size: int, nodes: int) -> Curves:
    environment = simulator.environment
    theta = simulator.parameters.detach().requires_grad_()
    mean = position(environment, environment.first_mean(simulator.policy, theta))
    (direction,) = torch.autograd.grad(mean, theta, materialize_grads=True)
    distances, widths = _nodes(sigmas, nodes)
    differentiable = environment.differentiable and "pathwise" in methods
    returns, slopes = _evaluate(simulator, mean.detach() + distances, differentiable)

    eps = distances / sigmas[:, None]
    weights = widths / sigmas[:, None] * torch.exp(-eps.square() / 2) / math.sqrt(2 * math.pi)
    scores = eps / sigmas[:, None]
    gradient = (weights * scores) @ returns
    variances: dict[str, Tensor] = {}

    if wanted := methods.intersection(SCORE_FUNCTION):
        dimension = environment.action_dim  # in all other directions the return is flat, but the score is not
        squares = scores.square() + (dimension - 1) / sigmas[:, None] ** 2
        centred = (returns - (weights @ returns)[:, None]).square()
        moments = ScoreMoments(
            gradient_square=gradient.square(),
            second=(weights * squares) @ returns.square(),
            centred=(weights * squares * centred).sum(-1),
            return_variance=(weights * centred).sum(-1),
            score_square=dimension / sigmas.square(),
            weighted=(weights * squares) @ returns,
        )
        for method in wanted:
            if method != "leave_one_out" or batch_size >= 2:
                variances[method] = score_function_variance(method, moments, batch_size)
    if differentiable:
        variances["pathwise"] = weights @ slopes.square() - (weights @ slopes).square()
    if "measure_valued" in methods and environment.action_dim == 1:
        half = slice(len(distances) // 2, None)
        differences = (returns - returns.flip(0))[half] / (sigmas[:, None] * math.sqrt(2 * math.pi))
        rayleigh = widths[half] / sigmas[:, None] * eps[:, half] * torch.exp(-eps[:, half].square() / 2)
        first, second = (rayleigh * differences).sum(-1), (rayleigh * differences.square()).sum(-1)
        variances["measure_valued"] = second - first.square()
    return Curves(gradient.abs() * direction.norm(), variances)


def _nodes(sigmas: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Distances from the mean and the lengths that they stand for, symmetric about 0: both (nodes,)."""
    inner, outer = sigmas.min(), LIMIT * sigmas.max()
    edge = torch.asinh(outer / inner)
    step = 2 * edge / nodes
    u = (torch.arange(nodes, dtype=torch.float64) + 0.5) * step - edge
    return inner * torch.sinh(u), step * inner * torch.cosh(u)


def _evaluate(simulator: Simulator, actions: Tensor, differentiable: bool) -> tuple[Tensor, Tensor]:
    """Returns and their derivatives at these positions, a chunk at a time."""
    returns, slopes = [], []
    for part in actions.split(CHUNK):
        action = part.detach().requires_grad_(differentiable)
        value = decision_return(simulator.environment, action)
        if differentiable:
            slopes.append(gradients(value.sum(), (action,))[0])
        returns.append(value.detach())
    return torch.cat(returns), torch.cat(slopes) if slopes else torch.zeros(0, dtype=torch.float64)
