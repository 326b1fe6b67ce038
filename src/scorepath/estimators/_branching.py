"""Branches, or vine rollouts: every trajectory once more, with another action at one step, all other noise the same.

A branch changes the noise behind the action, so it needs no entry into the simulator but its random numbers. The step
is drawn uniformly, one per trajectory, and weighted by the horizon: that estimates a sum over all steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.noise import Noise, RolloutNoise
from scorepath.rollout import Simulator


@dataclass(frozen=True)
class Branching:
    """Trajectories, the noise that all their branches share, and where they branch.

    `at_step`, (batches, samples, horizon), is true at each trajectory's branching step only.
    """

    simulator: Simulator
    noise: RolloutNoise
    at_step: Tensor

    @classmethod
    def at_random_steps(cls, simulator: Simulator, noise: Noise) -> Branching:
        """One uniformly drawn step for each trajectory of `noise`."""
        horizon = simulator.environment.horizon
        step = (noise.draw("branch step", (1,), "uniform") * horizon).long().clamp_max(horizon - 1)
        return cls(simulator, noise.rollout, step == torch.arange(horizon, device=step.device))

    def returns(self, coordinate: int, eps: Tensor | float) -> Tensor:
        """Returns (batches, samples) with `eps` as the noise of one action coordinate at the branching step.

        Among discrete actions infinite noise decides, whatever the logits and sigma > 0: with `inf` that action is
        taken; with `-inf` it is not, and the others' noise chooses among them with their conditional probabilities.

        Args:
            coordinate: which coordinate of the action, or which discrete action.
            eps: (batches, samples), or one number for all.
        """
        action = self.noise.action.clone()
        eps = torch.as_tensor(eps).to(action)[..., None]
        action[..., coordinate] = torch.where(self.at_step, eps, action[..., coordinate])
        return self.simulator.returns(self.noise._replace(action=action))

    def select(self, values: Tensor) -> Tensor:
        """What (batches, samples, horizon, size) values are at the branching step: (batches, samples, size)."""
        return values[self.at_step].unflatten(0, self.at_step.shape[:2])

    def signal(self, term: Tensor) -> Tensor:
        """The action signal whose only step is the branching step: `horizon` × `term` (batches, samples, size)."""
        return self.at_step[..., None] * (self.at_step.shape[-1] * term).unsqueeze(-2)


def branching_steps(environment: Environment, branches: int) -> float:
    """Environment steps of this many branches from a uniformly drawn step on, and of what comes before it once."""
    return (environment.horizon - 1) / 2 + branches * (environment.horizon + 1) / 2
