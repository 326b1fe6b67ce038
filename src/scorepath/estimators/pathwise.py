"""The pathwise gradient: the return is differentiated by the actions, backwards through the whole simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class Pathwise(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = dR / da_t`, the total derivative (backpropagation through time).

    Requires differentiable dynamics and continuous actions. It does not see jumps: where the return is
    discontinuous, the boundary term of the integration by parts is missing.
    """

    source: ClassVar[str] = "Rezende, Mohamed & Wierstra 2014; Heess et al. 2015, SVG(infinity)"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "unbiased where the return is continuous in the actions; blind to jumps"
    needs_noise: ClassVar[bool] = False
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_continuous_actions: ClassVar[bool] = True

    def unbiased(self, environment: Environment) -> bool:
        return environment.continuous

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return "deterministic_pathwise" if sigma == 0 else None

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        return backpropagate(simulator, noise.rollout)
