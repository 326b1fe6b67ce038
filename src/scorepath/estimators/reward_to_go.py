"""Reward-to-go: an action is only credited with what came after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class RewardToGo(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = G_t * eps_t / sigma`. Requires returns and sigma > 0."""

    source: ClassVar[str] = "Sutton, McAllester, Singh & Mansour 2000"
    bias: ClassVar[str] = "unbiased: earlier rewards do not depend on later noise"

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        only_one_reward = environment.terminal_reward_only and environment.reward_noise == 0
        return "reinforce" if environment.horizon == 1 or only_one_reward else None

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return trajectories.rewards_to_go
