"""Values fitted to earlier trajectories: ridge regression on quadratic features, one fit per step and batch."""

from __future__ import annotations

import torch
from torch import Tensor

from scorepath.rollout import Trajectories


def quadratic_features(observations: Tensor) -> Tensor:
    """`[1, o, o_i o_j (i <= j)]` of observations (..., O) in float64: (..., 1 + O + O (O + 1) / 2)."""
    observations = observations.double()
    rows, columns = torch.triu_indices(observations.shape[-1], observations.shape[-1], device=observations.device)
    products = observations[..., rows] * observations[..., columns]
    return torch.cat([torch.ones_like(observations[..., :1]), observations, products], dim=-1)


def fitted_state_values(past: Trajectories, observations: Tensor, ridge: float) -> Tensor:
    """V_t(o_t), discounted to time 0, from a ridge regression of G_t on quadratic features, one per step and batch.

    The value depends on t because the horizon is finite. For linear dynamics with quadratic costs the features span
    the exact value function.

    Args:
        past: earlier trajectories, (batches, past samples, horizon, ...).
        observations: where to evaluate, (batches, samples, horizon, observation_dim).
        ridge: penalty per sample on the coefficients of the standardised features.

    Returns:
        (batches, samples, horizon), float64.
    """
    features = quadratic_features(past.observations).transpose(1, 2)  # (batches, horizon, past samples, features)
    targets = past.rewards_to_go.double().transpose(1, 2).unsqueeze(-1)
    centre, target_centre = features.mean(-2, keepdim=True), targets.mean(-2, keepdim=True)
    # a feature that never varies (the constant, an unvisited corner) gets scale 1 and coefficient 0
    spread = features.std(-2, keepdim=True)
    scale = torch.where(spread > 1e-9, spread, torch.ones_like(spread))
    design = (features - centre) / scale
    identity = torch.eye(design.shape[-1], dtype=design.dtype, device=design.device)
    gram = design.mT @ design / design.shape[-2] + ridge * identity
    weights = torch.linalg.solve(gram, design.mT @ (targets - target_centre) / design.shape[-2])
    query = (quadratic_features(observations).transpose(1, 2) - centre) / scale
    return (query @ weights + target_centre).squeeze(-1).transpose(1, 2)
