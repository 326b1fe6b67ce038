"""The kink: flat on one side, linear on the other. The pathwise derivative is 0 or 1 and still unbiased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from scorepath.environments import _gaussian as gaussian
from scorepath.environments.base import Environment, ReferenceClass

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Relu(Environment):
    """`R = max(a - kink, 0)`, with `J_sigma = sigma (z Phi(z) + phi(z))` and `z = (mu - kink) / sigma`.

    Attributes:
        kink: where the slope jumps from 0 to 1.
    """

    source: ClassVar[str] = "Scorepath; after the call option of Glasserman 2003, section 7.2"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    kink: float = 0.03

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, gaussian.expected_hinge(action[..., 0] - self.kink)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return gaussian.expected_hinge(self.first_mean(policy, parameters)[0] - self.kink, sigma)
