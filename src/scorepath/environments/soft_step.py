"""The softened step: a linear ramp. Unbiased for pathwise, but narrow ramps are seldom seen by a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from scorepath.environments._gaussian import expected_ramp
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
        return state, expected_ramp(action[..., 0] - self.edge, self.width)

    def smoothed(self, width: float) -> SoftStep:
        """A ramp longer by this width, in units of action."""
        return replace(self, width=self.width + width)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)[0]
        return expected_ramp(mean - self.edge, self.width, sigma)

    def crossing_noise(self, rival: str, averaged: frozenset[str]) -> tuple[float, ...] | None:
        """In the middle of the ramp, where `width / sigma` has the value `EQUAL_WIDTHS`."""
        if averaged or self.edge != 0 or rival not in EQUAL_WIDTHS:
            return None
        return (self.width / EQUAL_WIDTHS[rival],)

    def flat_probability(self, sigma: float) -> float | None:
        """That the action, of mean 0, falls beside the ramp."""
        ends = ((self.edge + sign * self.width / 2) / (sigma * math.sqrt(2)) for sign in (-1, 1))
        low, high = map(math.erf, ends)
        return 1 - (high - low) / 2


EQUAL_WIDTHS = {"reinforce": 0.780476, "leave_one_out": 1.517493, "optimal_constant": 1.517493}
"""Widths, in standard deviations of the noise, at which the variances of pathwise and of a rival are equal.

They are the roots of `p (1 - p) / w^2 = E[((f - b) eps)^2] - (p / w)^2` with `p = 2 Phi(w / 2) - 1`, f the ramp and
b = 0, or 1/2, which is here the mean and the best constant. (Leave-one-out has the mean's but for 1 / N of it.)"""
