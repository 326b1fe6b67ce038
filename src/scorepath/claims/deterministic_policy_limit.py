"""As the noise falls the policy gradient tends to the deterministic one, where the return is smooth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, about, exactly
from scorepath.environments.base import Environment
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step

LEVELS = (0.1, 0.05)


def experiment(lab: Lab) -> Iterator[Finding]:
    """Exact gradients throughout: the distance from the noiseless one, and its order in sigma."""
    loop = LQR(horizon=10, dynamics=((0.9,),), control=((0.5,),))
    far, near = (_distance(lab, loop, -0.4, sigma) for sigma in LEVELS)
    yield Finding(
        "LQR with feedback, sigma = 0.1 to 0.05: distance of the gradient from the noiseless one as sigma^2"
        " (within 0.05)", exactly(math.log2(far / near)), 2.0, about(2.0, 0.05),
    )  # fmt: skip
    quadratic = lab.setting("one decision", Quadratic(dimension=1, offset=1.0))
    yield Finding(
        "quadratic, one decision, sigma = 0.1: distance 0 (within 1e-9)",
        exactly(_distance(lab, quadratic, 0.3, LEVELS[0])), 0.0, about(0.0, 1e-9),
    )  # fmt: skip
    far, near = (_distance(lab, Step(edge=0.0), 0.0, sigma) for sigma in LEVELS)
    yield Finding(
        "step at its edge, sigma = 0.1 to 0.05: distance as sigma^-1, for there is no limit (within 0.05)",
        exactly(math.log2(far / near)), -1.0, about(-1.0, 0.05),
    )  # fmt: skip


def _distance(lab: Lab, environment: Environment, mean: float, sigma: float) -> float:
    noisy = lab.gradient(lab.at(environment, sigma, mean))
    still = lab.gradient(lab.at(environment, lab.setting("still", 0.0), mean))
    return float(np.linalg.norm(noisy - still))


CLAIM = Claim(
    source="Silver 2014 theorem 2; derived",
    prediction=(
        "grad J_sigma tends to grad J_0 as sigma^2 where the return is smooth, equals it on an open-loop quadratic,"
        " and has no limit on a jump."
    ),
    experiment=experiment,
    mutants=({"still": 0.2}, {"one decision": Cosine(frequency=2.0, phase=1.0)}),
)
