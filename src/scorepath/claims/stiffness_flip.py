"""The stiffness of a contact flips the winner."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, near, only_crossing, ratio
from scorepath.environments.stiff_push import StiffPush
from scorepath.references.surfaces import exact_quantities

SIGMA = 0.18
STIFFNESS = [14.0, 18.0, 22.0, 27.0, 33.0, 41.0, 52.0]


def experiment(lab: Lab) -> Iterator[Finding]:
    """The prediction is quadrature's; leave-one-out stands for the score function."""
    sigma = lab.setting("sigma", SIGMA)
    own, rival = ([
        lab.sample(method, lab.at(StiffPush(stiffness=stiffness), sigma), 64, 256).variances for stiffness in STIFFNESS
    ] for method in ("pathwise", "leave_one_out"))  # fmt: skip
    predicted = _exact(lab)
    yield Finding(
        f"pushing at sigma = 0.18: variances are equal at a stiffness of {predicted:.3g} N/m (within 10 %)",
        only_crossing(STIFFNESS, own, rival), predicted, near(predicted, 0.1),
    )  # fmt: skip
    stiff = lab.at(StiffPush(stiffness=1000.0), sigma)
    soft = lab.at(StiffPush(stiffness=10.0), sigma)
    for name, simulator, side, accepted in (("10", soft, "above", (1.0, 1e9)), ("1000", stiff, "below", (0.0, 1.0))):
        yield Finding(
            f"pushing at {name} N/m: variance of leave-one-out over pathwise's {side} 1",
            ratio(lab.sample("leave_one_out", simulator).variances, lab.sample("pathwise", simulator).variances),
            None, accepted,
        )  # fmt: skip


def _exact(lab: Lab) -> float:
    """By bisection of the exact log ratio at the noise level of the claim."""
    low, high = STIFFNESS[0], STIFFNESS[-1]
    methods = ("pathwise", "leave_one_out")
    for _ in range(12):
        middle = (low * high) ** 0.5
        found = exact_quantities(
            [lab.at(StiffPush(stiffness=middle), SIGMA)], frozenset(), methods, [SIGMA], "variance", 256
        )
        wins = found is not None and found["leave_one_out"][0] > found["pathwise"][0]
        low, high = (middle, high) if wins else (low, middle)
    return (low * high) ** 0.5


CLAIM = Claim(
    source="Suh 2022 sec. 5 (N = 10 there)",
    prediction="A soft contact favours pathwise, a stiff one the score function.",
    experiment=experiment,
    mutants=({"sigma": 0.25, "pathwise": "leave_one_out", "leave_one_out": "pathwise"},),
)
