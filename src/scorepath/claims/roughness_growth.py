"""Roughness grows exponentially with the horizon in chaos, and linearly on a limit cycle."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from scorepath.claims._lab import Claim, Finding, Lab, about, near, second_moments, slope
from scorepath.environments.angle_doubling import AngleDoubling


def experiment(lab: Lab) -> Iterator[Finding]:
    """Root mean square of the derivative of the last state's reward by an early action."""
    short, long = (
        second_moments(lab.sample("pathwise", lab.at(AngleDoubling(doublings=steps, noise_at="start"), 1.0)))
        for steps in (4, 4 + lab.setting("steps", 4))
    )
    yield Finding(
        "angle doubling, T = 4 to 8: roughness grows by ln 2 = 0.693 per step in the logarithm (within 5 %)",
        slope(long, short, 8), math.log(2), near(math.log(2), 0.05),
    )  # fmt: skip
    rough = [_oscillator(lab, periods) for periods in (40, lab.setting("periods", 80))]
    yield Finding(
        "van der Pol oscillator, 40 to 80 periods: roughness in its stiffness grows as T^1 (within 0.2)",
        slope(rough[1], rough[0], 2 * math.log(2)), 1.0, about(1.0, 0.2),
    )  # fmt: skip


def _oscillator(lab: Lab, periods: int) -> np.ndarray:
    """Squared derivatives of the last position by the damping, at 256 dampings in 16 batches."""
    damping = torch.from_numpy(lab.generator("damping").uniform(0.5, 1.5, 256)).requires_grad_()
    x, v = torch.full_like(damping, 2.0), torch.zeros_like(damping)
    dt = 0.1
    for _ in range(int(periods * 2 * math.pi / dt)):
        v = v + dt * (damping * (1 - x.square()) * v - x)
        x = x + dt * v
    (slopes,) = torch.autograd.grad(x.sum(), damping)
    squares: np.ndarray = slopes.square().numpy().reshape(16, 16).mean(0)
    return squares


CLAIM = Claim(
    source="arXiv 2506.03889 (abstract)",
    prediction=("Roughness of the return grows exponentially with the horizon in chaos, linearly on limit cycles."),
    experiment=experiment,
    mutants=({"steps": 6, "periods": 40},),
)
