"""Evolution strategies: the score function with respect to a perturbation of the parameters, in antithetic pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise
from scorepath.pullback import chunks_of_batches
from scorepath.rollout import Simulator, Trajectories


@dataclass(frozen=True, kw_only=True)
class EvolutionStrategies(Estimator):
    """Approximates the gradient of `E_z J_sigma(theta + s z)`, s = `perturbation`, z standard normal.

    With `g = (R(theta + s z) - R(theta - s z)) / (2 s) * z`, both members of a pair under the same trajectory noise.
    Requires nothing of the environment; one sample is one pair.
    """

    perturbation: float = 0.05

    source: ClassVar[str] = "Rechenberg 1973; Salimans et al. 2017"
    family: ClassVar[str] = "parameter_space"
    bias: ClassVar[str] = "it smooths the parameters as well: exact for E_z grad J_sigma(theta + perturbation * z)"
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.perturbation <= 0:
            raise ValueError(f"perturbation must be positive, got {self.perturbation}")

    def unbiased(self, environment: Environment) -> bool:
        return False

    def environment_steps(self, environment: Environment) -> float:
        return 2 * environment.horizon

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterator[Tensor]:
        count = simulator.policy.parameter_count
        for batches in chunks_of_batches(len(noise.replicates), noise.samples * count):
            part = noise.select(batches)
            directions = part.draw("parameters", (count,))
            parameters = simulator.parameters.to(directions)
            centre = parameters if parameters.dim() == 1 else parameters[batches].unsqueeze(1)
            # every perturbed policy simulates one trajectory: a batch of its own
            single = part.rollout.single_batches()
            plus, minus = (
                Simulator(
                    simulator.environment,
                    simulator.policy,
                    (centre + sign * self.perturbation * directions).flatten(0, 1),
                    simulator.sigma,
                )
                .rollout(single)
                .returns.view(len(part.replicates), part.samples)
                for sign in (1, -1)
            )
            yield ((plus - minus) / (2 * self.perturbation))[..., None] * directions
