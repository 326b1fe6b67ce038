"""What the study does with a cell, for one simulator in hand: measure an estimator, or compare two.

`measure` and `compare` use the functions that the study's stages use, and the same random numbers for all estimators.
Their results print as a sentence, give a table, and show a small figure where a notebook asks for one.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from scorepath.estimators.base import Estimator
from scorepath.measurement import BatchStatistics, batch_statistics, steps_per_sample
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import certified_reference
from scorepath.rollout import Simulator
from scorepath.statistics import bootstrap_weights, interval, limits
from scorepath.verdicts import ErrorComponents, Outcome, compare_errors, decide, error_components, mean_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESAMPLES = 2000
"""Bootstrap resamples behind every interval, as in the default study."""
FALSE_DISCOVERY_RATE = 0.05
"""Likewise: of a single comparison it is the significance level."""
REFERENCE_SAMPLES = 10
"""A certified Monte Carlo reference has so many times the trajectories of what it judges."""
ERROR_BUDGET = 0.25
"""Its largest standard error, as a fraction of the gradient's length."""


class Interval(NamedTuple):
    """An estimate with its 95 % limits."""

    value: Any
    low: Any
    high: Any

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclass(frozen=True)
class Judge:
    """The gradient that estimates are held against.

    | field | meaning |
    |---|---|
    | gradients | exact, (1, P), or an independent estimate for each batch, (batches, P); float64 |
    | certified | whether a bias may be judged by it |
    | how | where it comes from, in words |
    """

    gradients: Tensor
    certified: bool
    how: str


@dataclass(frozen=True, repr=False)
class Measurement:
    """An estimator measured: everything per sample of one trajectory (or as many as a sample of it costs).

    | field | meaning |
    |---|---|
    | estimator | its name and options |
    | mean | of the batches' estimates, (P,), with limits for each entry |
    | projection | the mean's component along the reference gradient |
    | squared_bias | squared distance of the mean from the reference; can be negative; nan if it cannot be judged |
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
        return (
            f"{self.estimator} at sigma = {self.sigma:g}: {mean}, {bias}, variance per sample {self.variance}, mean "
            f"squared error of a batch of {self.batch_size} {self.error} (95 % intervals over {self.batches} batches; "
            f"reference of length {norm:.4g}: {self.judge.how})"
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
        figure, axes = _small_figure()
        along = self.statistics.projection
        spread = np.linspace(-0.3, 0.3, len(along))
        axes.plot(along, spread, ".", color="#86A8CC", markersize=4)
        axes.axvline(float(self.judge.gradients.mean(0).norm()), color="#222222", lw=1)
        _bar(axes, self.projection, 0.0, "#0072B2")
        axes.set_ylim(-0.6, 0.6)
        axes.set_yticks([])
        axes.set_xlabel("estimate of a batch along the reference; bar: mean; line: reference")
        axes.set_title(self.estimator, loc="left")
        return figure

    def _repr_html_(self) -> str:
        return _html(str(self), self.figure())


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two estimators compared by mean squared error, as the study compares pathwise with a rival.

    | field | meaning |
    |---|---|
    | verdict | the name of the one with the smaller error; undecided; or not_applicable |
    | log10_ratio | of the second's error to the first's: positive if the first is better |
    | flip_budget | samples to average at which the other one becomes better, or nan |
    | reason | why there is no winner |
    | first, second | both measured |
    """

    verdict: str
    log10_ratio: Interval
    flip_budget: float
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
        if self.verdict in ("undecided", "not_applicable"):
            return f"{first} against {second}: {self.verdict.replace('_', ' ')}, {self.reason} {at}"
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
            "flip_budget": self.flip_budget, "verdict": self.verdict, "reason": self.reason,
        }  # fmt: skip
        return pd.DataFrame([row])

    def figure(self) -> Figure:
        """Both errors with their intervals, on a logarithmic axis."""
        figure, axes = _small_figure()
        for place, (measured, colour) in enumerate(((self.second, "#D55E00"), (self.first, "#0072B2"))):
            _bar(axes, measured.error, float(place), colour)
        axes.set_yticks([0, 1], [self.second.estimator, self.first.estimator])
        axes.set_ylim(-0.6, 1.6)
        if min(self.first.error.low, self.second.error.low) > 0:
            axes.set_xscale("log")
        axes.set_xlabel(f"mean squared error of a batch of {self.first.batch_size}")
        axes.set_title(f"verdict: {self.verdict.replace('_', ' ')}", loc="left")
        return figure

    def _repr_html_(self) -> str:
        return _html(str(self), self.figure())


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
    return _measure(
        estimator, simulator, _judge(simulator, batches, batch_size, seed), batches, batch_size, seed, dtype
    )


