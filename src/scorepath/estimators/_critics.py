"""Values fitted to earlier trajectories: ridge regression on quadratic features, one fit per step and batch."""

from __future__ import annotations

import torch
from torch import Tensor

from scorepath.rollout import Trajectories

EVERY_STEP = slice(None)
NO_VARIANCE = 1e-18
"""A feature whose variance is below this is taken for one that never varies."""


def fitted_state_values(past: Trajectories, observations: Tensor, ridge: float, steps: slice = EVERY_STEP) -> Tensor:
    """V_t(o_t), discounted to time 0, from a ridge regression of G_t on quadratic features, one per step and batch.

    The value depends on t because the horizon is finite. For linear dynamics with quadratic costs the features span
    the exact value function. It can be differentiated by the observations.

    Args:
        past: earlier trajectories, (batches, past samples, horizon, ...).
        observations: where to evaluate, (batches, samples, steps, observation_dim).
        ridge: penalty per sample on the coefficients of the standardised features.
        steps: which those are.

    Returns:
        (batches, samples, steps), float64.
    """
    rows, targets = past.observations[:, :, steps], past.rewards_to_go[:, :, steps]
    return _fitted(rows, targets, observations, ridge)


def fitted_action_values(past: Trajectories, observations: Tensor, actions: Tensor, ridge: float) -> Tensor:
    """Q_t(o_t, a_t) likewise, on quadratic features of observation and action together; differentiable by both.

    Args:
        past: earlier trajectories, (batches, past samples, horizon, ...).
        observations: where to evaluate, (batches, samples, horizon, observation_dim).
        actions: likewise, (batches, samples, horizon, action_dim).
        ridge: penalty per sample on the coefficients of the standardised features.

    Returns:
        (batches, samples, horizon), float64.
    """
    rows = torch.cat([past.observations, past.actions], dim=-1)
    return _fitted(rows, past.rewards_to_go, torch.cat([observations, actions], dim=-1), ridge)


def _fitted(inputs: Tensor, targets: Tensor, queries: Tensor, ridge: float) -> Tensor:
    """Regression of targets (batches, past samples, steps) on inputs (..., D): its values at queries (..., D)."""
    linear = _rows(inputs)
    samples, size = linear.shape[-1], linear.shape[-2]
    products = [linear[..., i : i + 1, :] * linear[..., i:, :] for i in range(size)]
    # every feature x_i and x_i x_j (i <= j), and last the target: (batches, steps, features + 1, past samples)
    rows = torch.cat([linear, *products, _rows(targets.unsqueeze(-1))], dim=-2)
    centre = rows.mean(-1)
    rows -= centre.unsqueeze(-1)
    covariance = rows @ rows.mT / samples
    gram, moments = covariance[..., :-1, :-1], covariance[..., :-1, -1:]
    # the penalty is on the coefficients of standardised features; one that never varies gets coefficient 0
    variances = gram.diagonal(dim1=-2, dim2=-1)
    scales = variances * samples / (samples - 1)
    variances += ridge * torch.where(scales > NO_VARIANCE, scales, 1.0)
    weights = torch.cholesky_solve(moments, torch.linalg.cholesky(gram)).squeeze(-1)
    constant = centre[..., -1:] - (centre[..., :-1] * weights).sum(-1, keepdim=True)
    # the same function as x (b + A x)
    matrix = weights.new_zeros(*weights.shape[:-1], size, size)
    first, second = torch.triu_indices(size, size, device=weights.device)
    matrix[..., first, second] = weights[..., size:]
    queries = _rows(queries)
    values = (queries * (weights[..., :size, None] + matrix @ queries)).sum(-2) + constant
    return values.transpose(1, 2)


def _rows(values: Tensor) -> Tensor:
    """From (batches, samples, steps, D) to rows over the samples, in float64: (batches, steps, D, samples)."""
    return values.permute(0, 2, 3, 1).to(torch.float64, memory_format=torch.contiguous_format)
