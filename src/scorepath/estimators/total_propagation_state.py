"""Total propagation, mixing at the state: noise on the state gives the adjoint a second estimate, a score function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import linearise
from scorepath.environments.base import Environment
from scorepath.estimators._mixture import Mixture, total_propagation
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class TotalPropagationState(Mixture):
    """Approximates grad J_sigma. With the adjoint `k lambda_{t+1} + (1 - k) (G_{t+1} - b) w_t / process_noise`.

    The mixed adjoint, of which k is that of step t, replaces `lambda_{t+1}` in backpropagation through time (see
    `scorepath.adjoint`); b is the mean of the other samples' `G_{t+1}` and k the inverse-variance weight of what the
    two adjoints contribute to the gradient through step t's action. `weights` names the rollouts that k is computed
    from: the same_batch or an independent_batch. Requires differentiable dynamics, normal action noise if any, and
    normal noise of known size on every state coordinate.
    """

    source: ClassVar[str] = "Parmas et al. 2018"
    needs_noise: ClassVar[bool] = False
    needs_gaussian_noise: ClassVar[bool] = True
    mixes: ClassVar[tuple[str, ...]] = ("pathwise",)
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"weights": "independent_batch"},)

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        if reason := super().not_applicable(environment, sigma):
            return reason
        return None if environment.additive_state_noise > 0 else "no additive noise on the whole state"

    def mix(
        self, simulator: Simulator, draws: RolloutNoise, weights: Tensor | None = None
    ) -> tuple[Trajectories, Tensor, Tensor]:
        trajectories, parts = linearise(simulator, draws)
        environment = simulator.environment
        terminal = environment.discount**environment.horizon * environment.terminal_reward(trajectories.states[-1])
        later = torch.cat([trajectories.rewards_to_go[..., 1:], terminal[..., None]], -1)
        samples = later.shape[1]
        advantage = (later - later.mean(1, keepdim=True)) * (samples / (samples - 1))
        score = advantage[..., None] * draws.process / environment.additive_state_noise
        return trajectories, *total_propagation(parts, "state", score, weights)
