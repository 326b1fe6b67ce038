"""Is the deterministic world a special case? Both estimates beside the exact gradient, as the noise goes to zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from scorepath.environments.cosine import Cosine
from scorepath.estimators.base import Estimator
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.intervals import mean_estimates, positive_mean_estimates
from scorepath.measurement import sample_batches
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator

LANDSCAPE = Cosine(frequency=10.0, phase=1.0)
NOISE_LEVELS = (0.0, 0.01, 0.03, 0.1, 0.3)
ESTIMATORS: dict[str, Estimator] = {"reinforce": Reinforce(), "pathwise": Pathwise()}
BATCHES, SAMPLES = 64, 4096
PRECISION = 0.1
"""The relative error, of one standard deviation, that `needed` samples reach."""


def limit_rows(seed: int) -> Iterator[dict[str, Any]]:
    """A row per noise level and estimator that exists there, at the mean action 0: table `student_limit`.

    Of N independent samples of variance V the mean has the relative error `sqrt(V / N) / |gradient|`.
    """
    for sigma in NOISE_LEVELS:
        simulator = Simulator(LANDSCAPE, sigma=sigma)
        gradient = exact_reference(simulator).gradient.item()
        tolerated = (PRECISION * gradient) ** 2
        for name, estimator in ESTIMATORS.items():
            if estimator.not_applicable(LANDSCAPE, sigma):
                continue
            stream = Stream(seed, "questions", "limit")
            found = sample_batches(estimator, simulator, stream, range(BATCHES), SAMPLES, torch.float64)
            mean = mean_estimates(found.means[:, 0].numpy())
            variance = positive_mean_estimates(found.trace_variances.numpy())
            exact = exact_variance(name, simulator, SAMPLES) if sigma > 0 else 0.0  # without noise nothing varies
            assert exact is not None, "one decision along one direction has an exact variance"
            needed, low, high, known = (max(1.0, float(each) / tolerated) for each in (*variance[:3], exact))
            yield {
                "estimator": name, "sigma": sigma, "samples": BATCHES * SAMPLES, "gradient": gradient,
                "mean": float(mean.value), "mean_low": float(mean.low), "mean_high": float(mean.high),
                "needed": needed, "needed_low": low, "needed_high": high, "needed_exact": known,
            }  # fmt: skip
