"""The bump: a narrow hill on a plain, where every derivative dies away from the top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_positive

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Bump(Environment):
    """`R = exp(-steepness * (a - offset)^2)`, with `J_sigma = q^(-1/2) exp(-steepness * (mu - offset)^2 / q)`.

    Noise widens the hill and lowers it: `q = 1 + 2 steepness sigma^2`.

    Attributes:
        steepness: k, per squared unit of action; the hill is about `k^(-1/2)` wide.
        offset: where its top lies.
    """

    source: ClassVar[str] = "Mohamed et al. 2020, section 3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    steepness: float = 10.0
    offset: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "steepness")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, torch.exp(-self.steepness * (action[..., 0] - self.offset).square())

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        distance = self.first_mean(policy, parameters)[0] - self.offset
        widening = 1 + 2 * self.steepness * sigma**2
        return torch.exp(-self.steepness * distance.square() / widening) / math.sqrt(widening)
