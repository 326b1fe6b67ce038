"""REINFORCE: the whole return times the score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class Reinforce(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = R * eps_t / sigma`. Requires nothing but returns and sigma > 0."""

    source: ClassVar[str] = "Williams 1992"
    bias: ClassVar[str] = "unbiased for every return, continuous or not"

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return trajectories.returns[..., None]
