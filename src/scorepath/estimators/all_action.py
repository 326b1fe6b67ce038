"""The all-action policy gradient: every action is tried, and the policy's expectation over them taken exactly."""

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
class AllAction(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta = sum_a pi_a (onehot_a - pi) / sigma * R(a)`.

    `R(a)` is the return with action a at one step, all other noise shared; rewards from before that step drop out,
    because `sum_a pi_a (onehot_a - pi) = 0`. Each trajectory branches at one step drawn uniformly, weighted by the
    horizon. Requires discrete actions, sigma > 0 and a simulator that can be restarted. Cost: the steps before the
    branch, then one branch per action, of which the trajectory itself is one.
    """

    source: ClassVar[str] = "Sutton, Singh & McAllester 2001; Asadi et al. 2017; Ciosek & Whiteson 2020"
    family: ClassVar[str] = "score_function"
    bias: ClassVar[str] = "unbiased: the score function's expectation over one action, taken exactly"
    needs_discrete_actions: ClassVar[bool] = True

    def environment_steps(self, environment: Environment) -> float:
        return branching_steps(environment, environment.action_dim)

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories, branching = simulator.rollout(noise.rollout), Branching.at_random_steps(simulator, noise)
        assert trajectories.choice_probabilities is not None
        probabilities = branching.select(trajectories.choice_probabilities)
        returns = [branching.returns(action, math.inf) for action in range(simulator.environment.action_dim)]
        values = torch.stack(returns, dim=-1)
        advantages = values - (probabilities * values).sum(-1, keepdim=True)
        return trajectories, branching.signal(probabilities * advantages / simulator.sigma)
