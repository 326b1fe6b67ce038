"""On a random stationary landscape pathwise wins while the noise is smaller than the correlation length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, Sampled, near, ratio, second_moments
from scorepath.environments.fourier_field import FourierField

FIELDS = 100


def experiment(lab: Lab) -> Iterator[Finding]:
    """Second moments over random fields, each of which is a replicate."""
    length = lab.setting("length", 1.0)
    for dimension in (1, 4):
        moments = {
            method: np.array([
                second_moments(_sample(lab, method, _field(dimension, length, seed)), 64).mean()
                for seed in range(FIELDS)
            ])
            for method in ("pathwise", "reinforce")
        }  # fmt: skip
        yield Finding(
            f"sigma = l in {dimension} dimensions, over {FIELDS} fields: second moment of REINFORCE over pathwise's 1"
            " (within 35 %)",
            ratio(moments["reinforce"], moments["pathwise"]), 1.0, near(1.0, 0.35),
        )  # fmt: skip


def _sample(lab: Lab, method: str, field: FourierField) -> Sampled:
    """Four batches of each field's own."""
    return lab.sample(method, lab.at(field, 1.0), 4, 64, first=4 * field.field_seed)


def _field(dimension: int, length: float, seed: int) -> FourierField:
    return FourierField(dimension=dimension, correlation_length=length, waves=32, field_seed=seed)


CLAIM = Claim(
    source="derived",
    prediction=(
        "Over a stationary isotropic ensemble pathwise has the smaller second moment iff sigma < l, in every "
        "dimension, without a baseline."
    ),
    experiment=experiment,
    mutants=({"length": 0.6},),
)
