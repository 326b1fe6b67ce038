"""The step landscape: the return jumps, so its derivative is zero wherever it exists and pathwise sees nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from scorepath.environments._gaussian import expected_step
from scorepath.environments.base import Environment, ReferenceClass
from scorepath.environments.soft_step import SoftStep

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Step(Environment):
    """`R = 1 if a >= edge else 0`, with `J_sigma = Phi((mu - edge) / sigma)`.

    Attributes:
        edge: where the return jumps.
    """

    source: ClassVar[str] = "Suh et al. 2022, section 3.3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"
    continuous: ClassVar[bool] = False

    edge: float = 0.1

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, expected_step(action[..., 0] - self.edge)

    def smoothed(self, width: float) -> SoftStep:
        """The softened step of this width, in units of action."""
        return SoftStep(edge=self.edge, width=width, discount=self.discount)

    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor:
        return torch.full_like(actions, self.edge).unsqueeze(-1)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        return expected_step(self.first_mean(policy, parameters)[0] - self.edge, sigma)
