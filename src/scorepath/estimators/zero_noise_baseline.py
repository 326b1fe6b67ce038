"""Zero-noise baseline: the return of the same start and process noise without action noise is subtracted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class ZeroNoiseBaseline(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = (R - R(eps = 0)) * eps_t / sigma`.

    The second rollout has the same initial, process and reward noise; with discrete actions it takes the likeliest one
    at every step. Requires sigma > 0 and a simulator whose other noise can be repeated.
    """

    source: ClassVar[str] = "Suh et al. 2022"
    bias: ClassVar[str] = "unbiased: the baseline does not depend on the action noise"

    def environment_steps(self, environment: Environment) -> float:
        return 2 * environment.horizon

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        baseline = trajectories.simulator.with_sigma(0.0).rollout(noise.rollout).returns
        return (trajectories.returns - baseline)[..., None]
