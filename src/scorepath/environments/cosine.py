"""The cosine landscape: one decision, one length scale, so that noise can be small or large against it."""

from __future__ import annotations

import math
from collections.abc import Mapping
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

    def exact_second_moments(self, sigma: float, averaged: frozenset[str]) -> Mapping[str, float] | None:
        """Over all phases, `u = (k sigma)^2`: `k^2 / 2`, `1 / (2 sigma^2)`, `[1 - (1 - u)^2 e^-u] / (2 sigma^2)`."""
        if averaged != {"phase"}:
            return None
        u = (self.frequency * sigma) ** 2
        score = 1 / (2 * sigma**2)
        optimal = score * (1 - (1 - u) ** 2 * math.exp(-u))
        return {"pathwise": self.frequency**2 / 2, "reinforce": score, "optimal_constant": optimal}

    def crossing_noise(self, rival: str, averaged: frozenset[str]) -> tuple[float, ...] | None:
        """Over all phases at `k sigma = 1`, with the optimal constant baseline and without one."""
        known = averaged == {"phase"} and rival in ("reinforce", "optimal_constant")
        return (1 / self.frequency,) if known else None
