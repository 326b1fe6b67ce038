"""The softened step: a linear ramp. Unbiased for pathwise, but narrow ramps are seldom seen by a batch."""

from __future__ import annotations

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
