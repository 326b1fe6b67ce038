"""Uniform actions on an interval that moves with the parameter: the score function has the wrong sign.

Interchanging derivative and integral leaves out what the moving ends of the support contribute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class UniformSupport(Environment):
    """`R = a - offset` for `a = (1 + mu) (1 + sigma u)`, u uniform on (-sqrt 3, sqrt 3): `J_sigma = 1 + mu - offset`.

    At `sigma = 1 / sqrt 3` the action is uniform on (0, theta) with `theta = 2 (1 + mu)`. The gradient is 1 at every
    sigma; the score function expects `-J / (1 + mu)`, which is -1 without an offset.

    Attributes:
        offset: subtracted from the action, as a constant baseline would be; it changes the expectation here.
    """

    source: ClassVar[str] = "Mohamed et al. 2020, section 4.3.2"
    reference_class: ClassVar[ReferenceClass] = "closed_form"
    moving_support: ClassVar[bool] = True

    offset: float = 0.0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, action[..., 0] - self.offset

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return 1 + self.first_mean(policy, parameters)[0] - self.offset
