"""The return along a line of parameters, with action noise and without: what the smoothing of a landscape looks like.

A line leads through a policy in a direction of its parameters. The smoothed objective `J_sigma` on it is exact wherever
there is an exact objective, and a mean over simulated trajectories elsewhere. Of these all points of a line, and all
noise levels, see the same random numbers, so that its shape is much surer than its height.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from scorepath.intervals import Estimate, mean_estimates
from scorepath.noise import Noise, Stream
from scorepath.references.estimates import action_shifts
from scorepath.references.exact import exact_objective, reference_class
from scorepath.references.quadrature import is_scalar_decision, objectives, position
from scorepath.rollout import Simulator

POINTS = 49
"""An odd number: the policy itself is the one in the middle."""
LOOKED_AT = 9
"""Points by which the length of a line is chosen."""
TAME = 10.0
"""How many times the range of its inner half a line's range may be; of a parabola around its vertex it is 4 times."""
HALVINGS = 12
MOST_TRAJECTORIES = 64
STEPS = 2_000_000
"""Environment steps that all lines of an environment may simulate, where the objective is not exact."""
SEARCH = 10
"""Or that part of what the search for its policies may, where that is less."""


class Line(NamedTuple):
    """Returns along a line through a policy."""

    distances: np.ndarray  # (points,), from the policy along the unit direction, in units of the parameters
    returns: Estimate  # (levels, points) each; limits are the value where it is exact
    paired: Estimate  # likewise, with limits of the difference from the policy's own return, as if that were known


def trajectories_of(simulator: Simulator, lines: int) -> int:
    """How many trajectories each point of so many lines is simulated with; 0 where the objective is exact."""
    environment = simulator.environment
    if reference_class(environment, simulator.policy) != "certified_monte_carlo":
        return 0
    steps = min(STEPS, environment.search_steps / SEARCH) / (lines * POINTS * environment.horizon)
    return int(min(MOST_TRAJECTORIES, max(4, steps)))


def line(
    simulator: Simulator, direction: Tensor, sigmas: Sequence[float], stream: Stream, trajectories: int
) -> Line | None:
    """The return at every noise level along a line that leads through the simulator's policy.

    Its ends move the actions by the largest noise level, in the root mean square over a trajectory and to first order.
    Where the return there dwarfs all that happens nearer to the policy, as in an unstable loop, it is halved until
    it does not. Points where the return is not finite stay so.

    Args:
        simulator: environment, policy and one vector of parameters (P,); its noise level does not matter.
        direction: (P,), of any length.
        sigmas: noise levels; at 0 it is the return of the noiseless policy.
        stream: where random numbers come from.
        trajectories: of each point, see `trajectories_of`.

    Returns:
        None where the direction is none: it is zero, or not finite.
    """
    length = direction.norm()
    if not (length > 0 and length.isfinite()):
        return None
    unit = direction.double() / length
    widest = simulator.with_sigma(max(sigmas) or 1.0)
    (shift,) = action_shifts(widest, stream, unit[None])
    far = widest.sigma * simulator.environment.horizon**0.5 / float(shift) if shift > 0 else 1.0
    for _ in range(HALVINGS):
        values = _returns(widest, unit, torch.linspace(-far, far, LOOKED_AT), stream, trajectories).mean(-1)
        if np.isfinite(values).all() and np.ptp(values) <= TAME * np.ptp(values[LOOKED_AT // 4 : -(LOOKED_AT // 4)]):
            break
        far /= 2
    half = POINTS // 2
    distances = torch.arange(-half, half + 1, dtype=torch.float64) / half * far  # exactly 0 in the middle
    found = np.stack([_returns(simulator.with_sigma(s), unit, distances, stream, trajectories) for s in sigmas])
    estimate = mean_estimates if trajectories else _exactly
    own = found[:, half, None]
    paired = Estimate(*(each + own.mean(-1) for each in estimate(found - own)))
    return Line(distances.numpy(), estimate(found), paired)


def _exactly(values: np.ndarray) -> Estimate:
    """Numbers that no chance enters, (..., 1)."""
    value = values[..., 0]
    return Estimate(value, value, value, np.ones_like(value))


def _returns(simulator: Simulator, unit: Tensor, distances: Tensor, stream: Stream, trajectories: int) -> np.ndarray:
    """The exact objective, (points, 1), or simulated returns, (points, trajectories)."""
    moved = simulator.parameters.double() + distances.double()[:, None] * unit
    environment, policy, sigma = simulator.environment, simulator.policy, simulator.sigma
    if is_scalar_decision(environment) and not policy.log_std:
        means = [position(environment, environment.first_mean(policy, each)) for each in moved]
        return objectives(environment, torch.stack(means), sigma)[:, None].numpy()
    if trajectories == 0:
        return np.array([[exact_objective(Simulator(environment, policy, each, sigma))] for each in moved])
    noise = Noise(environment, stream, [0], trajectories).rollout
    noise = type(noise)(*(draws.expand(len(moved), *draws.shape[1:]) for draws in noise))
    return Simulator(environment, policy, moved.float(), sigma).returns(noise).double().numpy()


class Episode(NamedTuple):
    """One trajectory without action noise and process noise."""

    states: Tensor  # (horizon + 1, state_dim)
    actions: Tensor  # (horizon, action_dim)
    rewards: Tensor  # (horizon,), not discounted


def noiseless_episode(simulator: Simulator, stream: Stream) -> Episode:
    """What the policy does from one of its starts, drawn from the stream, if nothing disturbs it."""
    environment = simulator.environment
    noise = Noise(environment, stream, [0], 1, torch.float64).rollout
    still = noise._replace(action=0 * noise.action, process=0 * noise.process, reward=0 * noise.reward)
    found = simulator.with_sigma(0.0).rollout(still, keep_hidden=False, keep_steps=True)
    discounts = environment.discount ** torch.arange(environment.horizon, dtype=torch.float64)
    return Episode(torch.stack(list(found.states), -2)[0, 0], found.actions[0, 0], found.rewards[0, 0] / discounts)