def compare(
    first: Estimator,
    second: Estimator,
    simulator: Simulator,
    *,
    criterion: Literal["equal_samples", "equal_steps"] = "equal_samples",
    batches: int = 64,
    batch_size: int = 64,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Comparison:
    """Which of two estimators has the smaller mean squared error, and whether the data decide it.

    As in the study: paired by common random numbers, biases counted unless unbiasedness is declared, a 95 % bootstrap
    interval of the ratio. (The study's error rate is that of all its comparisons together, here it is that of one.)

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
        ValueError: where one of them does not exist, with the reason; or for too few batches or samples.

    >>> import scorepath as sp
    >>> simulator = sp.Simulator(sp.environments.Quadratic(dimension=1, offset=1.0), sigma=0.1)
    >>> sp.compare(sp.estimators.Pathwise(), sp.estimators.LeaveOneOut(), simulator).verdict
    'Pathwise'
    """
    judge = _judge(simulator, batches, batch_size, seed)
    both = first, second
    ours, theirs = (_measure(each, simulator, judge, batches, batch_size, seed, dtype) for each in both)
    environment = simulator.environment
    our_components, their_components = (
        _components(each, measured.statistics, judge, simulator)
        for each, measured in zip(both, (ours, theirs), strict=True)
    )
    our_price, their_price = (
        steps_per_sample(each, environment) / environment.horizon if criterion == "equal_steps" else 1.0
        for each in both
    )
    outcome = Outcome(reason="the reference is not certified, so a bias cannot be judged")
    if not np.isnan([our_components.biases, their_components.biases]).any():
        outcome = compare_errors(
            our_components, their_components, (our_price, their_price), batch_size, np.arange(batches),
            _weights(batches, seed),
        )  # fmt: skip
    verdict, why = "not_applicable", ""
    if math.isfinite(outcome.p_value):
        low, high, p_value = (np.array([number]) for number in (outcome.low, outcome.high, outcome.p_value))
        ((sign, why),) = decide(low, high, p_value, np.array([""]), FALSE_DISCOVERY_RATE)
        verdict = {1: ours.estimator, -1: theirs.estimator, 0: "undecided"}[sign]
    ratio = Interval(outcome.value, float(outcome.low), float(outcome.high))
    return Comparison(verdict, ratio, outcome.flip_budget, outcome.reason or why, criterion, ours, theirs)


def _judge(simulator: Simulator, batches: int, batch_size: int, seed: int) -> Judge:
    """The exact gradient, or where there is none a Monte Carlo estimate, certified if it can be."""
    if batches < 3 or batch_size < 2:
        raise ValueError(f"an interval needs at least 3 batches of 2 samples, got {batches} of {batch_size}")
    if simulator.environment.reference_class != "certified_monte_carlo":
        exact = exact_reference(simulator)
        return Judge(exact.gradient[None], True, "exact")
    stream = Stream(seed, "", "reference")
    samples = REFERENCE_SAMPLES * batches * batch_size
    found = certified_reference(simulator, stream, samples, batches, ERROR_BUDGET)
    return Judge(found.gradients, found.certified, found.certified_by)


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
    if reason := estimator.not_applicable(simulator.environment, simulator.sigma):
        raise ValueError(f"{name} does not exist here: {reason}")
    found = batch_statistics(
        estimator, simulator, judge.gradients, Stream(seed, "", "measure"), batches, batch_size, dtype
    )
    draws = _weights(batches, seed)
    components = _components(estimator, found, judge, simulator)
    error = float(components.squared_error(mean_of(np.arange(batches), batches), 1.0, batch_size))
    ends = limits(components.squared_error(draws, 1.0, batch_size)) if math.isfinite(error) else (error, error)
    return Measurement(
        estimator=name,
        sigma=simulator.sigma,
        batches=batches,
        batch_size=batch_size,
        mean=Interval(found.means.mean(0), *limits(draws @ found.means)),
        projection=Interval(*interval(found.projection, draws)),
        squared_bias=Interval(*interval(found.squared_bias, draws) if judge.certified else (math.nan,) * 3),
        variance=Interval(*interval(found.variance, draws)),
        error=Interval(error, *map(float, ends)),
        judge=judge,
        statistics=found,
    )


def _components(estimator: Estimator, found: BatchStatistics, judge: Judge, simulator: Simulator) -> ErrorComponents:
    return error_components(
        _name(estimator), found.variance, found.squared_bias, found.nonfinite_fraction, found.zero_fraction,
        unbiased=simulator.sigma > 0 and estimator.unbiased(simulator.environment), certified=judge.certified,
    )  # fmt: skip


def _weights(batches: int, seed: int) -> np.ndarray:
    generator = Stream(seed, "", "verdicts").generator(batches, "bootstrap")
    return bootstrap_weights(batches, RESAMPLES, generator)


def _name(estimator: Estimator) -> str:
    """The class, with its options unless all of them are the defaults."""
    kind = type(estimator)
    try:
        default = kind() == estimator
    except TypeError:  # an option has no default
        default = False
    return kind.__name__ if default else repr(estimator)


# --- drawing ----------------------------------------------------------------------------------------------------------


def _small_figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 1.5), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, axes


def _bar(axes: Axes, estimate: Interval, height: float, colour: str) -> None:
    axes.plot(estimate[1:], [height, height], color=colour, lw=2, solid_capstyle="butt")
    axes.plot(estimate.value, height, "o", color=colour, markersize=5)


def _html(sentence: str, figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    svg = buffer.getvalue()
    return f"<p>{escape(sentence)}</p>{svg[svg.index('<svg') :]}"
