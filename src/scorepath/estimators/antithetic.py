"""Antithetic pairs: every action noise is used a second time, mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise, RolloutNoise, action_noise
from scorepath.rollout import Simulator, Trajectories


def mirrored(environment: Environment, noise: Tensor) -> Tensor:
    """The action noise that `1 - u` gives where u gives this one; `-eps` for symmetric distributions."""
    if environment.discrete_actions:
        # the Gumbel noise of u is -log(-log u); in float64 1 - u is never rounded to 0 or 1
        return action_noise(environment, -torch.expm1(-torch.exp(-noise.double()))).to(noise)
    return -noise


@dataclass(frozen=True, kw_only=True)
class Antithetic(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = G_t * eps_t / sigma` on both members of a pair, `g = (g+ + g-) / 2`.

    One sample is one pair: action noise and its mirror image under the same initial, process and reward noise. What is
    even in the noise cancels, the mean return above all. Requires returns and sigma > 0.
    """

    source: ClassVar[str] = "Hammersley & Morton 1956"
    bias: ClassVar[str] = "unbiased: mirrored noise has the same distribution"

    def environment_steps(self, environment: Environment) -> float:
        return 2 * environment.horizon

    def draws(self, simulator: Simulator, noise: Noise) -> RolloutNoise:
        """Twice as many trajectories, first all with the noise as drawn, then their mirror images."""
        drawn = noise.rollout
        image = drawn._replace(action=mirrored(simulator.environment, drawn.action))
        return RolloutNoise(*(torch.cat(members, dim=1) for members in zip(drawn, image, strict=True)))

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return trajectories.rewards_to_go

    def gradients(self, simulator: Simulator, noise: Noise, past: Trajectories | None = None) -> Iterator[Tensor]:
        for chunk in super().gradients(simulator, noise, past):
            yield chunk.unflatten(1, (2, noise.samples)).mean(1)
