"""The measure-valued derivative: the difference between two rollouts that branch at one action."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class MeasureValued(ActionSignalEstimator):
    """Approximates grad J_sigma. With, for each action coordinate, `delta = c / sigma * (R(a+) - R(a-))`.

    Here `a+- = mu +- sigma * rho` with one Rayleigh(1) variate `rho` for both branches (coupled), `c = 1 / sqrt(2 pi)`,
    and all other noise is shared. Each trajectory branches at one step drawn uniformly, weighted by the horizon:
    unbiased, at two branches per action coordinate instead of two per coordinate and step.

    Requires continuous actions, sigma > 0 and a simulator that can be restarted. Cost: the steps before the branch,
    then two branches per coordinate. (This code replays branches from the start, where they share all noise.)
    """

    source: ClassVar[str] = "Pflug 1989; Mohamed et al. 2020; Carvalho et al. 2021"
    family: ClassVar[str] = "measure_valued"
    bias: ClassVar[str] = "unbiased for every return, continuous or not"
    needs_gaussian_noise: ClassVar[bool] = True

    def environment_steps(self, environment: Environment) -> float:
        horizon, action_dim = environment.horizon, environment.action_dim
        before_branch = (horizon - 1) / 2
        from_branch_on = (horizon + 1) / 2
        return before_branch + 2 * action_dim * from_branch_on

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        horizon, action_dim = simulator.environment.horizon, simulator.environment.action_dim
        trajectories = simulator.rollout(noise.rollout)
        branch_step = (noise.draw("branch step", (1,), "uniform") * horizon).long().clamp_max(horizon - 1)
        at_branch = torch.nn.functional.one_hot(branch_step[..., 0], horizon).to(noise.rollout.action)
        rayleigh = (2 * noise.draw("branch distance", (action_dim,), "exponential")).sqrt()
        weight = horizon / (math.sqrt(2 * math.pi) * simulator.sigma)
        coordinates = []
        for coordinate in range(action_dim):
            branched = torch.zeros_like(noise.rollout.action)
            branched[..., coordinate] = at_branch
            distance = rayleigh[..., None, coordinate, None]
            unchanged = noise.rollout.action * (1 - branched)
            plus, minus = (
                simulator.rollout(noise.rollout._replace(action=unchanged + sign * distance * branched)).returns
                for sign in (1, -1)
            )
            coordinates.append((weight * (plus - minus))[..., None] * at_branch)
        return trajectories, torch.stack(coordinates, dim=-1)
