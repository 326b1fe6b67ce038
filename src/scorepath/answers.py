"""From evidence to an answer at one noise level.

"Pathwise" is said only if it would hold as well with the largest bias that could have gone unnoticed, and never where
its derivatives are known to be wrong. Everything else that is not clear is insufficient evidence, with what it would
take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scorepath import probes
from scorepath.advice import DERIVATIVE_FREE, EQUIVALENT, INSUFFICIENT, NO_PATHWISE, NOTHING, Answer
from scorepath.boundaries import measured_crossings
from scorepath.conformance.places import Fault
from scorepath.estimators.pathwise import Pathwise
from scorepath.forecast import Evidence, Forecast, features_of
from scorepath.inquiry import ERROR_MARGIN, Interval
from scorepath.probes import PATHWISE, Sampled
from scorepath.reasons import changes, why_of
from scorepath.references.jumps import Jump
from scorepath.signals import SignalMoments
from scorepath.unmet import unmet_share, with_unmet

if TYPE_CHECKING:
    from torch import Tensor

SETTABLE = (
    "derivatives: if the simulator's state can be set, `step_jacobians` may return sp.jacobians_by_differences(...)"
)
DIFFERENT_RETURNS = "returns that differ (a longer horizon, more noise, another policy): all of them were the same"
ANOTHER_POLICY = "a policy that has been trained a little: at this one its samples are all the same but for rounding"
BEYOND_MEASURE = 9.0
"""log10 of a ratio of errors that only rounding makes."""
FEWEST = 3
"""Batches that have an interval."""


def answer_of(
    sampled: Sampled, seconds: Mapping[str, float], jump: Jump | None, jumps: bool, moments: SignalMoments | None,
    slope: float, single: float, model: Forecast, steep: Tensor | None = None, fault: Fault | None = None,
) -> Answer:  # fmt: skip
    """The answer at one noise level.

    Args:
        sampled: paired batches.
        seconds: of one sample, by contestant.
        jump: what was found at this noise level, and samples do not meet.
        jumps: whether a jump was found at any.
        moments: of the action signals, if they were measured.
        slope: of the variogram; nan if it was not measured.
        single: what float32 does to pathwise, by its own error; nan if not measured.
        model: what makes probabilities of evidence.
        steep: pathwise gradients at the steepest places found, (places, P).
        fault: why its derivatives must not be used, if that is known.
    """
    sigma = sampled.simulator.sigma
    rival, cheapest = probes.best_rival(sampled), probes.best_rival(sampled, seconds)
    if PATHWISE not in sampled.moments or fault is not None:
        return _without_pathwise(sampled, seconds, fault)
    unmet = 0.0 if steep is None else unmet_share(sampled.moments[PATHWISE], steep)
    found, per_second = (
        with_unmet(probes.compared(sampled, name, (1.0, price)), unmet, jump, sampled.budget)
        for name, price in ((rival, 1.0), (cheapest, seconds[cheapest] / seconds[PATHWISE]))
    )
    capped = jumps or not sampled.simulator.environment.continuous
    probability, timed = (probability_of(each, capped, model) for each in (found, per_second))
    answer = Answer(
        sigma, INSUFFICIENT, False, probability, timed, rival, cheapest, _ratio(found), _ratio(per_second),
        "leave_one_out", "", "", batches=sampled.batches, trajectories=sampled.batches * sampled.batch_size,
        evidence=found,
    )  # fmt: skip
    enough = sampled.batches >= probes.BATCHES
    verdict = _verdict(found, probability, jumps, model) if enough else INSUFFICIENT
    at_seconds = _verdict(per_second, timed, jumps, model)
    chosen = {PATHWISE: PATHWISE, DERIVATIVE_FREE: cheapest, EQUIVALENT: PATHWISE if timed > 0.5 else cheapest}
    decided = verdict if at_seconds == INSUFFICIENT or verdict == INSUFFICIENT else at_seconds
    # no number of batches takes a jump away; enough of them meet a ramp
    lasting = jumps and (jump is None or jump.share == 0)
    clear = verdict != INSUFFICIENT or (enough and lasting and found.lead_low > 0)
    answer = replace(answer, verdict=verdict, clear=clear, recommendation=chosen.get(decided, "leave_one_out"))
    reason, why = why_of(rival, found, jump, moments, slope, single, per_second)
    likely = probability >= model.threshold
    needs = "" if verdict != INSUFFICIENT else probes.needs(found, sampled, seconds, jumps, likely)
    answer = replace(answer, reason=reason, why=why, needs=needs)
    weaker = (
        found.lead < 0 and "leave_one_out" in sampled.moments and probes.compared(sampled, "leave_one_out").lead > 0
    )
    meanwhile = changes(verdict, reason, found, jump, moments, sampled.budget, weaker)
    if verdict == PATHWISE and timed < 0.5:
        meanwhile.append(f"counting seconds: {cheapest} is the better one then")
    return replace(answer, change=tuple(meanwhile))


def probability_of(found: Evidence, capped: bool, model: Forecast) -> float:
    """That pathwise has the smaller error; even where one limit is not known and the other does not decide."""
    open_end = math.inf in (-found.lead_low, found.lead_high) and found.lead_low <= 0 <= found.lead_high
    return model.probability((0.0, 0.0) if open_end else features_of(found), capped)


def _verdict(found: Evidence, probability: float, jumps: bool, model: Forecast) -> str:
    """What is said of a comparison.

    Never pathwise where a bias that could have gone unnoticed would turn it round, or the return is known to jump: more
    of it may be missed where training leads. Nor where a rival's second moment cannot be measured: what is rare in the
    returns is rare in their derivatives, so pathwise's own, which looks small, may not have shown it yet.
    """
    margin = math.log10(ERROR_MARGIN)
    if -margin <= min(found.lead_low, found.cautious) and found.lead_high <= margin and not found.reason:
        return EQUIVALENT
    if probability >= model.threshold and found.cautious_low > 0 and not jumps and not found.reason:
        return PATHWISE
    return DERIVATIVE_FREE if probability <= 1 - model.threshold else INSUFFICIENT


def _ratio(evidence: Evidence) -> Interval:
    return Interval(*(_power(each) for each in (evidence.lead, evidence.lead_low, evidence.lead_high)))


def _power(exponent: float) -> float:
    return 10**exponent if exponent < 300 else math.inf


def _without_pathwise(sampled: Sampled, seconds: Mapping[str, float], fault: Fault | None) -> Answer:
    """The two best of those that need no derivatives: the ratio is the second's error over the first's."""
    environment, sigma = sampled.simulator.environment, sampled.simulator.sigma
    why = f"Pathwise does not exist: {Pathwise().not_applicable(environment, sigma) or 'there is no derivative'}."
    if fault is not None:
        why = f"Pathwise is of no use: {fault.what}."
    rivals = {name: each for name, each in sampled.moments.items() if name != PATHWISE}
    sampled = replace(sampled, moments=rivals)
    best = probes.best_rival(sampled, seconds)
    others = replace(sampled, moments={name: each for name, each in rivals.items() if name != best})
    answer = Answer(
        sigma, NO_PATHWISE, sampled.batches >= probes.BATCHES, 0.0, 0.0, "", best, NOTHING, NOTHING, best,
        "derivatives", why, batches=sampled.batches,
        trajectories=sampled.batches * sampled.batch_size,
    )  # fmt: skip
    if fault is not None:
        answer = replace(answer, change=(f"mending that: {fault.remedy} (`scorepath check` examines the simulator)",))
    elif not environment.differentiable and not environment.discrete_actions:
        answer = replace(answer, change=(SETTABLE,))
    if not any(moments.trace_variances.any() or moments.means.any() for moments in sampled.moments.values()):
        return replace(answer, recommendation="leave_one_out", needs=DIFFERENT_RETURNS)
    if not (second := probes.best_rival(others, seconds)):
        return answer
    prices = seconds[best], seconds[second]
    found = probes.beside(sampled, (best, second), (1.0, prices[1] / prices[0]))
    answer = replace(answer, rival=second, ratio_at_equal_seconds=Interval(*(_power(each) for each in found)))
    if found[0] > BEYOND_MEASURE:
        return replace(answer, needs=ANOTHER_POLICY)
    if sampled.batches < probes.BATCHES:
        return replace(answer, needs=probes.more(sampled, probes.BATCHES, seconds))
    return answer


def noise_crossings(probed: Sequence[tuple[Sampled, Answer]]) -> list[Interval]:
    """The noise levels at which the winner changes, between those probed, in rising order."""
    known = [each for each in probed if each[1].rival and each[1].evidence]
    if len(known) < 2 or (least := min(sampled.batches for sampled, _ in known)) < FEWEST:
        return []
    axis = np.array([sampled.simulator.sigma for sampled, _ in known])
    numbers = np.stack([probes.errors_of(sampled, answer.rival)[:, :least] for sampled, answer in known])
    if not np.isfinite(numbers).all():
        return []
    found = [Interval(*map(float, each[:3])) for each in measured_crossings(axis, numbers)]
    # the answers rest on more than these batches: where they see no change there is none
    ahead = np.array([answer.evidence.lead for _, answer in known if answer.evidence is not None])
    turns = (ahead[1:] > 0) != (ahead[:-1] > 0)
    return [each for each in found if turns[np.searchsorted(axis, each.value) - 1]]
