"""The quadratic landscape: one decision, the smoothest case, where every variance is known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class Quadratic(Environment):
    """`R = -sum_d (a_d - offset)^2`, with `J_sigma = -sum_d (mu_d - offset)^2 - dimension * sigma^2`.

    Attributes:
        dimension: number of action coordinates D.
        offset: where the maximum lies, in every coordinate.
    """

    source: ClassVar[str] = "Mohamed et al. 2020, section 3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    dimension: int = 1
    offset: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimension < 1:
            raise ValueError(f"dimension must be at least 1, got {self.dimension}")

    @property
    def action_dim(self) -> int:
        return self.dimension

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, -(action - self.offset).square().sum(-1)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        mean = self.first_mean(policy, parameters)
        return -(mean - self.offset).square().sum() - self.dimension * sigma**2
