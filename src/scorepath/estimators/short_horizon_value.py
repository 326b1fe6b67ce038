"""Short-horizon gradients with a value at the end: truncated backpropagation whose cuts are bridged by a critic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators._critics import fitted_state_values
from scorepath.estimators._window import WindowedEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge <= 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}")

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        value = None if past is None else partial(self._values, simulator.environment, past)
        return backpropagate(simulator, noise.rollout, window=self.window, value=value)

    def _values(self, environment: Environment, past: Trajectories, states: Tensor) -> Tensor:
        """Fitted to the past, of the states at the blocks' ends, (cuts, batches, samples, state_dim)."""
        observations = environment.observe(states).movedim(0, 2)
        return fitted_state_values(past, observations, self.ridge, slice(self.window, None, self.window))
