"""What one sample costs in processor seconds and memory: all estimators of an environment, timed in turn.

Twice: one training batch at a time, where what a call costs whatever its size may outweigh the rest, and as many
samples at a time as gradients are measured with, where it does not; the latter not where an environment has few samples
of its own, for they are dear. A fitted value's pilot is timed by itself, for
training has none.

Other jobs may run beside it: processor time leaves out what they take of the core, and turns make a busy cache
everyone's. Measured on two cores, ratios between estimators then differ from run to run by 5 % (median; 9 of 10 by less
than 17 %), against 1 to 5 % (11 to 18 %) with the machine to itself, and lean to no side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from scorepath.estimators.base import Estimator
from scorepath.measurement import TRAJECTORIES_AT_ONCE, pilot, precision
from scorepath.memory import memory_needed
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator, Trajectories
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import costs_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

LARGE_REPEATS = 3
"""At most so many timings of the large calls: they are long, and their times differ less."""
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
    simulator = Simulator(instance, policy, load_policies(environment).parameters[0], SIGMA)
    samples, dtype = study.gradients.batch_size, precision(instance, getattr(torch, study.gradients.dtype))
    stream = Stream(study.seed, environment, "costs")
    estimators = {name: make_estimator(study.estimators[name]) for name in estimators_of(plan, environment)}
    generator = np.random.default_rng(study.seed)
    rows = []
    many = 1 if study.is_dear(environment) else min(TRAJECTORIES_AT_ONCE // samples, study.gradients.batches)
    for batches in dict.fromkeys((1, max(1, many))):
        repeats = study.cost_repeats if batches == 1 else min(study.cost_repeats, LARGE_REPEATS)

        def noise(repeat: int, batches: int = batches) -> Noise:
            return Noise(instance, stream, [f"{repeat}/{batch}" for batch in range(batches)], samples, dtype)

        past, pilot_seconds = None, 0.0
        if any(estimator.needs_past for estimator in estimators.values()):
            past = pilot(simulator, noise(0))
            timed = (seconds(partial(pilot, simulator, noise(repeat))) for repeat in range(1, repeats + 1))
            pilot_seconds = float(np.median(list(timed))) / (batches * samples)

        def estimate(estimator: Estimator, noise: Noise, past: Trajectories | None = past) -> None:
            estimator.estimate(simulator, noise, past if estimator.needs_past else None)

        memory = {}
        for name, estimator in estimators.items():
            if batches == 1:
                estimate(estimator, noise(0))  # to warm up
            memory[name] = memory_needed(partial(estimate, estimator, noise(0)))
        times: dict[str, list[float]] = {name: [] for name in estimators}
        for repeat in range(1, repeats + 1):
            for name, estimator in estimators.items():
                times[name].append(seconds(partial(estimate, estimator, noise(repeat))) / (batches * samples))
        for name, estimator in estimators.items():
            resampled = np.median(generator.choice(times[name], (1000, repeats)), axis=1)
            limits = np.quantile(resampled, [0.025, 0.975]).tolist()
            rows.append(dict(zip(COLUMNS["costs"], (
                environment, name, samples, batches * samples, instance.horizon, float(np.median(times[name])), *limits,
                pilot_seconds if estimator.needs_past else 0.0, memory[name],
            ), strict=True)))  # fmt: skip
    write_rows(costs_path(environment), rows, COLUMNS["costs"])


def seconds(call: Callable[[], object]) -> float:
    """Processor seconds of a call, with the drawing of its noise; never less than the clock can tell from none."""
    start = time.process_time()
    call()
    return max(time.process_time() - start, time.get_clock_info("process_time").resolution)
