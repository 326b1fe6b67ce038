"""What is true of simulators that the advisor's model was not fitted to: `python -m benchmarks.advisor_truth`.

Ten thousand trajectories of pathwise and of the measure-valued derivative, whose mean is the reference, at the policy
where training would start. Two of MuJoCo's tasks; ten minutes. docs/advisor.md and a test of the model quote it.
"""

from __future__ import annotations

import math

import torch

import scorepath as sp
from scorepath import probes
from scorepath.measurement import sample_batches, sample_variances
from scorepath.noise import Stream
from scorepath.rollout import Simulator

TASKS = ("inverted_pendulum", "swimmer")
NOISE_LEVELS = (0.03, 0.1, 0.3)


def log10_ratio(simulator: Simulator, rival: str, batches: int, samples: int = 256, budget: int = 64) -> float:
    """log10 of a rival's mean squared error over pathwise's, as estimates of `budget` trajectories.

    The bias is that of pathwise's mean against the rival's, the noise of both taken off.
    """
    stream = Stream(99, "", "brute force")
    found, variances = {}, {}
    for name in (probes.PATHWISE, rival):
        estimator = probes.contestants(simulator)[name]
        found[name] = sample_batches(estimator, simulator, stream, range(batches), samples, torch.float64)
        variances[name] = float(sample_variances(estimator, simulator, found[name]).mean())
    errors = found[probes.PATHWISE].means - found[rival].means
    square = float(errors.mean(0).square().sum() - errors.var(0).sum() / batches)
    return math.log10(variances[rival] / budget / (max(0.0, square) + variances[probes.PATHWISE] / budget))


def main() -> None:
    """Print a row per task and noise level."""
    torch.set_num_threads(1)
    print("| task | sigma | log10 of the error ratio, measure_valued over pathwise |\n|---|---|---|")
    for task in TASKS:
        for sigma in NOISE_LEVELS:
            simulator = sp.Simulator(sp.environments.MuJoCo(task=task), sigma=sigma)
            print(f"| {task} | {sigma:g} | {log10_ratio(simulator, 'measure_valued', 40):.2f} |", flush=True)


if __name__ == "__main__":
    main()
