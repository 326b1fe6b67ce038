"""The measure-valued derivative: the difference between two rollouts that branch at one action."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._branching import Branching, branching_steps
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class MeasureValued(ActionSignalEstimator):
    """Approximates grad J_sigma. With, for each action coordinate, `delta = c / sigma * (R(a+) - R(a-))`.

    Here `a+- = mu +- sigma * rho+-`, `rho+-` are Rayleigh(1) variates and `c = 1 / sqrt(2 pi)`. Coupled, both branches
    share one variate; otherwise each has its own. Either way they share all other noise: the action's other
    coordinates, later actions, process and reward. Coupling does not always help: on `-(a - k)^2` it has the smaller
    variance only while `|mu - k| < sqrt(2 / (4 - pi)) sigma`, about 1.526 sigma.

    Each trajectory branches at one step drawn uniformly, weighted by the horizon: unbiased, at two branches per action
    coordinate instead of two per coordinate and step. Requires normal action noise, sigma > 0 and a simulator that can
    be restarted. Cost: the steps before the branch, then two branches per coordinate. (This code replays branches
    from the start, where they share all noise.)
    """

    coupled: bool = True

    source: ClassVar[str] = "Pflug 1989; Mohamed et al. 2020; Carvalho et al. 2021"
    family: ClassVar[str] = "measure_valued"
    bias: ClassVar[str] = "unbiased for every return, continuous or not"
    needs_gaussian_noise: ClassVar[bool] = True
    needs_fixed_std: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"coupled": False},)

    def environment_steps(self, environment: Environment) -> float:
        return branching_steps(environment, 2 * environment.action_dim)

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        action_dim = simulator.environment.action_dim
        trajectories, branching = simulator.rollout(noise.rollout), Branching.at_random_steps(simulator, noise)
        above = (2 * noise.draw("branch distance", (action_dim,), "exponential")).sqrt()
        below = above
        if not self.coupled:
            below = (2 * noise.draw("branch distance below", (action_dim,), "exponential")).sqrt()
        differences = [
            branching.returns(coordinate, above[..., coordinate])
            - branching.returns(coordinate, -below[..., coordinate])
            for coordinate in range(action_dim)
        ]
        weight = 1 / (math.sqrt(2 * math.pi) * simulator.sigma)
        return trajectories, branching.signal(weight * torch.stack(differences, dim=-1))
