"""The step landscape: the return jumps, so its derivative is zero wherever it exists and pathwise sees nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass

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
        return state, self._indicator(action[..., 0])

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)[0]
        return torch.special.ndtr((mean - self.edge) / sigma) if sigma > 0 else self._indicator(mean)

    def _indicator(self, action: Tensor) -> Tensor:
        """1 from the edge on; the zero term keeps the action in the autograd graph, with derivative 0."""
        return (action >= self.edge).to(action.dtype) + 0 * action
