"""What the action signals tell of the return as a function of the action noise: how rough it is, and how it grows.

With initial state and process noise given, the return is a function `f` of the noise `z = (sigma eps_0, ..., sigma
eps_{T-1})` of D = T m coordinates, and `delta_t = dR / dz_t`, feedback included. By parts (Stein 1981), for smooth f,

    sum_t E|(f - b) eps_t / sigma|^2 - sum_t E|delta_t|^2
        = D E[(f - b)^2] / sigma^2 + E|grad f|^2 + 2 E[(f - b) lap f],

the exact difference identity. First derivatives are enough for all of its terms, because

    sigma^2 E[(f - b) lap f] = sigma E[(f - b) eps . grad f] - sigma^2 E|grad f|^2.

Two ratios have no dimension. The *mean degree* `sigma^2 E|grad f|^2 / Var f` is, in Hermite's expansion of f, the mean
of the degrees, weighted with the variance of each: 1 where f is linear (Poincare's inequality: never less, where noise
is all that varies), (k sigma)^2 for a cosine whose waves are finer than the noise. The *roughness*
`sigma^2 tr Cov(grad f) / (D Var f)` leaves the linear part out: 0 where f is linear, and 1 where pathwise has as much
variance as the identity's first term gives to the score function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from scipy.special import stdtrit
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.noise import Noise
from scorepath.rollout import Simulator


@dataclass(frozen=True)
class SignalMoments:
    """Moments of returns R, rewards to go G_t, action noise eps and pathwise signals delta.

    | field | meaning |
    |---|---|
    | steps | T |
    | coordinates | D = T m, of the noise |
    | return_variance | Var R |
    | to_go_variance | `m sum_t Var G_t` |
    | slope | `sigma^2 sum_t E abs(delta_t)^2` |
    | signal_variance | `sigma^2 sum_t tr Cov(delta_t)` |
    | coherent_variance | `sigma^2 tr Cov(sum_t delta_t)`: that of one noise shared by all steps |
    | residual | `E (R - R_0)^2`, R_0 the return without action noise, all other noise being the same |
    | cross | `sigma sum_t E[(R - E R) eps_t . delta_t]` |
    | growth_rate | of `log E abs(delta_t)^2` per step backwards in time; `_low` and `_high` are 95 % limits |
    | growth_steps | from the first to the last step with a signal, which the rate is of; 0 without a rate |
    """

    steps: int
    coordinates: int
    return_variance: float
    to_go_variance: float
    slope: float
    signal_variance: float
    coherent_variance: float
    residual: float
    cross: float
    growth_rate: float
    growth_rate_low: float
    growth_rate_high: float
    growth_steps: int


def has_signals(environment: Environment) -> bool:
    """Whether these moments exist: normal action noise, and a return that can be differentiated by it."""
    return environment.differentiable and not environment.discrete_actions and not environment.moving_support


def signal_moments(simulator: Simulator, noise: Noise) -> SignalMoments:
    """The moments at a noise level above 0, from trajectories in several batches, which the limits are over."""
    trajectories, signal = backpropagate(simulator, noise.rollout)
    if trajectories.active is not None:
        signal = torch.where(trajectories.active[..., None], signal, 0.0)
    if trajectories.stds is not None:  # by the noise sigma eps, which the policy's own standard deviation multiplies
        signal = signal[..., : trajectories.stds.shape[-1]] * trajectories.stds
    sigma = simulator.sigma
    still = replace(simulator, sigma=0.0).rollout(noise.rollout)
    samples, dimension = signal.shape[:2].numel(), signal.shape[-1]
    spread = samples / (samples - 1)
    returns = trajectories.returns.flatten()
    centred = returns - returns.mean()
    along = (trajectories.action_noise * signal).sum((-1, -2)).flatten()
    squares = signal.square().sum(-1).mean(1)
    rate = growth_rate(squares)
    return SignalMoments(
        steps=signal.shape[2],
        coordinates=signal.shape[2] * dimension,
        return_variance=spread * centred.square().mean().item(),
        to_go_variance=dimension * trajectories.rewards_to_go.flatten(0, 1).var(0).sum().item(),
        slope=sigma**2 * signal.square().sum((-1, -2)).mean().item(),
        signal_variance=sigma**2 * signal.flatten(0, 1).var(0).sum().item(),
        coherent_variance=sigma**2 * signal.sum(2).flatten(0, 1).var(0).sum().item(),
        residual=(returns - still.returns.flatten()).square().mean().item(),
        cross=sigma * spread * (centred * along).mean().item(),
        growth_rate=rate[0],
        growth_rate_low=rate[1],
        growth_rate_high=rate[2],
        growth_steps=_span(squares),
    )


def growth_rate(squares: Tensor) -> tuple[float, float, float]:
    """The slope of log squares, (batches, steps), per step backwards in time, with Student's 95 % limits over batches.

    By least squares over the steps where every batch has a signal; nan where fewer than three have.
    """
    seen = _seen(squares)
    if seen.sum() < 3:
        return math.nan, math.nan, math.nan
    back = -torch.arange(len(seen), dtype=torch.float64)[seen]
    back = back - back.mean()
    slopes = (squares[:, seen].double().log() @ back) / back.square().sum()
    mean, count = slopes.mean().item(), len(slopes)
    half = float(stdtrit(count - 1, 0.975)) * slopes.std().item() / math.sqrt(count)
    return mean, mean - half, mean + half


def _seen(squares: Tensor) -> Tensor:
    """The steps where every batch has a signal."""
    return (squares > 0).all(0) & squares.isfinite().all(0)


def _span(squares: Tensor) -> int:
    """How many steps a growth rate is of."""
    steps = _seen(squares).nonzero()
    return int(steps[-1] - steps[0]) + 1 if len(steps) >= 3 else 0
