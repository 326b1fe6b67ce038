"""The cosine landscape: one decision, one length scale, so that noise can be small or large against it."""

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
class Cosine(Environment):
    """`R = cos(frequency * a + phase)`, with `J_sigma = exp(-frequency^2 sigma^2 / 2) cos(frequency * mu + phase)`.

    Attributes:
        frequency: k, in radians per unit of action.
        phase: in radians; away from multiples of pi the gradient at the initial mean 0 is not zero.
    """

    source: ClassVar[str] = "Mohamed et al. 2020, section 3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    frequency: float = 10.0
    phase: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.frequency > 0:
            raise ValueError(f"frequency must be positive, got {self.frequency}")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, torch.cos(self.frequency * action[..., 0] + self.phase)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)[0]
        return math.exp(-((self.frequency * sigma) ** 2) / 2) * torch.cos(self.frequency * mean + self.phase)
