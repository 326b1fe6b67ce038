"""The measure-valued derivative of a discrete choice: what an action returns against what the others return."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._branching import Branching, branching_steps
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class CategoricalMeasureValued(ActionSignalEstimator):
    """Approximates grad J_sigma. With, for each logit, `delta_k = pi_k (1 - pi_k) / sigma * (R(k) - R(not k))`.

    `R(k)` is the return with action k and `R(not k)` that with one drawn from the others, as likely as before: the
    derivative of the choice by its k-th logit is the difference of these two distributions. All noise is shared, so
    one of the two is the trajectory itself. Its mean over the draws is the all-action signal, which costs less.

    Each trajectory branches at one step drawn uniformly, weighted by the horizon. Requires discrete actions, sigma > 0
    and a simulator that can be restarted. Cost: one trajectory and one branch per logit (nominally two of them).
    """

    source: ClassVar[str] = "Pflug 1989; Mohamed et al. 2020"
    family: ClassVar[str] = "measure_valued"
    bias: ClassVar[str] = "unbiased for every return"
    needs_discrete_actions: ClassVar[bool] = True

    def environment_steps(self, environment: Environment) -> float:
        return branching_steps(environment, 1 + environment.action_dim)

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        # of two actions, not the one is the other
        return "all_action" if environment.action_dim == 2 else None

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories, branching = simulator.rollout(noise.rollout), Branching.at_random_steps(simulator, noise)
        assert trajectories.choice_probabilities is not None
        probabilities = branching.select(trajectories.choice_probabilities)
        taken = branching.select(trajectories.actions) > 0
        # the action that was taken is left out, any other is forced
        eps = torch.where(taken, -math.inf, math.inf)
        others = [branching.returns(k, eps[..., k]) for k in range(simulator.environment.action_dim)]
        gain = trajectories.returns[..., None] - torch.stack(others, dim=-1)
        difference = torch.where(taken, gain, -gain)
        return trajectories, branching.signal(probabilities * (1 - probabilities) / simulator.sigma * difference)
