"""The two-scale landscape: a quadratic bowl under a fast ripple.

Noise wider than a ripple smooths it away and leaves the bowl, which the score function sees and pathwise, whose
derivative is all ripple, drowns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Ripple(Environment):
    """`R = -(x^2 / 2 + amplitude * cos(frequency * x))` with `x = a - offset`.

    `J_sigma = -((m^2 + sigma^2) / 2 + amplitude * exp(-frequency^2 sigma^2 / 2) cos(frequency * m))`,
    with `m = mu - offset`.

    Attributes:
        frequency: k of the ripple, in radians per unit of action.
        amplitude: A of the ripple; its slope reaches `amplitude * frequency`.
        offset: where the bowl is lowest in cost.
    """

    source: ClassVar[str] = "Scorepath; after Metz et al. 2021, section 3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    frequency: float = 20.0
    amplitude: float = 0.1
    offset: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.frequency > 0:
            raise ValueError(f"frequency must be positive, got {self.frequency}")
        if not self.amplitude >= 0:
            raise ValueError(f"amplitude must not be negative, got {self.amplitude}")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x = action[..., 0] - self.offset
        return state, -(x.square() / 2 + self.amplitude * torch.cos(self.frequency * x))

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)[0] - self.offset
        damping = math.exp(-((self.frequency * sigma) ** 2) / 2)
        bowl = (mean.square() + sigma**2) / 2
        return -(bowl + self.amplitude * damping * torch.cos(self.frequency * mean))
