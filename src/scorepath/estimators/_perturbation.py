"""Perturbed parameters: every perturbed policy simulates one trajectory, as a batch of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise
from scorepath.pullback import chunks_of_batches
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class PerturbationEstimator(Estimator):
    """An estimator that compares returns of policies whose parameters differ by the order of `perturbation`."""

    perturbation: float = 0.05

    family: ClassVar[str] = "parameter_space"
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.perturbation > 0:
            raise ValueError(f"perturbation must be positive, got {self.perturbation}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def environment_steps(self, environment: Environment) -> float:
        return 2 * environment.horizon

    def batch_gradients(self, simulator: Simulator, noise: Noise) -> Tensor:
        """Gradients of every sample of some batches, (batches, samples, P), formed all at once."""
        raise NotImplementedError

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterator[Tensor]:
        parameters = simulator.parameters
        for batches in chunks_of_batches(len(noise.replicates), noise.samples * simulator.policy.parameter_count):
            part = parameters if parameters.dim() == 1 else parameters[batches]
            yield self.batch_gradients(replace(simulator, parameters=part), noise.select(batches))


def perturbed_returns(simulator: Simulator, noise: Noise, shifts: Tensor) -> Tensor:
    """Returns (batches, samples), sample by sample under the policy `theta + shift`; shifts (batches, samples, P)."""
    parameters = simulator.parameters.to(shifts)
    centre = parameters if parameters.dim() == 1 else parameters.unsqueeze(1)
    perturbed = replace(simulator, parameters=(centre + shifts).flatten(0, 1))
    return perturbed.returns(noise.rollout.single_batches()).view(shifts.shape[:2])


def central_slopes(simulator: Simulator, noise: Noise, directions: Tensor, step: float) -> Tensor:
    """`(R(theta + step * d) - R(theta - step * d)) / (2 step)`, both under the same noise: (batches, samples)."""
    plus, minus = (perturbed_returns(simulator, noise, sign * step * directions) for sign in (1, -1))
    return (plus - minus) / (2 * step)


def gradient_under_both_noises(
    environment: Environment, sigma: float, perturbation: float, gradient_at: Callable[[float], Tensor]
) -> Tensor | None:
    """The gradient of `E_z J_sigma(theta + perturbation * z)`, z standard normal, where a formula is known, else None.

    With the open-loop policy every parameter is the mean of one action, and two normal noises on it are one. (An
    environment is taken to have its own policy: another one may observe, and then nothing is known.)
    """
    normal = not environment.discrete_actions and not environment.moving_support
    if normal and environment.default_policy == "open_loop":
        return gradient_at(math.hypot(sigma, perturbation))
    return None
