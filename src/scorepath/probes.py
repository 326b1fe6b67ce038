"""A few hundred trajectories at one noise level: what pathwise and its derivative-free rivals are worth there.

Everything is paired by common random numbers and sampled in double precision. What pathwise misses is seen by two
unbiased witnesses, of which the more precise counts: a score function less pathwise, and differences between two
branches of a trajectory less the mean derivative along the way (`scorepath.references.estimates.missed`). An event so
rare that n samples show none of it has a probability below 3 / n; a bias by it cannot exceed the variance that it gives
to a rival's mean of N < n / 3 samples. So what turns a comparison at N round shows in a few N.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.estimators.alpha_order import AlphaOrder
from scorepath.estimators.base import Estimator
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.measure_valued import MeasureValued
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.state_value_baseline import StateValueBaseline
from scorepath.forecast import Evidence
from scorepath.measurement import sample_batches, sample_variances, steps_per_sample
from scorepath.moments import BatchMoments, concatenate
from scorepath.noise import Noise, Stream
from scorepath.references import estimates
from scorepath.references.jumps import Jump, search
from scorepath.references.witnesses import witness
from scorepath.rollout import Simulator
from scorepath.statistics import squared_bias
from scorepath.tails import tail_of
from scorepath.unbiasedness import with_room
from scorepath.verdicts import ErrorComponents, Outcome, Side, compare_errors, error_components, smallest_error

BATCHES, BATCH_SIZE = 8, 64
"""Of a first probe: paired batches, and trajectories in each, which is the budget of the verdict too."""
LINES = 24
"""Straight lines of action noise on which a jump is searched for."""
PATHWISE = "pathwise"
MISSED = "branches"
"""The witness of what derivatives miss."""
SCALES = 6
"""Distances of the variogram, each twice the one before; the largest is one to two times the noise level."""


def contestants(simulator: Simulator) -> dict[str, Estimator]:
    """Pathwise and its rivals, unbiased estimators that need returns alone, by their names, as far as they exist here.

    A policy with a standard deviation of its own has no measure-valued derivative: see `kept_out`.
    """
    found = _in(simulator.environment, simulator.sigma)
    return {name: each for name, each in found.items() if each.not_applicable_to(simulator.policy) is None}


def kept_out(simulator: Simulator) -> dict[str, str]:
    """Why contestants that exist for other policies do not exist for this one, by their names."""
    found = _in(simulator.environment, simulator.sigma)
    return {name: reason for name, each in found.items() if (reason := each.not_applicable_to(simulator.policy))}


def _in(environment: Environment, sigma: float) -> dict[str, Estimator]:
    """What contends in this environment, whatever the policy."""
    every: dict[str, Estimator] = {
        PATHWISE: Pathwise(),
        "leave_one_out": LeaveOneOut(),
        "state_value_baseline": StateValueBaseline(),
        "measure_valued": MeasureValued(),
    }
    if environment.horizon == 1:  # where there is no state to tell returns by
        del every["state_value_baseline"]
    return {name: each for name, each in every.items() if each.not_applicable(environment, sigma) is None}


@dataclass(frozen=True)
class Sampled:
    """What was sampled at one noise level, each of the same paired batches.

    | field | meaning |
    |---|---|
    | simulator | with its noise level |
    | batch_size | trajectories of a batch that was sampled |
    | budget | N, trajectories of an estimate whose error counts |
    | moments | of each estimator's batches, by its name |
    | missed | what derivatives miss, (batches, P); None where that cannot be told |
    """

    simulator: Simulator
    batch_size: int
    budget: int
    moments: Mapping[str, BatchMoments]
    missed: Tensor | None

    @property
    def batches(self) -> int:
        return len(next(iter(self.moments.values())).means)

    def and_more(self, other: Sampled) -> Sampled:
        """These batches and those."""
        moments = {name: concatenate([own, other.moments[name]]) for name, own in self.moments.items()}
        missed = None if self.missed is None or other.missed is None else torch.cat([self.missed, other.missed])
        return replace(self, moments=moments, missed=missed)


def can_branch(environment: Environment) -> bool:
    """Whether `missed` exists: derivatives, and normal noise to branch by."""
    return environment.differentiable and not environment.discrete_actions and not environment.moving_support


def sample_one(name: str, simulator: Simulator, stream: Stream, batches: range, batch_size: int) -> BatchMoments:
    """The batches of one contestant; all contestants see the same random numbers."""
    estimator = contestants(simulator)[name]
    return sample_batches(estimator, simulator, stream, batches, batch_size, torch.float64)


def sample_missed(simulator: Simulator, stream: Stream, batches: range, batch_size: int) -> Tensor:
    """What derivatives miss of the gradient, of each batch, (batches, P), by random numbers of its own."""
    own = Stream(stream.seed, stream.environment, f"{stream.purpose}/branches/{batches.start}")
    return estimates.missed(simulator, own, len(batches), batch_size)


def sample(simulator: Simulator, stream: Stream, batches: range, batch_size: int = BATCH_SIZE) -> Sampled:
    """All of it."""
    environment = simulator.environment
    missed = sample_missed(simulator, stream, batches, batch_size) if can_branch(environment) else None
    names = contestants(simulator)
    moments = {name: sample_one(name, simulator, stream, batches, batch_size) for name in names}
    return Sampled(simulator, batch_size, batch_size, moments, missed)


def search_jump(simulator: Simulator, seed: int, lines: int = LINES) -> Jump | None:
    """The jump of the return found on lines of action noise in closed loop; None where actions are discrete.

    Or a ramp that a first probe does not meet; more batches may (`Jump.is_met`).
    """
    if simulator.environment.discrete_actions:
        return None
    return search(simulator, simulator.sigma, lines, torch.Generator().manual_seed(seed), BATCHES * BATCH_SIZE)


# --- what the batches say ---------------------------------------------------------------------------------------------


def components_of(sampled: Sampled, name: str, biases: np.ndarray | None = None) -> ErrorComponents:
    """What the error of a contestant is made of: unbiased, or with these pseudo-values of a squared bias."""
    simulator, moments = sampled.simulator, sampled.moments[name]
    estimator = contestants(simulator)[name]
    return error_components(
        name,
        sample_variances(estimator, simulator, moments).numpy(),
        np.zeros(sampled.batches) if biases is None else biases,
        moments.nonfinite.numpy() / sampled.batch_size,
        moments.zeros.numpy() / sampled.batch_size,
        unbiased=biases is None,
        certified=True,
        tail=tail_of(moments.squared_deviations),
    )


def best_rival(sampled: Sampled, prices: Mapping[str, float] | None = None) -> str:
    """The rival with the smallest error, at equal samples or at equal prices of a sample; "" of none."""
    names = [name for name in sampled.moments if name != PATHWISE]
    parts = [components_of(sampled, name) for name in names]
    prices = prices or dict.fromkeys(names, 1.0)
    errors = [float(each.variances.mean()) * prices[name] for name, each in zip(names, parts, strict=True)]
    index = smallest_error(errors, [each.tail.unmeasurable for each in parts])
    return "" if index is None else names[index]


def beside(sampled: Sampled, names: tuple[str, str], prices: tuple[float, float]) -> tuple[float, float, float]:
    """log10 of the second's error over the first's, two unbiased contestants, with 95 % limits."""
    first, second = (
        Side.alone(components_of(sampled, name), price, float(sampled.budget))
        for name, price in zip(names, prices, strict=True)
    )
    (outcome,) = compare_errors(first, second, np.arange(sampled.batches))
    return outcome.value, outcome.low, outcome.high


def witnesses(sampled: Sampled) -> dict[str, Tensor]:
    """Estimates of what pathwise misses, of each batch, (batches, P), by what they are of."""
    pathwise = sampled.moments[PATHWISE].means
    found = {
        f"{name} less pathwise": moments.means - pathwise
        for name, moments in sampled.moments.items()
        if name != PATHWISE
    }
    return found if sampled.missed is None else {MISSED: sampled.missed, **found}


def compared(sampled: Sampled, rival: str, prices: tuple[float, float] = (1.0, 1.0)) -> Evidence:
    """Pathwise beside one rival, per batch of N samples, or of what N samples of a contestant of price 1 cost."""
    errors = witnesses(sampled)
    # one that is not finite tells nothing
    usable = {name: each for name, each in errors.items() if each.isfinite().all()} or errors
    who = min(usable, key=lambda name: usable[name].var(0).sum().nan_to_num(math.inf).item())
    bias = squared_bias(usable[who])
    seen = witness(who, usable[who])
    ours = components_of(sampled, PATHWISE, bias.pseudo_values.numpy())
    theirs = components_of(sampled, rival)
    every, budget = np.arange(sampled.batches), float(sampled.budget)
    other = Side.alone(theirs, prices[1], budget)
    worst = with_room(ours, seen.noticeable**2) if math.isfinite(seen.noticeable) else ours
    (outcome,), (cautious,) = (
        compare_errors(Side.alone(each, prices[0], budget), other, every) for each in (ours, worst)
    )
    error = float(theirs.variances.mean()) * prices[1] / budget
    variances = [float(each.variances.mean()) * price for each, price in zip((ours, theirs), prices, strict=True)]
    return Evidence(
        rival=rival,
        lead=outcome.value, lead_low=outcome.low, lead_high=outcome.high,
        cautious=cautious.value, cautious_low=cautious.low if math.isfinite(seen.noticeable) else -math.inf,
        variance_lead=_log_ratio(variances[1], variances[0]),
        bias_share=_share(max(0.0, bias.estimate), error),
        room=_share(seen.noticeable**2, error),
        agrees=seen.agrees,
        witness=who,
        blank=ours.blank,
        tail=ours.tail.unseen, rival_tail=theirs.tail.unseen,
        trust=_alpha(sampled),
        raised=_raised(sampled),
        reason=_reason(outcome),
    )  # fmt: skip


def _reason(outcome: Outcome) -> str:
    return outcome.reason if not math.isfinite(outcome.p_value) or outcome.reason else ""


def _log_ratio(above: float, below: float) -> float:
    if math.isnan(above) or math.isnan(below):
        return math.nan
    if above == below:
        return 0.0
    return math.log10(above / below) if above > 0 and below > 0 else math.copysign(math.inf, above - below)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.inf if part > 0 else 0.0


def _alpha(sampled: Sampled) -> float:
    """The weight of `AlphaOrder` at its defaults, of all batches as one of their size."""
    rule, pathwise = AlphaOrder(), sampled.moments[PATHWISE]
    score = sampled.moments.get("leave_one_out", pathwise)
    first, zeroth = float(pathwise.trace_variances.mean()), float(score.trace_variances.mean())
    alpha = zeroth / (first + zeroth) if 0 < first + zeroth < math.inf else 0.0
    count, parameters = sampled.budget, pathwise.means.shape[1]
    distance = float((pathwise.means - score.means).mean(0).norm())
    odds = math.log((parameters + 1) / rule.failure_probability)
    error = math.sqrt(2 * zeroth * odds / count) + 2 * rule.bound * odds / (3 * count)
    if alpha * distance + error <= rule.threshold:
        return alpha
    return min(1.0, max(0.0, rule.threshold - error) / distance) if distance > 0 else 0.0


def _raised(sampled: Sampled) -> float:
    """In how many batches GI-PPO (Son et al. 2023, section 4.3, and their code) would rely more on derivatives.

    Their alpha-policy moves every action along the derivative of its advantage, and the policy is fitted to that: to
    first order a step along pathwise's mean. Alpha falls where the importance-sampled return of the same batch falls,
    whose slope along that step is the product of the score function's mean with pathwise's; else it rises. Their two
    other tests do not tell the estimators apart: the ratio of densities leaves PPO's range by the length of the step
    alone, and the determinant of `I + alpha A''` is estimated by that of the policies' standard deviations, which stay
    as they are. nan where there is no score function.
    """
    score = sampled.moments.get("leave_one_out")
    if score is None:
        return math.nan
    slopes = (score.means * sampled.moments[PATHWISE].means).sum(-1)
    return float((slopes >= 0).double().mean())


def needs(found: Evidence, sampled: Sampled, seconds: Mapping[str, float], jumps: bool, likely: bool) -> str:
    """What it would take to know."""
    if likely and jumps:
        return (
            "a return without the jump, or the same question along training: here pathwise has the smaller error, but "
            "more of the jump may be met where it leads"
        )
    if "finite" in found.reason:
        return "returns and derivatives that are finite under this noise"
    if found.blank or "signal" in found.reason:
        return "more noise, or another starting policy: samples of a side are all exactly zero"
    width = (found.lead_high - found.lead_low) / 2
    factor = math.inf
    if sampled.batches < BATCHES:
        factor = BATCHES / sampled.batches / 1.5
    elif likely and found.cautious_low <= 0:  # what goes unnoticed falls with the number of batches
        slack = 1 - 10**-found.variance_lead
        factor = found.room / slack if slack > 0 else math.inf
    elif math.isfinite(width) and found.lead != 0:
        factor = (width / abs(found.lead)) ** 2
    if not math.isfinite(factor):
        return "lighter tails, or far more samples than could be afforded here"
    return more(sampled, math.ceil(sampled.batches * max(2.0, 1.5 * factor)), seconds)


def more(sampled: Sampled, batches: int, seconds: Mapping[str, float]) -> str:
    """So many batches, and how long they would take."""
    total = float(f"{max(1.0, 1.5 * batches * sampled.batch_size * sum(seconds.values())):.2g}")
    return f"about {batches} batches instead of {sampled.batches}: some {total:g} seconds more"


def errors_of(sampled: Sampled, rival: str) -> np.ndarray:
    """Mean squared errors of pathwise and a rival as each batch contributes to them, (2, batches)."""
    bias = squared_bias(
        min(witnesses(sampled).values(), key=lambda each: each.var(0).sum().item())
    ).pseudo_values.numpy()
    ours, theirs = (components_of(sampled, name).variances / sampled.budget for name in (PATHWISE, rival))
    return np.stack([ours + bias if bias.mean() > 0 else ours, theirs])


def single_precision_error(simulator: Simulator, sampled: Sampled, stream: Stream) -> float:
    """Squared error that float32 adds to pathwise's first batch, by its own mean squared error."""
    single = sample_batches(Pathwise(), simulator, stream, range(1), sampled.batch_size, torch.float32)
    moments = sampled.moments[PATHWISE]
    gap = float((single.means[0] - moments.means[0]).square().sum())
    return _share(gap, float(moments.trace_variances.mean()) / sampled.batch_size)


