"""The sliding-window pathwise gradient: every action is credited with the same number of rewards to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.noise import Noise, RolloutNoise
from scorepath.rollout import Simulator, Trajectories
from scorepath.windows import WindowedEstimator


@dataclass(frozen=True, kw_only=True)
class WindowedPathwise(WindowedEstimator):
    """Approximates grad J_sigma. With `delta_t = d(rho_t + ... + rho_{t+h-1}) / da_t`, `rho_t = gamma^t r_t`.

    h is `window`. The derivative is total: later actions within the window answer through the policy. Near the end a
    window closes with the trajectory, terminal reward included. In truncated_pathwise only the first action of a block
    gets that much credit.

    Requires differentiable dynamics and continuous actions. (This code unrolls `window` steps from all visited states
    at once; with the steps' Jacobians kept, the same signal needs no further environment steps, and none are charged.)
    """

    source: ClassVar[str] = "Williams & Peng 1990, BPTT(h)"
    bias: ClassVar[str] = "biased: what an action does after its window is left out"

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout, differentiable=True)
        signal = trajectories.action_gradient(trajectories.returns)
        trajectories = trajectories.detach()
        cut = simulator.environment.horizon - self.window
        if cut > 0:
            # the other windows close with the trajectory, where pathwise is right already
            signal[:, :, :cut] = self._unrolled(simulator, noise.rollout, trajectories.actions[:, :, :cut])
        return trajectories, signal

    def _unrolled(self, simulator: Simulator, draws: RolloutNoise, nominal: Tensor) -> Tensor:
        """The signal at the first steps, whose actions were `nominal`: column t unrolls from the state of step t."""
        environment, columns = simulator.environment, nominal.shape[2]
        parameters = simulator.parameters.detach().to(nominal)
        states = _visited(environment, draws, nominal)
        leaves = torch.zeros_like(nominal, requires_grad=True)
        total = (0 * leaves).sum()  # in the graph, also where no reward of any window depends on an action
        for ahead in range(self.window):
            now = slice(ahead, ahead + columns)
            observations = environment.observe(states)
            means = torch.stack(
                [simulator.policy.mean(parameters, observations[:, :, t], t + ahead) for t in range(columns)], dim=2
            )
            actions = simulator.act(means + leaves if ahead == 0 else means, draws.action[:, :, now], None)
            states, rewards = environment.step(states, actions, draws.process[:, :, now])
            discounts = [environment.discount ** (t + ahead) for t in range(columns)]
            total = total + (rewards @ rewards.new_tensor(discounts)).sum()
        return torch.autograd.grad(total, leaves)[0]


def _visited(environment: Environment, draws: RolloutNoise, actions: Tensor) -> Tensor:
    """The state before each of these first actions, (batches, samples, actions, state_dim)."""
    states = [environment.initial_state(draws.initial)]
    for t in range(actions.shape[2] - 1):
        states.append(environment.step(states[-1], actions[:, :, t], draws.process[:, :, t])[0])
    return torch.stack(states, dim=2)
