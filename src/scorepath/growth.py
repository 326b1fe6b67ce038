"""Does pathwise's signal grow exponentially backwards in time, as where the dynamics expand?

The signal of an early action sums the derivatives of all later rewards, so that it grows even where a step's Jacobian
is 1: by a power of the number of steps to go. What grows faster than any power is left when that power is fitted too.
"""

from __future__ import annotations

import math

import torch
from scipy.special import stdtrit
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.noise import Noise
from scorepath.rollout import Simulator

FEWEST = 4
"""Steps with a signal that a power and an exponential can be told apart by."""


def exponential_growth(simulator: Simulator, noise: Noise) -> tuple[float, float, float]:
    """The exponential rate of `E |delta_t|^2` per step backwards in time, with Student's 95 % limits over batches."""
    trajectories, signal = backpropagate(simulator, noise.rollout)
    if trajectories.active is not None:
        signal = torch.where(trajectories.active[..., None], signal, 0.0)
    return exponential_rate(signal.double().square().sum(-1).mean(1))


def exponential_rate(squares: Tensor) -> tuple[float, float, float]:
    """Of squares (batches, steps), beside a power of the steps to go that is not negative.

    By least squares over the steps where every batch has a signal; nan where there are fewer than `FEWEST`.
    """
    seen = (squares > 0).all(0) & squares.isfinite().all(0)
    if seen.sum() < FEWEST:
        return math.nan, math.nan, math.nan
    to_go = torch.arange(len(seen), 0, -1, dtype=torch.float64)[seen]
    logs = squares[:, seen].double().log().T
    one = torch.ones_like(to_go)
    with_power = torch.linalg.lstsq(torch.stack([to_go, one, to_go.log()], -1), logs).solution
    alone = torch.linalg.lstsq(torch.stack([to_go, one], -1), logs).solution
    rates = torch.where(with_power[2] > 0, with_power[0], alone[0])
    mean, count = rates.mean().item(), len(rates)
    half = float(stdtrit(count - 1, 0.975)) * rates.std().item() / math.sqrt(count)
    return mean, mean - half, mean + half
