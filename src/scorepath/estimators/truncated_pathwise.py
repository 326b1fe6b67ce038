"""Truncated backpropagation through time: the pathwise gradient with the graph cut at fixed blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.estimators._window import WindowedEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class TruncatedPathwise(WindowedEstimator):
    """Approximates grad J_sigma. With `delta_t = d(rewards of t's block) / da_t`, blocks of `window` steps.

    Requires differentiable dynamics and continuous actions. Each state at a block's start is a constant, so an
    action is credited with the rewards until its block ends: fixed blocks, not sliding windows.
    """

    source: ClassVar[str] = "Williams & Peng 1990"
    bias: ClassVar[str] = "biased: what an action does after its block is left out"

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        return backpropagate(simulator, noise.rollout, window=self.window)
