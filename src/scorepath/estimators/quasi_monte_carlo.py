"""Randomised quasi-Monte Carlo: the action noises of a batch cover their space evenly instead of independently."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from scorepath.environments.base import Environment
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise, RolloutNoise, action_noise
from scorepath.rollout import Simulator, Trajectories

BITS = 30
"""Binary digits of torch's Sobol points."""


def shifted_sobol_points(noise: Noise, dimension: int) -> Tensor:
    """Sobol points under one random digital shift per batch, each uniform on (0, 1): (batches, samples, dimension).

    A digital shift flips the same binary digits of all points, so every dyadic box holds as many as before. Points lie
    in the middle of cells of width 2^-30: none is 0 or 1. float64.
    """
    points = SobolEngine(dimension).draw(noise.samples, dtype=torch.float64).to(noise.device)
    # noise is drawn per sample; the first one's serves the whole batch
    shift = noise.draw("digital shift", (dimension,), "uniform")[:, :1].double()
    digits = (points * 2**BITS).long() ^ (shift * 2**BITS).long()
    return (digits + 0.5) / 2**BITS


@dataclass(frozen=True, kw_only=True)
class QuasiMonteCarlo(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = G_t * eps_t / sigma`, eps from digitally shifted Sobol points.

    The points have a coordinate for every step and action coordinate; initial, process and reward noise stay
    independent. Works best with batches of a power of two. Requires returns, sigma > 0 and at most 21201 coordinates.
    """

    source: ClassVar[str] = "L'Ecuyer & Lemieux 2002; Arnold et al. 2022"
    bias: ClassVar[str] = "unbiased: the random shift makes every single point uniform"
    couples_samples: ClassVar[bool] = True

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        if environment.horizon * environment.action_dim > SobolEngine.MAXDIM:
            return f"more than {SobolEngine.MAXDIM} noises per trajectory, the dimensions of the Sobol sequence"
        return super().not_applicable(environment, sigma)

    def draws(self, simulator: Simulator, noise: Noise) -> RolloutNoise:
        drawn = noise.rollout
        points = shifted_sobol_points(noise, simulator.environment.horizon * simulator.environment.action_dim)
        even = action_noise(simulator.environment, points).to(drawn.action).view_as(drawn.action)
        return drawn._replace(action=even)

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return trajectories.rewards_to_go
