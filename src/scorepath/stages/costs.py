"""What one sample costs in processor seconds and memory: all estimators of an environment, timed in turn.

Other jobs may run beside it: processor time leaves out what they take of the core, and turns make a busy cache
everyone's. Measured on two cores, ratios between estimators then differ from run to run by 5 % (median; 9 of 10 by less
than 17 %), against 1 to 5 % (11 to 18 %) with the machine to itself, and lean to no side.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from scorepath.memory import memory_needed
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import costs_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

BATCHES = 8
"""Training batches per timed call: the size of a population of eight seeds."""
SIGMA = 0.1


def estimators_of(plan: Plan, environment: str) -> list[str]:
    """The estimators that run in an environment at some positive noise level, in the study's order; perhaps none."""
    return list(
        dict.fromkeys(c.estimator for c in plan.running("gradients") if c.environment == environment and c.sigma > 0)
    )


def costs(plan: Plan, environment: str) -> None:
    """Time all estimators of an environment.

    In turn, single-threaded, after a call of each to warm up and one for memory.
    """
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    parameters = load_policies(environment).parameters[0]
    samples = study.gradients.batch_size
    dtype = getattr(torch, study.gradients.dtype)
    stream = Stream(study.seed, environment, "costs")
    simulator = Simulator(instance, policy, parameters, SIGMA)
    past = simulator.rollout(Noise(instance, stream, range(BATCHES), samples, dtype).rollout)
    seconds: dict[str, list[float]] = {name: [] for name in estimators_of(plan, environment)}
    memory: dict[str, int] = {}

    def estimate(name: str, repeat: int) -> None:
        noise = Noise(instance, stream, [f"{repeat}/{batch}" for batch in range(BATCHES)], samples, dtype)
        make_estimator(study.estimators[name]).estimate(simulator, noise, past)

    for name in seconds:
        estimate(name, 0)
        memory[name] = memory_needed(partial(estimate, name, 0))
    for repeat in range(1, study.cost_repeats + 1):
        for name, times in seconds.items():
            start = time.process_time()
            estimate(name, repeat)
            times.append((time.process_time() - start) / (BATCHES * samples))
    generator = np.random.default_rng(study.seed)
    rows = []
    for name, times in seconds.items():
        resampled = np.median(generator.choice(times, (1000, len(times))), axis=1)
        low, high = np.quantile(resampled, [0.025, 0.975])
        values = (environment, name, samples, instance.horizon, float(np.median(times)), float(low), float(high))
        rows.append(dict(zip(COLUMNS["costs"], (*values, memory[name]), strict=True)))
    write_rows(costs_path(environment), rows, COLUMNS["costs"])
