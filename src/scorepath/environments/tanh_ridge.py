"""A ridge in many dimensions: the slope is bounded however many there are, and with it the pathwise variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_positive


@dataclass(frozen=True, kw_only=True)
class TanhRidge(Environment):
    """`R = tanh(lipschitz * sum_d a_d / sqrt(dimension))`, which varies along one direction of unit length.

    The pathwise variance is at most `lipschitz^2`, whatever the dimension; the score function's grows with it.

    Attributes:
        dimension: number of action coordinates D.
        lipschitz: the steepest slope, per unit of action along the direction.
    """

    source: ClassVar[str] = (
        "Scorepath; Glasserman 2003, section 7.2, and Mohamed et al. 2020, section 5.3.2, for the bound"
    )
    reference_class: ClassVar[ReferenceClass] = "quadrature"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"dimension": 1}, {"dimension": 100})

    dimension: int = 10
    lipschitz: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dimension < 1:
            raise ValueError(f"dimension must be at least 1, got {self.dimension}")
        require_positive(self, "lipschitz")

    @property
    def action_dim(self) -> int:
        return self.dimension

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, torch.tanh(self.lipschitz / math.sqrt(self.dimension) * action.sum(-1))

    def ridge_direction(self) -> Tensor:
        return torch.full((self.dimension,), self.dimension**-0.5, dtype=torch.float64)
