"""What the study does with a cell, for one simulator in hand: measure an estimator, or compare two.

`measure` and `compare` use the functions that the study's stages use, and the same random numbers for all estimators.
Their results print as a sentence, give a table, and show a small figure where a notebook asks for one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch

from scorepath._notebook import bar, html, small_figure
from scorepath.environments.base import require_instance
from scorepath.estimators.base import Estimator
from scorepath.intervals import mean_estimates, positive_mean_estimates, squared_norm_limits
from scorepath.judge import Judge, judge_of
from scorepath.measurement import BatchStatistics, batch_statistics, steps_per_sample
from scorepath.noise import Stream
from scorepath.rollout import Simulator
from scorepath.unbiasedness import both, proved_of, with_room
from scorepath.verdicts import (
    NOT_MEASURABLE,
    ErrorComponents,
    Outcome,
    Side,
    compare_errors,
    decide,
    error_components,
    error_estimate,
    ruling,
    settled,
    worth,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FALSE_DISCOVERY_RATE = 0.05
"""As in the default study: of a single comparison it is the significance level."""
ERROR_MARGIN = 1.1
"""Likewise: the smallest ratio of two errors that matters."""
Criterion = Literal["equal_samples", "equal_steps"]
CRITERIA = get_args(Criterion)


class Interval(NamedTuple):
    """An estimate with its 95 % limits."""

    value: Any
    low: Any
    high: Any

    def __str__(self) -> str:
        """One in a row for each entry."""
        columns = (np.atleast_1d(part).ravel().tolist() for part in self)
        return "\n".join(f"{value:.3g} [{low:.3g}, {high:.3g}]" for value, low, high in zip(*columns, strict=True))


@dataclass(frozen=True, repr=False)
class Measurement:
    """An estimator measured: everything per sample of one trajectory (or as many as a sample of it costs).

    | field | meaning |
    |---|---|
    | estimator | its name and options |
    | mean | of the batches' estimates, (P,), with limits for each entry |
    | projection | the mean's component along the reference gradient |
    | squared_bias | squared distance of the mean from the reference; nan if it cannot be judged |
    | variance | trace of a sample's covariance; N × that of whole batches where samples interact |
    | error | mean squared error of the mean of one batch: `max(0, squared bias) + variance / N` |
    | judge | the reference |
    | statistics | the numbers of every batch |
    """

    estimator: str
    sigma: float
    batches: int
    batch_size: int
    mean: Interval
    projection: Interval
    squared_bias: Interval
    variance: Interval
    error: Interval
    judge: Judge
    statistics: BatchStatistics

    def __str__(self) -> str:
        if len(self.mean.value) == 1:
            mean = f"mean {Interval(*(float(part[0]) for part in self.mean))}"
        else:
            mean = f"mean along the reference {self.projection}"
        norm = float(self.judge.gradients.mean(0).norm())
        bias = f"squared bias {self.squared_bias}" if self.judge.certified else "bias unknown"
        if hopeless := self.statistics.tail.unmeasurable:
            spread = f"variance and error not measurable ({hopeless})"
        else:
            spread = (
                f"variance per sample {self.variance}, mean squared error of a batch of {self.batch_size} {self.error}"
            )
        return (
            f"{self.estimator} at sigma = {self.sigma:g}: {mean}, {bias}, {spread} "
            f"(95 % intervals over {self.batches} batches; reference of length {norm:.4g}: {self.judge.how})"
        )

    __repr__ = __str__

    def to_frame(self) -> pd.DataFrame:
        """One row for each quantity: value, low, high; an entry of the mean is `mean[i]`."""
        import pandas as pd

        rows = [
            {"quantity": f"mean[{i}]", "value": value, "low": low, "high": high}
            for i, (value, low, high) in enumerate(zip(*self.mean, strict=True))
        ]
        for name in ("projection", "squared_bias", "variance", "error"):
            rows.append({"quantity": name, **getattr(self, name)._asdict()})
        return pd.DataFrame(rows)

    def figure(self) -> Figure:
        """The batches' estimates along the reference, their mean with its interval, and the reference's length."""
        figure, axes = small_figure()
        along = self.statistics.projection
        spread = np.linspace(-0.3, 0.3, len(along))
        axes.plot(along, spread, ".", color="#86A8CC", markersize=4)
        axes.axvline(float(self.judge.gradients.mean(0).norm()), color="#222222", lw=1)
        bar(axes, self.projection, 0.0, "#0072B2")
        axes.set_ylim(-0.6, 0.6)
        axes.set_yticks([])
        axes.set_xlabel("estimate of a batch along the reference; bar: mean; line: reference")
        axes.set_title(self.estimator, loc="left")
        return figure

    def _repr_html_(self) -> str:
        return html(str(self), self.figure())


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two estimators compared by mean squared error, as the study compares pathwise with a rival.

    | field | meaning |
    |---|---|
    | verdict | the name of the one with the smaller error, or as in the study's table: undecided, equivalent, ... |
    | log10_ratio | of the second's error to the first's: positive if the first is better |
    | flip_budget | samples to average at which the other one becomes better, by chance alone; nan if there is none |
    | reason | why there is no winner |
    | first, second | both measured |
    """

    verdict: str
    log10_ratio: Interval
    flip_budget: Interval
    reason: str
    criterion: str
    first: Measurement
    second: Measurement

    def __str__(self) -> str:
        first, second = self.first.estimator, self.second.estimator
        at = (
            f"(sigma = {self.first.sigma:g}, {self.criterion.replace('_', ' ')}, batches of {self.first.batch_size}; "
            f"95 % interval over {self.first.batches} batches)"
        )
        if self.verdict not in (first, second):
            why = f", {self.reason}" if self.reason else ""
            return f"{first} against {second}: {self.verdict.replace('_', ' ')}{why} {at}"
        winner, loser = (first, second) if self.log10_ratio.value > 0 else (second, first)
        exponents = sorted(abs(end) for end in self.log10_ratio[1:])
        factor = f"{10 ** abs(self.log10_ratio.value):.3g} [{10 ** exponents[0]:.3g}, {10 ** exponents[1]:.3g}]"
        if not math.isfinite(self.log10_ratio.value):
            return f"{winner} has the smaller mean squared error: {self.reason} {at}"
        return f"{winner} has the smaller mean squared error: {loser}'s is {factor} times as large {at}"

    __repr__ = __str__

    def to_frame(self) -> pd.DataFrame:
        """One row, with the columns of the study's table of verdicts as far as they apply."""
        import pandas as pd

        row = {
            "first": self.first.estimator, "second": self.second.estimator, "sigma": self.first.sigma,
            "criterion": self.criterion, "budget": self.first.batch_size, "statistic": "log10_mse_ratio",
            "value": self.log10_ratio.value, "value_low": self.log10_ratio.low, "value_high": self.log10_ratio.high,
            "flip_budget": self.flip_budget.value, "flip_budget_low": self.flip_budget.low,
            "flip_budget_high": self.flip_budget.high, "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip
        return pd.DataFrame([row])

    def figure(self) -> Figure:
        """Both errors with their intervals, on a logarithmic axis."""
        figure, axes = small_figure()
        for place, (measured, colour) in enumerate(((self.second, "#D55E00"), (self.first, "#0072B2"))):
            bar(axes, measured.error, float(place), colour)
        axes.set_yticks([0, 1], [self.second.estimator, self.first.estimator])
        axes.set_ylim(-0.6, 1.6)
        if min(self.first.error.low, self.second.error.low) > 0:
            axes.set_xscale("log")
        axes.set_xlabel(f"mean squared error of a batch of {self.first.batch_size}")
        axes.set_title(f"verdict: {self.verdict.replace('_', ' ')}", loc="left")
        return figure

    def _repr_html_(self) -> str:
        return html(str(self), self.figure())


def measure(
    estimator: Estimator,
    simulator: Simulator,
    *,
    batches: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Measurement:
    """Measure an estimator's mean, bias, variance and error, each with its interval.

    Args:
        estimator: any that exists for this simulator.
        simulator: environment, policy, one vector of parameters (P,) and noise level.
        batches: independent estimates; at least three.
        batch_size: N, trajectories that one estimate averages; at least two.
        seed: of all random numbers; equal seeds give all estimators the same ones.
        dtype: of the rollouts.

    Raises:
        ValueError: where the estimator does not exist, with the reason; or for too few batches or samples.

    >>> import scorepath as sp
    >>> simulator = sp.Simulator(sp.environments.Quadratic(dimension=1, offset=1.0), sigma=0.1)
    >>> found = sp.measure(sp.estimators.Pathwise(), simulator, seed=0)
    >>> bool(found.mean.low[0] < sp.exact_reference(simulator).gradient.item() < found.mean.high[0])
    True
    >>> list(found.to_frame()["quantity"])
    ['mean[0]', 'projection', 'squared_bias', 'variance', 'error']
    """
    require_instance("estimator", estimator, Estimator)
    judge = judge_of(simulator, batches, batch_size, seed)
    return _measure(estimator, simulator, judge, batches, batch_size, seed, dtype)


def compare(
    first: Estimator,
    second: Estimator,
    simulator: Simulator,
    *,
    criterion: Criterion = "equal_samples",
    batches: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Comparison:
    """Which of two estimators has the smaller mean squared error, and whether the data decide it.

    As in the study: paired by common random numbers, biases counted unless they are proved to be zero, a 95 % interval
    of the ratio; where unbiasedness is declared only, it holds as well for a bias as large as the reference could have
    missed. (The study's error rate is that of all its comparisons together, here it is that of one.)

    Args:
        first: one estimator.
        second: another one.
        simulator: environment, policy, one vector of parameters (P,) and noise level.
        criterion: what both may spend equally: samples, or environment steps (branches and second rollouts counted).
        batches: independent estimates of each; at least three.
        batch_size: N, trajectories that one estimate averages, and the budget; at least two.
        seed: of all random numbers.
        dtype: of the rollouts.

    Raises:
        ValueError: where one of them does not exist, with the reason; for too few batches or samples, or another
            criterion.

    >>> import scorepath as sp
    >>> simulator = sp.Simulator(sp.environments.Quadratic(dimension=1, offset=1.0), sigma=0.1)
    >>> sp.compare(sp.estimators.Pathwise(), sp.estimators.LeaveOneOut(), simulator).verdict
    'Pathwise'
    """
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be {' or '.join(map(repr, CRITERIA))}, got {criterion!r}")
    methods = first, second
    for name, method in zip(("first", "second"), methods, strict=True):
        require_instance(name, method, Estimator)
    judge = judge_of(simulator, batches, batch_size, seed)
    ours, theirs = (_measure(each, simulator, judge, batches, batch_size, seed, dtype) for each in methods)
    pairs = zip(methods, (ours, theirs), strict=True)
    one, other = (_components(each, measured.statistics, judge, simulator) for each, measured in pairs)
    sides = [
        Side.alone(components, _price(each, simulator, criterion), batch_size)
        for each, components in ((first, one), (second, other))
    ]
    every = np.arange(batches)
    refuted = "" if all(proved_of(each, simulator) for each in methods) else judge.finding
    outcome = Outcome(reason=refuted or "the reference is not certified, so a bias cannot be judged")
    settlement = "", ""
    if not refuted and not np.isnan([one.biases, other.biases]).any():
        (outcome,) = compare_errors(sides[0], sides[1], every)
        if (room := judge.noticeable) and simulator.sigma > 0:
            for index, (each, side) in enumerate(zip(methods, sides, strict=True)):
                if each.unbiased(simulator.environment) and not proved_of(each, simulator):
                    supposed = list(sides)
                    supposed[index] = replace(side, components=[with_room(side.components[0], room**2 * judge.square)])
                    outcome = both(outcome, compare_errors(supposed[0], supposed[1], every)[0], room)
        settlement = settled(outcome, *worth(sides[0], sides[1], every, np.array([judge.square])))
    verdict, why = "not_applicable", ""
    if settlement[0]:
        verdict, reason = settlement
        outcome = Outcome(reason=reason) if verdict == NOT_MEASURABLE else outcome._replace(reason=reason)
    elif math.isfinite(outcome.p_value):
        low, high, p_value = (np.array([number]) for number in (outcome.low, outcome.high, outcome.p_value))
        ((sign, why),) = decide(low, high, p_value, np.array([""]), FALSE_DISCOVERY_RATE)
        margin, names = math.log10(ERROR_MARGIN), (ours.estimator, theirs.estimator)
        verdict, _ = ruling(sign, outcome.low, outcome.high, margin, names, outcome.open_word)
    ratio = Interval(outcome.value, float(outcome.low), float(outcome.high))
    reason = "; ".join(dict.fromkeys(filter(None, (why, outcome.reason))))
    flip = Interval(outcome.flip_budget, outcome.flip_low, outcome.flip_high)
    return Comparison(verdict, ratio, flip, reason, criterion, ours, theirs)


def _measure(
    estimator: Estimator,
    simulator: Simulator,
    judge: Judge,
    batches: int,
    batch_size: int,
    seed: int,
    dtype: torch.dtype,
) -> Measurement:
    name = _name(estimator)
    environment, policy = simulator.environment, simulator.policy
    if reason := estimator.not_applicable(environment, simulator.sigma) or estimator.not_applicable_to(policy):
        raise ValueError(f"{name} does not exist here: {reason}")
    found = batch_statistics(
        estimator, simulator, judge.gradients, Stream(seed, "", "measure"), batches, batch_size, dtype
    )
    components = _components(estimator, found, judge, simulator)
    return Measurement(
        estimator=name,
        sigma=simulator.sigma,
        batches=batches,
        batch_size=batch_size,
        mean=Interval(*mean_estimates(found.means.T)[:3]),
        projection=Interval(*map(float, mean_estimates(found.projection)[:3])),
        squared_bias=_squared_bias(found) if judge.certified else Interval(*(math.nan,) * 3),
        variance=_variance(components),
        error=Interval(*error_estimate(components, 1.0, batch_size)[:3]),
        judge=judge,
        statistics=found,
    )


def _variance(components: ErrorComponents) -> Interval:
    if components.tail.unmeasurable:
        return Interval(*(math.nan,) * 3)
    tail = components.tail
    return Interval(*map(float, positive_mean_estimates(components.variances, tail.unseen, tail.luck)[:3]))


def _squared_bias(found: BatchStatistics) -> Interval:
    square = float(found.squared_bias.mean())
    spreads = found.error_spread, found.error_along, found.error_roundness
    low, high = map(float, squared_norm_limits(found.squared_bias, *spreads))
    return Interval(max(0.0, square) if math.isfinite(square) else square, low, high)


def _components(estimator: Estimator, found: BatchStatistics, judge: Judge, simulator: Simulator) -> ErrorComponents:
    return error_components(
        _name(estimator), found.variance, found.squared_bias, found.nonfinite_fraction, found.zero_fraction,
        unbiased=proved_of(estimator, simulator), certified=judge.certified, tail=found.tail,
    )  # fmt: skip


def _price(estimator: Estimator, simulator: Simulator, criterion: str) -> float:
    environment = simulator.environment
    return steps_per_sample(estimator, environment) / environment.horizon if criterion == "equal_steps" else 1.0


def _name(estimator: Estimator) -> str:
    """The class, with its options unless all of them are the defaults."""
    kind = type(estimator)
    try:
        default = kind() == estimator
    except TypeError:  # an option has no default
        default = False
    return kind.__name__ if default else repr(estimator)
