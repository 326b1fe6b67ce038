"""Values fitted to earlier trajectories: ridge regression on quadratic features, one fit per step and batch."""

from __future__ import annotations

import torch
from torch import Tensor

from scorepath.rollout import Trajectories

EVERY_STEP = slice(None)


def quadratic_features(inputs: Tensor) -> Tensor:
    """`[1, x, x_i x_j (i <= j)]` of inputs (..., D) in float64: (..., 1 + D + D (D + 1) / 2)."""
    inputs = inputs.double()
    products = [inputs[..., i : i + 1] * inputs[..., i:] for i in range(inputs.shape[-1])]
    return torch.cat([torch.ones_like(inputs[..., :1]), inputs, *products], dim=-1)


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
    features = quadratic_features(inputs.transpose(1, 2))  # (batches, steps, past samples, features)
    targets = targets.double().transpose(1, 2).unsqueeze(-1)
    samples = features.shape[-2]
    centre, target_centre = features.mean(-2, keepdim=True), targets.mean(-2, keepdim=True)
    centred = features - centre
    gram, moments = centred.mT @ centred / samples, centred.mT @ (targets - target_centre) / samples
    # a feature that never varies (the constant, an unvisited corner) gets scale 1 and coefficient 0
    spread = (gram.diagonal(dim1=-2, dim2=-1) * samples / (samples - 1)).sqrt().unsqueeze(-1)
    scale = torch.where(spread > 1e-9, spread, torch.ones_like(spread))
    # the features are standardised where it is cheap: in their products, and in their coefficients
    factor = torch.linalg.cholesky(gram / (scale * scale.mT) + ridge * torch.eye(scale.shape[-2]).to(gram))
    weights = torch.cholesky_solve(moments / scale, factor) / scale
    constant = (target_centre - centre @ weights).squeeze(-1)
    linear, matrix = _as_matrix(weights.squeeze(-1), queries.shape[-1])
    queries = queries.double().transpose(1, 2)
    values = ((queries @ matrix + linear.unsqueeze(-2)) * queries).sum(-1) + constant
    return values.transpose(1, 2)


def _as_matrix(weights: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The b (..., D) and A (..., D, D) of `x (b + A x)`, the same function as weights (...,) on quadratic features."""
    linear, quadratic = weights[..., 1 : 1 + size], weights[..., 1 + size :]
    matrix = weights.new_zeros(*linear.shape, size)
    rows, columns = torch.triu_indices(size, size, device=weights.device)
    matrix[..., rows, columns] = quadratic
    return linear, matrix
