"""A random landscape: a stationary Gaussian field of known correlation length, as a sum of random cosines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_not_negative, require_positive

if TYPE_CHECKING:
    from scorepath.policies import Policy


@dataclass(frozen=True, kw_only=True)
class FourierField(Environment):
    """`R = sqrt(2 / M) sum_j cos(k_j . a + phase_j)`, with `k_j` normal of covariance `I / correlation_length^2`.

    `J_sigma = sqrt(2 / M) sum_j exp(-|k_j|^2 sigma^2 / 2) cos(k_j . mu + phase_j)`. Over all fields the returns have
    mean 0, variance 1 and covariance `exp(-r^2 / (2 correlation_length^2))` at distance r. Each `field_seed` is one of
    them, the same at every `correlation_length` up to scale.

    Attributes:
        dimension: number of action coordinates D.
        correlation_length: l, in units of action.
        waves: their number M; the field is Gaussian in the limit of many.
        field_seed: which field.
    """

    source: ClassVar[str] = "Rahimi & Recht 2007, random Fourier features"
    reference_class: ClassVar[ReferenceClass] = "closed_form"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"dimension": 1}, {"dimension": 30})

    dimension: int = 3
    correlation_length: float = 0.3
    waves: int = 64
    field_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for knob in ("dimension", "waves"):
            if getattr(self, knob) < 1:
                raise ValueError(f"{knob} must be at least 1, got {getattr(self, knob)}")
        if self.waves * self.dimension > 10**7:
            raise ValueError(
                f"waves times dimension must be at most 1e7 to fit in memory, got {self.waves * self.dimension}"
            )
        require_positive(self, "correlation_length")
        require_not_negative(self, "field_seed")

    @property
    def action_dim(self) -> int:
        return self.dimension

    def waves_and_phases(self) -> tuple[Tensor, Tensor]:
        """The wave vectors k_j (M, D) and the phases (M,), in float64."""
        vectors, phases = _draw(self.dimension, self.waves, self.field_seed)
        return vectors / self.correlation_length, phases

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        vectors, phases = (values.to(action) for values in self.waves_and_phases())
        return state, math.sqrt(2 / self.waves) * torch.cos(action @ vectors.mT + phases).sum(-1)

    def expected_return(self, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
        vectors, phases = self.waves_and_phases()
        damping = torch.exp(-vectors.square().sum(-1) * sigma**2 / 2)
        mean = self.first_mean(policy, parameters)
        return math.sqrt(2 / self.waves) * damping @ torch.cos(vectors @ mean + phases)

    def exact_second_moments(self, sigma: float, averaged: frozenset[str]) -> Mapping[str, float] | None:
        """Over all fields: `D / l^2`, `D / sigma^2`, and the latter times a share with each field's own best constant.

        With `s = (sigma / l)^2` and `q = 1 + 2 s` that share is `1 - [(D + 2) (1 + s)^2 / q - 2] q^(-D/2 - 1) / D`,
        from `E[exp(-s |e - e'|^2 / 2) |e|^2 |e'|^2]` for two standard normal vectors.
        """
        if averaged != {"field_seed"}:
            return None
        s = (sigma / self.correlation_length) ** 2
        score = self.dimension / sigma**2
        return {
            "pathwise": self.dimension / self.correlation_length**2,
            "reinforce": score,
            "optimal_constant": score * _share_left(s, self.dimension),
        }

    def crossing_noise(self, rival: str, averaged: frozenset[str]) -> tuple[float, ...] | None:
        """Over all fields at `sigma = l` without a baseline; with the best constant at 0.72 l in one dimension."""
        if averaged != {"field_seed"} or rival not in ("reinforce", "optimal_constant"):
            return None
        if rival == "reinforce":
            return (self.correlation_length,)
        low, high = 0.01, 1.0  # of s: the share left, divided by s, falls
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if _share_left(middle, self.dimension) > middle else (low, middle)
        return (self.correlation_length * math.sqrt(low),)


def _share_left(s: float, dimension: int) -> float:
    """What the best constant leaves of the score function's second moment, averaged over all fields."""
    q = 1 + 2 * s
    return 1 - ((dimension + 2) * (1 + s) ** 2 / q - 2) * q ** (-dimension / 2 - 1) / dimension


@lru_cache(maxsize=64)
def _draw(dimension: int, waves: int, seed: int) -> tuple[Tensor, Tensor]:
    """Standard normal wave vectors (M, D) and uniform phases (M,): the same on every machine, and drawn once."""
    generator = np.random.Generator(np.random.Philox(seed))
    vectors = generator.standard_normal((waves, dimension))
    return torch.from_numpy(vectors), torch.from_numpy(generator.uniform(0, 2 * np.pi, waves))
