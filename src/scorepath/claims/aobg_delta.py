"""A confidence where a bound wants a failure probability: how often does the bound fail then?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, mean

SAMPLES = 64


def experiment(lab: Lab) -> Iterator[Finding]:
    """The vector Bernstein bound without its 1 / N term, of the score function with a zero-noise baseline."""
    eps = lab.generator().standard_normal((20_000, SAMPLES, 2))
    offset = np.array([0.5, 0.5])
    gains = -np.square(offset + eps).sum(-1) + np.square(offset).sum()
    samples = gains[..., None] * eps
    errors = np.linalg.norm(samples.mean(1) + 2 * offset, axis=-1)
    variance = samples.var((0, 1)).sum()
    for name, failure in (
        ("the failure probability 0.05", lab.setting("failure", 0.05)),
        ("the scripts' 0.95", lab.setting("scripts", 0.95)),
    ):
        bound = math.sqrt(2 * variance * math.log(3 / failure) / SAMPLES)
        yield Finding(
            f"quadratic in 2 dimensions, N = {SAMPLES}, {name}: the bound fails in at most 5 % of batches",
            mean((errors > bound).astype(float)), None, (0.0, 0.05),
        )  # fmt: skip


CLAIM = Claim(
    source="Suh 2022, and the scripts published with it",
    prediction="The mean of the score function lies within the bound with 95 % confidence.",
    experiment=experiment,
    mutants=({"failure": 0.95, "scripts": 0.05},),
    why=(
        "With 0.95 in the place of the failure probability the bound is 1.8 times too small: ln(3 / 0.95) for"
        " ln(3 / 0.05)."
    ),
    refuted=True,
)
