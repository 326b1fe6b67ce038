"""The constant baseline of least variance, for each sample estimated on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.pullback import per_trajectory_gradients
from scorepath.rollout import Trajectories


def optimal_constants(trajectories: Trajectories) -> Tensor:
    """`b* = E[R |S|^2] / E[|S|^2]` estimated for every sample on the other samples of its batch: (batches, samples).

    S is the score of a whole trajectory with respect to the parameters. Without other samples, or where their scores
    are all zero, it is 0. In float64, because a sample is left out by subtracting it from the sum.
    """
    scores = per_trajectory_gradients(trajectories, trajectories.score)
    weights = torch.cat([chunk.double().square().sum(-1) for chunk in scores])
    weighted = weights * trajectories.returns.double()
    others = weights.sum(1, keepdim=True) - weights
    return torch.where(others > 0, (weighted.sum(1, keepdim=True) - weighted) / others, 0.0)


@dataclass(frozen=True, kw_only=True)
class OptimalConstant(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = (R - b*) * eps_t / sigma`, `b* = E[R |S|^2] / E[|S|^2]`.

    S is the score of a whole trajectory with respect to the parameters, and b* the constant that makes the trace of the
    covariance of (R - b) S least. Each sample takes it from the others (cross-fitting with folds of one). It is the
    leave-one-out mean return where |S| never varies. Requires sigma > 0; two samples at least, or it is REINFORCE.
    """

    source: ClassVar[str] = "Weaver & Tao 2001; Greensmith, Bartlett & Baxter 2004"
    bias: ClassVar[str] = "unbiased: the baseline of a sample is estimated without that sample"
    couples_samples: ClassVar[bool] = True

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return (trajectories.returns - optimal_constants(trajectories).to(trajectories.returns))[..., None]
