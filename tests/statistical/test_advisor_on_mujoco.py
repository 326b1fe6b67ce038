"""The shipped model on MuJoCo's tasks, none of which entered its fit.

What is true there was measured once: `python -m benchmarks.advisor_truth`, 10,240 trajectories of each estimator.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

import scorepath as sp
from scorepath import probes
from scorepath.forecast import features_of, shipped
from scorepath.noise import Stream

pytest.importorskip("mujoco")

TRUTH = {
    ("inverted_pendulum", 0.1, 64): -1.37,
    ("inverted_pendulum", 0.3, 8): -1.19,
    ("swimmer", 0.03, 8): 0.33,
}
"""By task, noise level and trajectories of each of the probe's batches: log10 of the measure-valued derivative's mean
squared error over pathwise's, for estimates of 64 trajectories."""


def test_the_model_has_not_seen_mujoco() -> None:
    assert not any("mujoco" in family for family in shipped().families)


def test_the_shipped_model_is_calibrated_where_it_was_not_fitted() -> None:
    """A Brier score below 0.1, and no answer is wrong."""
    model, losses = shipped(), []
    for (task, sigma, samples), truth in TRUTH.items():
        simulator = sp.Simulator(sp.environments.MuJoCo(task=task), sigma=sigma)
        sampled = probes.sample(simulator, Stream(0, "", "mujoco"), range(probes.BATCHES), samples)
        found = probes.compared(replace(sampled, budget=64), "measure_valued")
        probability = model.probability(features_of(found))
        losses.append((probability - (truth > 0)) ** 2)
        if max(probability, 1 - probability) >= model.threshold:
            assert (probability > 0.5) == (truth > 0), (task, sigma, probability)
    assert sum(losses) / len(losses) < 0.1, losses
