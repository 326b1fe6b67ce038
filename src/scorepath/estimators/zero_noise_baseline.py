"""Zero-noise baseline: the return of the same start and process noise without action noise is subtracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class ZeroNoiseBaseline(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = (R - R(eps = 0)) * eps_t / sigma`.

    The second rollout has the same initial, process and reward noise; with discrete actions it takes the likeliest one
    at every step. Requires sigma > 0 and a simulator whose other noise can be repeated.
    """

    source: ClassVar[str] = "Suh et al. 2022"
    family: ClassVar[str] = "score_function"
    bias: ClassVar[str] = "unbiased: the baseline does not depend on the action noise"

    def environment_steps(self, environment: Environment) -> float:
        return 2 * environment.horizon

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout)
        baseline = simulator.with_sigma(0.0).rollout(noise.rollout).returns
        return trajectories, (trajectories.returns - baseline)[..., None, None] * trajectories.score
