"""The clipped pathwise gradient: no single trajectory's gradient is longer than a limit, whatever explodes in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.pullback import per_trajectory_gradients
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class ClippedPathwise(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = min(1, limit / |g|) dR / da_t`.

    g is the trajectory's own pathwise gradient by the parameters, so clipping comes before the mean over the batch:
    one exploding trajectory cannot drown the others. The default limit is about as long as gradients of one-decision
    landscapes get, so that it leaves those alone and cuts what many steps have multiplied.

    Requires differentiable dynamics and continuous actions.
    """

    limit: float = 10.0

    source: ClassVar[str] = "Metz et al. 2021"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "biased: long gradients count less than short ones; also blind to jumps, as pathwise is"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"limit": 1.0},)

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"limit must be positive, got {self.limit}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories, signal = backpropagate(simulator, noise.rollout)
        # in double precision: squares of float32 overflow long before gradients do
        norms = torch.cat([chunk.double().norm(dim=-1) for chunk in per_trajectory_gradients(trajectories, signal)])
        scale = (self.limit / norms).clamp_max(1.0)  # a gradient of zero has scale 1
        return trajectories, scale.to(signal)[..., None, None] * signal
