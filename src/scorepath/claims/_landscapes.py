"""Landscapes that only claims need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass


@dataclass(frozen=True, kw_only=True)
class Linear(Environment):
    """`R = sum_d a_d`.

    Attributes:
        dimension: number of action coordinates D.
    """

    source: ClassVar[str] = "Mohamed et al. 2020, section 4.3.3"
    reference_class: ClassVar[ReferenceClass] = "closed_form"

    dimension: int = 1

    @property
    def action_dim(self) -> int:
        return self.dimension

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, action.sum(-1)
