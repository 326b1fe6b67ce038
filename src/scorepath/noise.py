"""Common random numbers as an explicit object.

A stream is keyed by a stable hash of (study seed, environment, purpose) and each batch of trajectories by its
replicate. Neither estimator nor noise level nor job order enters the key, so all estimators see the same noise, and
adding a cell to the study changes no other cell. Draws are made in single precision and then cast, so that float32
and float64 computations can be compared on the very same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment

Distribution = Literal["normal", "exponential", "uniform"]


@dataclass(frozen=True)
class Stream:
    """A family of independent generators, one per replicate and drawn quantity."""

    seed: int
    environment: str
    purpose: str

    def generator(self, replicate: str | int, quantity: str) -> np.random.Generator:
        """A fresh generator; equal keys give equal numbers on every machine."""
        key = "\x1f".join(map(str, (self.seed, self.environment, self.purpose, replicate, quantity)))
        return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(key.encode()).digest()[:16])))


class RolloutNoise(NamedTuple):
    """All the randomness of a set of trajectories."""

    initial: Tensor  # (batches, samples, initial_noise_dim), standard normal
    action: Tensor  # (batches, samples, horizon, action_dim): see `action_noise`
    process: Tensor  # (batches, samples, horizon, process_noise_dim), standard normal
    reward: Tensor  # (batches, samples, horizon, 1), standard normal; size 0 where rewards have no noise

    def select(self, batches: slice) -> RolloutNoise:
        """That of some of the batches."""
        return RolloutNoise(*(draws[batches] for draws in self))

    def single_batches(self) -> RolloutNoise:
        """Every trajectory as a batch of its own, (batches * samples, 1, ...): one policy each."""
        return RolloutNoise(*(draws.flatten(0, 1).unsqueeze(1) for draws in self))


def action_noise(environment: Environment, uniform: Tensor) -> Tensor:
    """The environment's action noise as a function of uniform variates on (0, 1), of any shape.

    Standard normal; Gumbel for discrete actions; uniform of variance 1 where the support moves with the mean.
    """
    if environment.discrete_actions:
        return -(-uniform.log()).log()
    if environment.moving_support:
        return math.sqrt(3) * (2 * uniform - 1)
    return torch.special.ndtri(uniform)


@dataclass(frozen=True)
class Noise:
    """The random numbers behind `len(replicates)` batches of `samples` trajectories each."""

    environment: Environment
    stream: Stream
    replicates: Sequence[str | int]
    samples: int
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    def draw(self, quantity: str, shape: tuple[int, ...], distribution: Distribution = "normal") -> Tensor:
        """Draws of shape (batches, samples, *shape). Equal replicates get equal numbers."""
        if 0 in shape:  # as of noise that the environment has not
            return torch.empty(len(self.replicates), self.samples, *shape, device=self.device, dtype=self.dtype)
        drawn: dict[str | int, np.ndarray] = {}
        for replicate in dict.fromkeys(self.replicates):
            generator = self.stream.generator(replicate, quantity)
            size = (self.samples, *shape)
            match distribution:
                case "normal":
                    drawn[replicate] = generator.standard_normal(size, dtype=np.float32)
                case "exponential":
                    drawn[replicate] = generator.standard_exponential(size, dtype=np.float32)
                case "uniform":
                    drawn[replicate] = generator.random(size, dtype=np.float32)
        batches = np.stack([drawn[replicate] for replicate in self.replicates])
        return torch.from_numpy(batches).to(device=self.device, dtype=self.dtype)

    @cached_property
    def rollout(self) -> RolloutNoise:
        """The noise of one rollout: the same numbers every time it is asked for."""
        environment = self.environment
        per_step = (environment.horizon, environment.action_dim)
        if environment.discrete_actions:
            # Gumbel(0, 1); one in ten million float32 exponentials is exactly 0, and sigma = 0 times inf would be nan
            action = -self.draw("action", per_step, "exponential").clamp_min(1e-30).log()
        elif environment.moving_support:
            action = action_noise(environment, self.draw("action", per_step, "uniform"))
        else:
            action = self.draw("action", per_step)
        return RolloutNoise(
            initial=self.draw("initial", (environment.initial_noise_dim,)),
            action=action,
            process=self.draw("process", (environment.horizon, environment.process_noise_dim)),
            reward=self.draw("reward", (environment.horizon, 1 if environment.reward_noise > 0 else 0)),
        )

    def select(self, batches: slice) -> Noise:
        """The same noise for some of the batches."""
        return replace(self, replicates=self.replicates[batches])

    def independent(self, purpose: str) -> Noise:
        """Noise of the same shape that is independent of this one, and of every other purpose."""
        stream = Stream(self.stream.seed, self.stream.environment, f"{self.stream.purpose}/{purpose}")
        return replace(self, stream=stream)
