"""Global inverse-variance mixture: the pathwise and the score-function gradient, combined for the least variance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.estimators._mixture import Mixture, inverse_variance_weight
from scorepath.pullback import trace_variances
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class InverseVariance(Mixture):
    """Approximates grad J_sigma. With `delta_t = k * pathwise_t + (1 - k) * leave_one_out_t`, one k per batch.

    `k = V_score / (V_score + V_pathwise)`, the traces of the two sample covariances, which is optimal for independent
    parents. These come from the same rollouts, so they covary: with `covariance`, C being the trace of their cross
    covariance, `k = (V_score - C) / (V_score + V_pathwise - 2 C)`, which may leave [0, 1]. `weights` names the
    rollouts that k is computed from: the same_batch or an independent_batch. Requires differentiable dynamics,
    continuous actions and sigma > 0.
    """

    covariance: bool = False

    source: ClassVar[str] = "Parmas et al. 2018; Suh et al. 2022, lemma 4.4"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"weights": "independent_batch"},
        {"covariance": True},
        {"covariance": True, "weights": "independent_batch"},
    )

    def weigh(self, trajectories: Trajectories, pathwise: Tensor, score: Tensor) -> Tensor:
        score_variance = trace_variances(trajectories, score)
        pathwise_variance = trace_variances(trajectories, pathwise)
        if not self.covariance:
            return inverse_variance_weight(pathwise_variance, score_variance)[:, None]
        # V_score + V_pathwise - 2 C is the variance of the difference, so C itself is not needed
        difference = trace_variances(trajectories, score - pathwise)
        shift = (score_variance - pathwise_variance) / (2 * difference)
        return torch.where(difference > 0, 0.5 + shift, torch.full_like(shift, 0.5))[:, None]
