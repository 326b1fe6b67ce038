"""The swing-up's common judge: one evaluation and one clock for every contestant.

The clock runs while a policy is trained; evaluation stops it. A run ends at the first evaluation whose mean return is
above the threshold, or when the clock passes the cap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from benchmarks.training.protocol import Race

from scorepath.environments.pendulum import Pendulum

HORIZON = 200  # Gymnasium's own limit
STARTS = 64
START_SEED = 20261122

Act = Callable[[np.ndarray], np.ndarray]
"""Deterministic actions (starts, 1) for observations (starts, 3), both float32."""


def mean_return(act: Act) -> float:
    """Undiscounted mean return over the fixed starts, in float64."""
    pendulum = Pendulum(horizon=HORIZON)
    draws = np.random.default_rng(START_SEED).standard_normal((STARTS, pendulum.initial_noise_dim))
    state = pendulum.initial_state(torch.from_numpy(draws))
    no_noise = state.new_zeros(STARTS, pendulum.process_noise_dim)
    total = state.new_zeros(STARTS)
    for _ in range(HORIZON):
        action = torch.from_numpy(act(pendulum.observe(state).numpy().astype(np.float32)))
        state, reward = pendulum.step(state, action.double(), no_noise)
        total += reward
    return total.mean().item()


class Stopwatch:
    """Seconds of training so far, and the mean returns found on the way."""

    def __init__(self, race: Race) -> None:
        self.race = race
        self.seconds = 0.0
        self.preparation_seconds = 0.0
        self.returns: list[float] = []

    @contextmanager
    def training(self) -> Iterator[None]:
        """Time spent here counts."""
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Time spent here (compilation) is told apart."""
        began = time.perf_counter()
        yield
        self.preparation_seconds += time.perf_counter() - began

    def goes_on(self, act: Act) -> bool:
        """Evaluate, and say whether the run goes on."""
        self.returns.append(mean_return(act))
        return not self.reached and self.seconds < self.race.cap

    @property
    def reached(self) -> bool:
        return self.returns[-1] > self.race.threshold

    def result(self, environment_steps: int) -> dict[str, Any]:
        """What is told of a run."""
        return {
            "reached": self.reached,
            "seconds": self.seconds,
            "preparation_seconds": self.preparation_seconds,
            "environment_steps": environment_steps,
            "best_return": max(value for value in self.returns if not math.isnan(value)),
            "last_return": self.returns[-1],
        }
