"""The inputs of a case, the same for all contestants, and how far their results lie from the exact ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from benchmarks.common import BATCH, HIDDEN, SIGMA
from benchmarks.gradients import scorepath as core
from benchmarks.gradients.protocol import Case

from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.study.settings import EnvironmentEntry


def write_inputs(environment: str, horizon: int, samples: int, path: Path) -> None:
    """Parameters, noise and earlier trajectories of the same policy, as `Case.arrays` describes them."""
    generator = np.random.default_rng(20260101)
    entry = EnvironmentEntry(environment, environment, {"horizon": horizon}, {"kind": "mlp", "hidden": HIDDEN})
    instance, policy = make_environment(entry)
    parameters = policy.initial_parameters(generator).float()
    direction = generator.standard_normal(len(parameters), dtype=np.float32)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        initial = generator.standard_normal((samples, instance.initial_noise_dim), dtype=np.float32)
        return initial, generator.standard_normal((samples, horizon, 1), dtype=np.float32)

    (initial, action), earlier = draw(), draw()
    past_initial, past_action = (torch.from_numpy(draws).unflatten(0, (-1, BATCH)) for draws in earlier)
    nothing = past_action[..., :0]
    past = Simulator(instance, policy, parameters, SIGMA).rollout(
        RolloutNoise(past_initial, past_action, nothing, nothing)
    )
    np.savez(
        path,
        parameters=parameters,
        direction=direction / np.linalg.norm(direction),
        initial=initial,
        action_noise=action,
        past_observations=past.observations,
        past_rewards=past.rewards,
        past_rewards_to_go=past.rewards_to_go,
    )


Results = Mapping[str, np.ndarray]


def reference(case: Case) -> Results:
    """Scorepath's results in float64; batches are independent, so those of fewer samples come first in them."""
    return {name: values.numpy() for name, values in core.prepare(case, torch.float64)().items()}


def errors(found: Results, exact: Results, batches: int) -> dict[str, float]:
    """Relative distances from the float64 results of the same batches: mean gradients, trace, projections.

    Each is the median over batches (for the trace, over trajectories): in float32 a chaotic trajectory is nobody's.
    """

    def distance(values: np.ndarray, truth: np.ndarray) -> float:
        rows, true_rows = values.reshape(len(values), -1), truth[: len(values)].reshape(len(values), -1)
        return float(np.median(np.linalg.norm(rows - true_rows, axis=1) / np.linalg.norm(true_rows, axis=1)))

    if "mean_gradient" in found:
        return {"mean_error": distance(found["mean_gradient"][None], exact["means"][:batches].mean(0)[None])}
    if "means" not in found:
        return {}
    return {
        "mean_error": distance(found["means"], exact["means"]),
        "trace_error": distance(found["deviations"], exact["deviations"]),
        "projection_error": distance(found["projections"], exact["projections"]),
    }