# --- how rough the return is ------------------------------------------------------------------------------------------


def variogram_slope(simulator: Simulator, stream: Stream, lines: int = 64) -> float:
    """The slope, log-log, of mean squared increments of the return along random lines of action noise.

    2 where it is smooth at the scale of the noise, 1 where jumps decide, 0 where it is as rough as white noise or has
    saturated; nan where the return does not change. Distances are `2^-k` of up to twice the noise level.
    """
    noise = Noise(simulator.environment, stream, range(1), lines, torch.float64)
    start = noise.rollout
    direction = torch.nn.functional.normalize(noise.draw("direction", start.action.shape[2:]).flatten(2), dim=-1)
    direction = direction.reshape(start.action.shape) * math.sqrt(start.action.shape[2:].numel())
    here = simulator.returns(start)
    direction = direction * 2 ** noise.draw("distance", (1, 1), "uniform")  # no period of the return fits them all
    distances = 2.0 ** -np.arange(SCALES)
    squares = []
    for distance in distances:
        there = simulator.returns(start._replace(action=start.action + distance * direction))
        squares.append(float((there - here).square().mean()))
    if not all(0 < square < math.inf for square in squares):
        return math.nan
    return float(np.polyfit(np.log(distances), np.log(squares), 1)[0])


def probe_steps(simulator: Simulator, batches: int = BATCHES, batch_size: int = BATCH_SIZE) -> float:
    """Environment steps that a probe costs: batches of all contestants, branches, the lines of the jump search."""
    environment = simulator.environment
    count, horizon = batches * batch_size, environment.horizon
    own = sum(steps_per_sample(each, environment) for each in contestants(simulator).values())
    branches = 5 * horizon if can_branch(environment) else 0
    lines = 0 if environment.discrete_actions else LINES * 33 * horizon
    return count * (own + branches) + lines


def horizons(environment: Environment) -> Sequence[int]:
    """Shorter horizons that are worth a look, and the environment's own; only where it is a knob."""
    fields = getattr(environment, "__dataclass_fields__", {})
    own = environment.horizon
    if "horizon" not in fields or own < 8:
        return ()
    return sorted({max(2, own // 8), max(3, own // 4), own // 2, own})
