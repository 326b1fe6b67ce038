"""Central finite differences along the coordinates of the parameters, with common random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.estimators._perturbation import PerturbationEstimator, central_slopes
from scorepath.noise import Noise
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class CentralDifferences(PerturbationEstimator):
    """Approximates grad J_sigma. With `g = P * (R(theta + c e_i) - R(theta - c e_i)) / (2 c) * e_i`.

    c = `perturbation`, P the number of parameters. Each sample differentiates along one coordinate i drawn uniformly,
    weighted by P: the expectation is that of all P differences, at one pair of rollouts instead of P. The price at
    equal cost is a variance higher by (P - 1) times the squared norm of the gradient. Both rollouts share all
    trajectory noise. Requires nothing of the environment; one sample is one pair.
    """

    source: ClassVar[str] = "Kiefer & Wolfowitz 1952; Glasserman & Yao 1992"
    bias: ClassVar[str] = "O(perturbation^2) where J_sigma is smooth; none where it is quadratic in every parameter"

    def batch_gradients(self, simulator: Simulator, noise: Noise) -> Tensor:
        count = simulator.policy.parameter_count
        coordinate = (noise.draw("coordinate", (), "uniform") * count).long().clamp_max(count - 1)
        directions = torch.nn.functional.one_hot(coordinate, count).to(noise.rollout.action)
        return count * central_slopes(simulator, noise, directions, self.perturbation)[..., None] * directions
