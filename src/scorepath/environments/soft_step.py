"""The softened step: a linear ramp. Unbiased for pathwise, but narrow ramps are seldom seen by a batch."""

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
class SoftStep(Environment):
    """`R` rises linearly from 0 to 1 over the interval of length `width` centred at `edge`.

    A ramp is a difference of two hinges and `E max(z + eps, 0) = z Phi(z) + phi(z)`, which gives J_sigma.

    Attributes:
        edge: centre of the ramp.
        width: its length nu, in units of action.
    """

    source: ClassVar[str] = "Suh et al. 2022, section 3.6"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    edge: float = 0.1
    width: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.width > 0:
            raise ValueError(f"width must be positive, got {self.width}; the family `step` is the limit of width 0")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, self._ramp(action[..., 0])

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)[0]
        if sigma == 0:
            return self._ramp(mean)
        start = (mean - self.edge + self.width / 2) / sigma
        end = (mean - self.edge - self.width / 2) / sigma
        return sigma / self.width * (_expected_hinge(start) - _expected_hinge(end))

    def _ramp(self, action: Tensor) -> Tensor:
        return ((action - self.edge) / self.width + 0.5).clamp(0, 1)


def _expected_hinge(z: Tensor) -> Tensor:
    """`E max(z + eps, 0)` for a standard normal eps; its derivative is Phi(z)."""
    below: Tensor = z * torch.special.ndtr(z)
    return below + torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
