"""Which biases may be taken as zero: those that are proved to be, not those that are declared to be.

What Scorepath's own estimators declare about its own environments is proved or tested there, and the score function
and the measure-valued derivative are unbiased whatever the return is. Everything else rests on somebody's word. There a
bias counts as it was measured, and a verdict has to hold as well if it were as large as the reference could have
missed.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from scorepath.verdicts import ErrorComponents, Outcome

if TYPE_CHECKING:
    from scorepath.estimators.base import Estimator
    from scorepath.rollout import Simulator

FOR_EVERY_RETURN = ("score_function", "measure_valued")
"""Families whose unbiasedness asks nothing of the return."""


def proved(declared: bool, family: str, *, own_estimator: bool, own_environment: bool) -> bool:
    """Whether an estimator's bias is known to be zero.

    Args:
        declared: whether it is declared unbiased here.
        family: the estimator's.
        own_estimator: whether it is one of Scorepath's.
        own_environment: likewise of the environment.
    """
    return declared and own_estimator and (own_environment or family in FOR_EVERY_RETURN)


def proved_of(estimator: Estimator, simulator: Simulator) -> bool:
    """The same of instances: Scorepath's own are those whose classes it defines."""
    physics = getattr(simulator.environment, "inner", simulator.environment)  # squashing it changes nothing
    own = [type(each).__module__.startswith("scorepath.") for each in (estimator, physics)]
    declared = simulator.sigma > 0 and estimator.unbiased(simulator.environment)
    return proved(declared, estimator.family, own_estimator=own[0], own_environment=own[1])


def with_room(components: ErrorComponents, room: float) -> ErrorComponents:
    """The same with a squared bias that is larger by `room`."""
    return replace(components, biases=components.biases - min(0.0, components.biases.mean()) + room)


def both(outcome: Outcome, other: Outcome, length: float) -> Outcome:
    """What two outcomes of one comparison leave open: the second supposes a bias that went unnoticed.

    Args:
        outcome: as measured.
        other: with the bias.
        length: of that bias, as a fraction of the gradient's.
    """
    if math.isnan(outcome.p_value) or math.isnan(other.p_value):
        return outcome
    low, high = min(outcome.low, other.low), max(outcome.high, other.high)
    reason = outcome.reason
    if low <= 0 <= high and not outcome.low <= 0 <= outcome.high:
        reason = f"unbiasedness is declared, not proved: a bias of {100 * length:.2g} % could hide and turn it round"
    return outcome._replace(low=low, high=high, p_value=max(outcome.p_value, other.p_value), reason=reason)
