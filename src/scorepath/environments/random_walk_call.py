"""The call payoff: what the walk ends above the strike. The return has a kink, which pathwise gradients survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments import _gaussian as gaussian
from scorepath.environments._random_walk import RandomWalk


@dataclass(frozen=True, kw_only=True)
class RandomWalkCall(RandomWalk):
    """`x' = x + a + process_noise * w` from `x_0 = 0` and `R = max(x_T - strike, 0)`, so that
    `J_sigma = s (z Phi(z) + phi(z))` with `z = (sum_t mu_t - strike) / s` and `s^2 = T (sigma^2 + process_noise^2)`.

    Attributes:
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on the position, per step.
        reward_noise: standard deviation of the noise on the reward per step.
        strike: the position from which on the walk pays.
    """

    source: ClassVar[str] = "Bachelier 1900; Glasserman 2003, section 7.2"

    def payoff(self, excess: Tensor, deviation: float = 0.0) -> Tensor:
        return gaussian.expected_hinge(excess, deviation)
