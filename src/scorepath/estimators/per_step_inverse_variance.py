"""Inverse-variance mixture with a weight per step: late actions, whose pathwise chains are short, may weigh anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._mixture import Mixture, inverse_variance_weight
from scorepath.pullback import step_trace_variances
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class PerStepInverseVariance(Mixture):
    """Approximates grad J_sigma. With `delta_t = k_t * pathwise_t + (1 - k_t) * leave_one_out_t`.

    `k_t = V_score,t / (V_score,t + V_pathwise,t)`, the trace variances over the batch of what step t alone contributes
    to the gradient, `(d mu(o_t) / d theta)^T delta_t`. `weights` names the rollouts that k is computed from: the
    same_batch or an independent_batch. Requires differentiable dynamics, continuous actions and sigma > 0.
    """

    source: ClassVar[str] = "Onoda 2026"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"weights": "independent_batch"},)

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return "inverse_variance" if environment.horizon == 1 and self.weights == "same_batch" else None

    def weigh(self, trajectories: Trajectories, pathwise: Tensor, score: Tensor) -> Tensor:
        return inverse_variance_weight(
            step_trace_variances(trajectories, pathwise), step_trace_variances(trajectories, score)
        )
