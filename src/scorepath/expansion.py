"""Whether the dynamics expand: how an action's effect on the last state grows with the steps in between.

Action signals grow backwards in time for three reasons: an early action collects more rewards, a state that decays
leaves late actions little to do, and dynamics that expand magnify what was done. The last alone is instability. So what
is followed here is the derivative of the last state, in which no reward occurs; and what integrators make of it, a
power of the steps in between, is left out: only exponential growth is expansion.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator


def expansion_rate(simulator: Simulator, noise: RolloutNoise) -> tuple[float, float, float]:
    """Of `log E abs(d s_T / d a_t)^2` per step, the policy's answers included, with 95 % limits over the batches.

    The squared norm of the derivative is that of its product with normal numbers, on average.
    """
    trajectories = simulator.rollout(noise, differentiable=True, keep_steps=True)
    end = trajectories.states[-1]
    weights = torch.randn(end.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(end)
    effect = trajectories.action_gradient((end * weights).sum())[..., : simulator.environment.action_dim]
    if trajectories.active is not None:
        effect = torch.where(trajectories.active[..., None], effect, 0.0)
    return exponential_rate(effect.square().sum(-1).mean(1))


def exponential_rate(squares: Tensor) -> tuple[float, float, float]:
    """The b of `log squares = a + b k + c log k`, c >= 0, for k steps to the last that has any, with 95 % limits.

    squares are (batches, steps); the limits are Student's over batches; nan where fewer than three steps are positive
    and finite in every batch.
    """
    seen = ((squares > 0) & squares.isfinite()).all(0).numpy()
    steps = np.flatnonzero(seen)
    if len(steps) < 3:
        return math.nan, math.nan, math.nan
    back = steps[-1] - steps + 1.0
    logarithms = squares.double().log().numpy()[:, seen].T
    columns = np.stack([np.ones_like(back), back, np.log(back)], 1)
    both = np.linalg.lstsq(columns, logarithms, rcond=None)[0]
    alone = np.linalg.lstsq(columns[:, :2], logarithms, rcond=None)[0]
    rates = np.where(both[2] >= 0, both[1], alone[1])
    mean, count = rates.mean(), len(rates)
    half = stdtrit(count - 1, 0.975) * rates.std(ddof=1) / math.sqrt(count)
    return float(mean), float(mean - half), float(mean + half)
