"""Scorepath: an estimator's gradients, reduced chunk by chunk as a gradient cell of the study reduces them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from benchmarks.common import BATCH, HIDDEN, SIGMA
from benchmarks.gradients.protocol import Case, Run
from torch import Tensor

from scorepath.measurement import parts_of_batches, reduce
from scorepath.moments import concatenate
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.rollout import Simulator, Trajectories
from scorepath.stages._instances import make_environment, make_estimator
from scorepath.study.settings import EnvironmentEntry, EstimatorEntry

WORK = "full"


@dataclass(frozen=True, kw_only=True)
class GivenNoise(Noise):
    """Noise that was drawn beforehand."""

    given: RolloutNoise

    @cached_property
    def rollout(self) -> RolloutNoise:
        return self.given

    def select(self, batches: slice) -> GivenNoise:
        chosen = RolloutNoise(*(draws[batches] for draws in self.given))
        return replace(self, replicates=self.replicates[batches], given=chosen)


def prepare(case: Case, dtype: torch.dtype = torch.float32) -> Run:
    arrays = {name: torch.from_numpy(values).to(dtype) for name, values in case.arrays().items()}
    entry = EnvironmentEntry(
        case.environment, case.environment, {"horizon": case.horizon}, {"kind": "mlp", "hidden": HIDDEN}
    )
    environment, policy = make_environment(entry)
    estimator = make_estimator(EstimatorEntry(case.estimator, case.estimator, {}))
    simulator = Simulator(environment, policy, arrays["parameters"], SIGMA)
    initial, action = (arrays[name].unflatten(0, (-1, BATCH)) for name in ("initial", "action_noise"))
    nothing = action[..., :0]
    stream = Stream(0, case.environment, "benchmark")
    chunks = list(parts_of_batches(case.batches, BATCH))

    def noise(chunk: slice) -> GivenNoise:
        given = RolloutNoise(initial[chunk], action[chunk], nothing[chunk], nothing[chunk])
        return GivenNoise(environment, stream, range(case.batches)[chunk], BATCH, dtype, given=given)

    def past(chunk: slice) -> Trajectories | None:
        if not estimator.needs_past:
            return None
        observations, rewards = arrays["past_observations"][chunk], arrays["past_rewards"][chunk]
        unused = nothing[chunk]
        return Trajectories(simulator, observations, unused, rewards, unused, None, ())

    def run() -> dict[str, Tensor]:
        found = concatenate([reduce(estimator.gradients(simulator, noise(chunk), past(chunk))) for chunk in chunks])
        return {
            "means": found.means,
            "deviations": found.squared_deviations.flatten(),
            "projections": found.means @ arrays["direction"].double(),
        }

    return run
