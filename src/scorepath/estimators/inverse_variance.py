"""Global inverse-variance mixture of the pathwise and the score-function gradient, weights from the same batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.estimators.leave_one_out import leave_one_out_signal
from scorepath.noise import Noise
from scorepath.pullback import trace_variances
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class InverseVariance(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = k * pathwise_t + (1 - k) * leave_one_out_t`, one k per batch.

    `k = V_score / (V_score + V_pathwise)`, the traces of the two sample covariances of that batch; both parents come
    from the same rollouts. Requires differentiable dynamics, continuous actions and sigma > 0.
    """

    source: ClassVar[str] = "Parmas et al. 2018; Suh et al. 2022, lemma 4.4"
    family: ClassVar[str] = "mixture"
    bias: ClassVar[str] = "O(1 / batch size): the weight depends on the batch; where pathwise is biased, so is the mix"
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True
    couples_samples: ClassVar[bool] = True
    mixes: ClassVar[tuple[str, ...]] = ("leave_one_out", "pathwise")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout, differentiable=True)
        pathwise = trajectories.action_gradient(trajectories.returns)
        trajectories = trajectories.detach()
        score = leave_one_out_signal(trajectories)
        score_variance = trace_variances(trajectories, score)
        total = score_variance + trace_variances(trajectories, pathwise)
        # two parents without any spread are equally good
        weight = torch.where(total > 0, score_variance / total, torch.full_like(total, 0.5))
        weight = weight.to(pathwise)[:, None, None, None]
        return trajectories, weight * pathwise + (1 - weight) * score
