"""Short-horizon gradients with a value at the end: truncated backpropagation whose cuts are bridged by a critic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import linearise
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories
from scorepath.values import fitted_state_values
from scorepath.windows import WindowedEstimator


@dataclass(frozen=True, kw_only=True)
class ShortHorizonValue(WindowedEstimator):
    """Approximates grad J_sigma. With `delta_t = d(rewards of t's block + gamma^e V_e(o_e)) / da_t`.

    Blocks of `window` steps as in truncated_pathwise; e is the first step after t's block, and V a ridge regression on
    quadratic features, fitted to earlier trajectories. The last block ends with the trajectory and needs no value.

    Requires differentiable dynamics, continuous actions and earlier trajectories: an independent pilot when gradients
    are measured, the previous iteration's batch in training (which has none at first and starts as
    truncated_pathwise).
    """

    ridge: float = 1e-3

    source: ClassVar[str] = "Xu et al. 2022, SHAC"
    bias: ClassVar[str] = (
        "biased by the slope error of the fitted value at each block's end: by the ridge alone where quadratic "
        "features span the value and the earlier trajectories are of the same policy"
    )
    needs_past: ClassVar[bool] = True
    couples_samples: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge <= 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}")

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout, keep_steps=True)
        bridge = None
        if past is not None and self.window < simulator.environment.horizon:
            boundaries = slice(self.window, None, self.window)
            states = torch.stack(list(trajectories.states[:-1])).requires_grad_()
            observations = simulator.environment.observe(states).movedim(0, 2)
            values = fitted_state_values(past, observations, self.ridge, boundaries)
            (bridge,) = torch.autograd.grad(values.sum(), states)
        parts = [part.pathwise(self.window, bridge) for part in linearise(trajectories, noise.rollout)]
        return trajectories, torch.cat(parts)
