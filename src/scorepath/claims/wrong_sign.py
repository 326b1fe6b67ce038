"""Where the support moves with the parameter, the score function can have the wrong sign."""

from __future__ import annotations

import math
from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, mean, near
from scorepath.environments.uniform_support import UniformSupport


def experiment(lab: Lab) -> Iterator[Finding]:
    """The gradient is 1; a constant baseline is no longer free of bias."""
    for offset, predicted in ((0.0, -1.0), (2.0, 1.0)):
        simulator = lab.at(UniformSupport(offset=min(offset, lab.setting("offset", offset))), 1 / math.sqrt(3))
        found = lab.sample("reinforce", simulator, 64, 4096)
        yield Finding(
            f"uniform support, the baseline {offset:g}: mean of REINFORCE {predicted:g}, where the"
            " gradient is 1 (within 5 %)",
            mean(found.means[:, 0]), predicted, near(predicted, 0.05),
        )  # fmt: skip


CLAIM = Claim(
    source="Mohamed 2020 4.3.2",
    prediction=("The score function expects -E f / theta instead of the gradient, and a baseline shifts it."),
    experiment=experiment,
    mutants=({"reinforce": "pathwise"}, {"offset": 0.0}),
)
