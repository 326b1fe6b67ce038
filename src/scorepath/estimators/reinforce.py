"""REINFORCE: the whole return times the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class Reinforce(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = R * eps_t / sigma`. Requires nothing but returns and sigma > 0."""

    source: ClassVar[str] = "Williams 1992"
    family: ClassVar[str] = "score_function"
    bias: ClassVar[str] = "unbiased for every return, continuous or not"

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout)
        return trajectories, trajectories.returns[..., None, None] * trajectories.score
