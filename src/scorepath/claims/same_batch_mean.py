"""A mean over the same batch, the own return included, shrinks the gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, mean, near
from scorepath.environments.quadratic import Quadratic


def experiment(lab: Lab) -> Iterator[Finding]:
    """On a quadratic at d = 1, whose gradient is -2."""
    included = lab.setting("included", 1.0)
    for samples in (2, 4, 16):
        eps = lab.generator(f"{samples}").standard_normal((200_000 // samples, samples))
        returns = -np.square(1 + eps)
        others = (returns.sum(1, keepdims=True) - returns) / (samples - 1)
        own = returns.mean(1, keepdims=True)
        gradients = ((returns - included * own - (1 - included) * others) * eps).mean(1)
        predicted = 1 - 1 / samples
        yield Finding(
            f"the batch's mean as a baseline, N = {samples}: mean over the gradient {predicted:g} (within 5 %)",
            mean(gradients / -2), predicted, near(predicted, 0.05),
        )  # fmt: skip
    found = lab.sample(
        "leave_one_out", lab.at(Quadratic(dimension=1, offset=0.0), 1.0, lab.setting("distance", 1.0)), 4096, 2
    )
    yield Finding(
        "leave-one-out, N = 2: mean over the gradient 1 (within 15 %)",
        mean(found.means[:, 0] / -2),
        1.0,
        near(1.0, 0.15),
    )


CLAIM = Claim(
    source="Kool 2019",
    prediction=("The same-batch mean baseline shrinks the gradient by 1 - 1/N; leave-one-out does not."),
    experiment=experiment,
    mutants=({"included": 0.0}, {"distance": 0.5}),
)
