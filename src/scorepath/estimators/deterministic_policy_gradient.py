"""The deterministic policy gradient, SVG(0): a fitted action value is differentiated in place of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators._critics import fitted_action_values
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class DeterministicPolicyGradient(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = gamma^t dQ_t(o_t, a) / da` at the sampled action `a = a_t`.

    That is the deterministic policy gradient (Silver et al. 2014) in the form for noisy actions, SVG(0) (Heess et al.
    2015). Q_t is a ridge regression of G_t on quadratic features of observation and action, fitted to earlier
    trajectories. These features are compatible (Sutton et al. 2000) with open-loop and linear policies: they contain
    `o (a - mu(o))`, so that least squares gets right what the gradient needs of Q, whatever the return looks like.

    Requires continuous actions with normal noise, sigma > 0 (the critic learns from the noise what actions do) and
    earlier trajectories, but no derivative of the simulator. Without earlier trajectories there is no critic and the
    signal is zero: training's first iteration leaves the policy as it is.
    """

    ridge: float = 1e-3

    source: ClassVar[str] = "Silver et al. 2014; Heess et al. 2015, SVG(0)"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = (
        "biased by the fitted critic: by the ridge alone where quadratic features span the action value; O(1 / earlier "
        "trajectories) more under open-loop and linear policies if those are of the same policy; zero without any"
    )
    needs_gaussian_noise: ClassVar[bool] = True
    needs_past: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.ridge <= 0:
            raise ValueError(f"ridge must be positive, got {self.ridge}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        if sigma == 0:
            return "without action noise no critic learns what actions do"
        return super().not_applicable(environment, sigma)

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout)
        if past is None:
            return trajectories, trajectories.through_action(torch.zeros_like(trajectories.actions))
        actions = trajectories.actions.clone().requires_grad_()
        values = fitted_action_values(past, trajectories.observations, actions, self.ridge)
        (slope,) = torch.autograd.grad(values.sum(), actions)
        return trajectories, trajectories.through_action(slope)
