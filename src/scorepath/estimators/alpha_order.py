"""Alpha-order batched gradient: inverse-variance weights, bounded by how far the parents disagree with confidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._mixture import inverse_variance_weight, require_weight_source
from scorepath.estimators.base import Estimator
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.zero_noise_baseline import ZeroNoiseBaseline
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class AlphaOrder(Estimator):
    """Approximates grad J_sigma. With `g = alpha * pathwise + (1 - alpha) * zero_noise_baseline`, independent batches.

    `alpha = V_0 / (V_0 + V_1)` (0: score function, 1: pathwise; traces of the sample covariances) unless that may err
    by more than `threshold`. With B the distance of the two means and `l = ln((P + 1) / failure_probability)`, the
    score function's mean is within `e = sqrt(2 V_0 l / N) + 2 bound l / (3 N)` of the gradient with confidence 1 -
    failure_probability (a vector Bernstein bound), and the rule is: alpha, if `alpha B + e <= threshold`, else
    `max(0, threshold - e) / B`. The scripts published with the paper pass the confidence, 0.95, as the
    `failure_probability`: set it to 0.95 for their behaviour. With `weights` from an `independent_batch`, alpha comes
    from two further batches and is independent of what it multiplies. Requires differentiable dynamics, continuous
    actions and sigma > 0.
    """

    weights: str = "same_batch"
    threshold: float = 1.0
    failure_probability: float = 0.05
    bound: float = 1.0

    source: ClassVar[str] = "Suh et al. 2022, section 4"
    family: ClassVar[str] = "mixture"
    bias: ClassVar[str] = (
        "same batch: O(1 / batch size), for alpha depends on what it multiplies; independent batch: unbiased where "
        "pathwise is; elsewhere the threshold is to bound the bias"
    )
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True
    couples_samples: ClassVar[bool] = True
    mixes: ClassVar[tuple[str, ...]] = ("pathwise", "zero_noise_baseline")
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"failure_probability": 0.95},
        {"weights": "independent_batch"},
    )

    def __post_init__(self) -> None:
        require_weight_source(self.weights)
        if not self.threshold >= 0:
            raise ValueError(f"threshold must not be negative, got {self.threshold}")
        if not 0 < self.failure_probability < 1:
            raise ValueError(f"failure_probability must lie in (0, 1), got {self.failure_probability}")
        if not self.bound >= 0:
            raise ValueError(f"bound must not be negative, got {self.bound}")

    def unbiased(self, environment: Environment) -> bool:
        return self.weights == "independent_batch" and environment.continuous and super().unbiased(environment)

    def environment_steps(self, environment: Environment) -> float:
        once = Pathwise().environment_steps(environment) + ZeroNoiseBaseline().environment_steps(environment)
        return once * (1 if self.weights == "same_batch" else 2)

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterator[Tensor]:
        parents = self.parents(simulator, noise)
        weighed = None
        if self.weights == "independent_batch":
            weighed = self.parents(simulator, noise.independent("weights"))
        for zeroth, first in parents:
            alpha = self.weight(*next(weighed) if weighed else (zeroth, first)).to(first)[:, None, None]
            yield alpha * first + (1 - alpha) * zeroth

    def parents(self, simulator: Simulator, noise: Noise) -> Iterator[tuple[Tensor, Tensor]]:
        """Per-trajectory gradients of the score function and of pathwise, in the same chunks."""
        score_function = ZeroNoiseBaseline().gradients(simulator, noise.independent("score function"))
        return zip(score_function, Pathwise().gradients(simulator, noise), strict=True)

    def weight(self, zeroth: Tensor, first: Tensor) -> Tensor:
        """alpha of each batch, (batches,), from the per-trajectory gradients (batches, N, P) of both parents."""
        zeroth, first = zeroth.double(), first.double()
        samples, parameters = zeroth.shape[1:]
        zeroth_variance, first_variance = (each.var(1).sum(-1) for each in (zeroth, first))
        distance = (first.mean(1) - zeroth.mean(1)).norm(dim=-1)
        odds = math.log((parameters + 1) / self.failure_probability)
        error = (2 * zeroth_variance * odds / samples).sqrt() + 2 * self.bound * odds / (3 * samples)
        alpha = inverse_variance_weight(first_variance, zeroth_variance)
        capped = (self.threshold - error).clamp_min(0) / distance
        return torch.where(alpha * distance + error <= self.threshold, alpha, capped)
