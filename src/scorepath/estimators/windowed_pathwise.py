"""The sliding-window pathwise gradient: every action is credited with the same number of rewards to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import linearise
from scorepath.estimators._window import WindowedEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class WindowedPathwise(WindowedEstimator):
    """Approximates grad J_sigma. With `delta_t = d(rho_t + ... + rho_{t+h-1}) / da_t`, `rho_t = gamma^t r_t`.

    h is `window`. The derivative is total: later actions within the window answer through the policy. Near the end a
    window closes with the trajectory, terminal reward included. In truncated_pathwise only the first action of a block
    gets that much credit.

    Requires differentiable dynamics and continuous actions.
    """

    source: ClassVar[str] = "Williams & Peng 1990, BPTT(h)"
    bias: ClassVar[str] = "biased: what an action does after its window is left out"

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories, parts = linearise(simulator, noise.rollout)
        return trajectories, torch.cat([part.sliding(self.window) for part in parts])
