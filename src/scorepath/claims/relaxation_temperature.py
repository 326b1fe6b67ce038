"""A relaxed choice trades bias for variance by its temperature."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, mean, ratio
from scorepath.environments.chain import Chain

WARM, COLD = 1.0, 0.1


def experiment(lab: Lab) -> Iterator[Finding]:
    """Gumbel-softmax on a chain of 4 states and 6 steps."""
    simulator = lab.at(Chain(states=4, horizon=6), 1.0)
    gradient = lab.gradient(simulator)
    square = float(gradient @ gradient)
    warm, cold = (
        lab.sample("gumbel_softmax", simulator, 128, 512, temperature=lab.setting("temperature", temperature))
        for temperature in (WARM, COLD)
    )
    shares = [found.means @ gradient / square for found in (warm, cold)]
    yield Finding(
        "chain, temperature 1: the mean's part along the gradient is at most 0.9 of it",
        mean(shares[0]), None, (-10.0, 0.9),
    )  # fmt: skip
    yield Finding(
        "the same at temperature 0.1: 0.9 to 1.1 of it", mean(shares[1]), None, (0.9, 1.1),
    )  # fmt: skip
    yield Finding(
        "variance at temperature 0.1 over that at 1: above 3", ratio(cold.variances, warm.variances), None, (3.0, 1e6),
    )  # fmt: skip


CLAIM = Claim(
    source="Jang et al. 2017; Maddison et al. 2017",
    prediction="As the temperature falls the bias of Gumbel-softmax vanishes and its variance grows.",
    experiment=experiment,
    mutants=({"temperature": WARM}, {"temperature": COLD}),
)
