"""Total propagation, mixing at the action: the mixture of later steps is what earlier steps are differentiated by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from scorepath.adjoint import linearise
from scorepath.environments.base import Environment
from scorepath.estimators._mixture import Mixture, total_propagation
from scorepath.estimators.leave_one_out import leave_one_out_credit
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class TotalPropagation(Mixture):
    """Approximates grad J_sigma. With `delta_t = k_t * p_t + (1 - k_t) * leave_one_out_t`, backwards in time.

    `p_t` is the derivative by the action as in backpropagation through time, except that what the later actions'
    dependence on the state adds to it is their mixed `delta`: see `scorepath.estimators._mixture`. `k_t` is the
    inverse-variance weight of step t's contributions to the gradient. `weights` names the rollouts that k is computed
    from: the same_batch or an independent_batch. Requires differentiable dynamics, normal action noise and sigma > 0.
    """

    source: ClassVar[str] = "Parmas et al. 2018, mixed at the action by Scorepath"
    needs_gaussian_noise: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"weights": "independent_batch"},)

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return "inverse_variance" if environment.horizon == 1 and self.weights == "same_batch" else None

    def mix(
        self, simulator: Simulator, draws: RolloutNoise, weights: Tensor | None = None
    ) -> tuple[Trajectories, Tensor, Tensor]:
        trajectories, parts = linearise(simulator, draws)
        score = leave_one_out_credit(trajectories)[..., None] * trajectories.score
        if trajectories.active is not None:
            score = score * trajectories.active[..., None]
        return trajectories, *total_propagation(parts, "action", score, weights)
