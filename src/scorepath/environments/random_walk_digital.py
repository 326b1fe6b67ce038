"""The digital payoff: 1 if the walk ends at the strike or above. The return jumps, wherever one stands in time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments import _gaussian as gaussian
from scorepath.environments._random_walk import RandomWalk
from scorepath.environments.base import require_positive


@dataclass(frozen=True, kw_only=True)
class RandomWalkDigital(RandomWalk):
    """`x' = x + a + process_noise * w` from `x_0 = 0` and `R = 1 if x_T >= strike else 0`, so that
    `J_sigma = Phi((sum_t mu_t - strike) / s)` with `s^2 = T (sigma^2 + process_noise^2)`.

    Attributes:
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on the position, per step.
        reward_noise: standard deviation of the noise on the reward per step.
        strike: the position from which on the walk pays.
    """

    source: ClassVar[str] = "Glasserman 2003, section 7.2"
    continuous: ClassVar[bool] = False

    def payoff(self, excess: Tensor, deviation: float = 0.0) -> Tensor:
        return gaussian.expected_step(excess, deviation)

    def smoothed(self, width: float) -> RandomWalk:
        """The payoff rises linearly from 0 to 1 over an interval of this width around the strike."""
        return _RandomWalkRamp(**asdict(self), width=width)

    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor:
        end = actions[..., 0].sum(-1, keepdim=True)
        if self.process_noise > 0:
            end = end + self.process_noise * process[..., 0].sum(-1, keepdim=True)
        return (actions[..., 0] + self.strike - end)[..., None, None]


@dataclass(frozen=True, kw_only=True)
class _RandomWalkRamp(RandomWalk):
    """The digital payoff with its jump spread over `width`."""

    source: ClassVar[str] = "Suh et al. 2022, section 3.6"

    width: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "width")

    def payoff(self, excess: Tensor, deviation: float = 0.0) -> Tensor:
        return gaussian.expected_ramp(excess, self.width, deviation)
