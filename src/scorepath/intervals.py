"""95 % intervals that cover, from a few dozen independent batches: of means, of ratios of means, of squared norms.

A percentile bootstrap of 64 batches falls short, most of all where single samples weigh much. Student's t does not,
if the statistic is nearly normal; where its batches are skewed, Hall's transformation of t helps, and where they are
not, estimating their skewness does harm. So an interval here is the union of both, and a p-value the larger of both.
What samples of a heavy tail may not have shown yet is added (`scorepath.tails`). docs/calibration.md measures it all.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95
UPPER = (1 + LEVEL) / 2


class Estimate(NamedTuple):
    """A statistic with its limits, and the p-value of the hypothesis that it is zero; numbers or arrays."""

    value: Any
    low: Any
    high: Any
    p_value: Any


def studentised(
    value: Any, standard_error: Any, skewness: Any, batches: int, below: Any = 0.0, above: Any = 0.0
) -> Estimate:
    """A statistic with its limits: the union of Student's t and of Hall's transformation of it (Hall 1992).

    With `t = (estimate - truth) / standard error` and `a = skewness / sqrt(batches)`, the cubic
    `g(t) = t + a t^2 / 3 + a^2 t^3 / 27 + a / 6` is more nearly normal than t where batches are skewed.

    Args:
        value: the estimate, (...).
        standard_error: (...); where it is 0 the limits are the estimate.
        skewness: of what the batches contribute, (...).
        batches: how many; Student's t has one degree of freedom less.
        below: how much further down the limit lies than chance alone puts it, (...).
        above: likewise, up.
    """
    from scipy.special import stdtr, stdtrit

    value, error, skewness = (np.asarray(each, dtype=float) for each in (value, standard_error, skewness))
    freedom = batches - 1
    z = float(stdtrit(freedom, UPPER))
    a = skewness / math.sqrt(batches)
    far, near = (_inverse_of_hall(sign * z, a) for sign in (-1, 1))
    low = value - error * np.maximum(z, near) - below
    high = value - error * np.minimum(-z, far) + above
    beyond = np.where(value > 0, np.maximum(value - below, 0.0), np.minimum(value + above, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(beyond == 0, 0.0, beyond / error)
        hall = np.where(np.isfinite(t), t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6, t)
    p_value = np.where(beyond == 0, 1.0, 2 * stdtr(freedom, -np.minimum(abs(t), abs(hall))))
    return Estimate(value, low, high, p_value)


def _inverse_of_hall(z: float, a: np.ndarray) -> np.ndarray:
    """The t whose transform is z."""
    small = abs(a) < 1e-9
    divisor = np.where(small, 1.0, a)
    return np.where(small, z, 3 / divisor * (np.cbrt(1 + divisor * (z - divisor / 6)) - 1))


def skewness(values: np.ndarray) -> np.ndarray:
    """Of the last axis; 0 where nothing varies."""
    centred = values - values.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(variance > 0, (centred**3).mean(-1) / (variance * np.sqrt(variance)), 0.0))


def mean_estimates(values: np.ndarray) -> Estimate:
    """The mean of the last axis, (..., batches), of independent batches; nan or infinite if any batch is."""
    return _where_finite(values, _means)


def positive_mean_estimates(values: np.ndarray, unseen: Any = 0.0, luck: Any = 1.0) -> Estimate:
    """Likewise of what is never negative, as variances: Student's t is that of the logarithm.

    Args:
        values: (..., batches).
        unseen: the share of the mean that the samples may not have shown, (...): it raises the upper limit.
        luck: a factor, at least 1, by which they may have shown too much, (...): it lowers the lower limit.
    """

    def estimates(finite: np.ndarray) -> Estimate:
        found = _means(finite)
        error = _standard_error(finite)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            spread = np.where(error > 0, error / found.value, 0.0)
            factor = np.exp(_t_quantile(finite.shape[-1]) * spread)
        # where batches are skewed the limits on the plain scale reach too far down, and Hall's further up
        return found._replace(low=found.value / factor, high=np.maximum(found.value * factor, found.high))

    found = _where_finite(values, estimates)
    return found._replace(low=found.low / np.asarray(luck), high=found.high * (1 + np.asarray(unseen)))


def _means(values: np.ndarray) -> Estimate:
    return studentised(values.mean(-1), _standard_error(values), skewness(values), values.shape[-1])


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean; 0 where all are the same number, whatever rounding makes of their mean."""
    error = values.std(-1, ddof=1) / math.sqrt(values.shape[-1])
    return np.asarray(np.where(np.ptp(values, axis=-1) == 0, 0.0, error))


def _where_finite(values: np.ndarray, estimates: Any) -> Estimate:
    """The estimates of the rows (..., batches) that are finite throughout; nan or infinity for the others."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values).all(-1)
    rest = np.where(np.isnan(values).any(-1), math.nan, math.inf)
    found = estimates(np.where(finite[..., None], values, 0.0))
    value, low, high = (np.where(finite, part, rest) for part in found[:3])
    return Estimate(value, low, high, np.where(finite, found.p_value, math.nan))


def jackknife(value: Any, without: np.ndarray, below: Any = 0.0, above: Any = 0.0) -> Estimate:
    """A smooth statistic of all batches, from its values without each: limits as `studentised` (Miller 1974).

    Args:
        value: the statistic, (...).
        without: its value when a batch is left out, (..., batches).
        below: how much further down the limit lies than chance alone puts it, (...).
        above: likewise, up.
    """
    batches = without.shape[-1]
    pseudo_values = batches * np.asarray(value)[..., None] - (batches - 1) * without
    return studentised(value, _standard_error(pseudo_values), skewness(pseudo_values), batches, below, above)


def positive_ratio(above: np.ndarray, below: np.ndarray) -> Estimate:
    """The ratio of two means where it is positive, with the positive part of its limits by Fieller (1954); else nan.

    All r for which `above - r below` may have mean 0, by Student's t: an interval; or, where the divisor may be zero,
    everything from some ratio on, or everything. There is no p-value.

    Args:
        above: what the dividend averages, (..., batches).
        below: what the divisor averages, of the same batches.
    """
    batches = above.shape[-1]
    centers = above.mean(-1), below.mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = centers[0] / centers[1]
        value = np.where((value > 0) & np.isfinite(value), value, math.nan)
        # in units of the means, so that nothing overflows and the ratio is 1
        one, other = (part / center[..., None] - 1 for part, center in zip((above, below), centers, strict=True))
        scale = _t_quantile(batches) ** 2 / (batches * (batches - 1))
        a, b, c = (1 - scale * (p * q).sum(-1) for p, q in ((other, other), (one, other), (one, one)))
        reach = np.sqrt(np.maximum(0.0, b**2 - a * c))
        roots = (b - reach) / a, (b + reach) / a
    # where the divisor may be 0 the set lies outside two roots: above the larger, if the smaller is negative
    beyond = np.where((b**2 > a * c) & (c > 0), roots[0], 0.0)
    low = np.where(a > 0, np.maximum(0.0, roots[0]), beyond)
    high = np.where(a > 0, roots[1], math.inf)
    return Estimate(value, value * low, value * high, np.full_like(value, math.nan))


def _t_quantile(batches: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(batches - 1, UPPER))


def squared_norm_limits(pseudo_values: np.ndarray, spread: Any, along: Any, roundness: Any) -> tuple[Any, Any]:
    """95 % limits of `|delta|^2` from the mean of independent vectors of mean delta; never negative.

    The mean's component along its own direction is as in `studentised`, with variance `along`; what lies across adds,
    to the square, a chi-square of the same mean and variance (Satterthwaite 1946), and both widths add as squares do.
    The lower limit is the square at which this one would be as large with probability 2.5 %. For one coordinate the
    limits are the squares of those of the mean. The upper limit takes the vector to lie where the mean spreads most, of
    which sqrt(`roundness`) is a bound: it leaves no room for a bias that hides there.

    Args:
        pseudo_values: of the square, (..., batches), as `scorepath.statistics.squared_bias` gives them: they average to
            it without bias, and their skewness is that of the vectors in the mean's direction.
        spread: trace of the mean's covariance, (...).
        along: variance of the mean in its own direction, (...).
        roundness: trace of the square of the mean's covariance, (...).
    """
    from scipy.special import chdtri

    values = np.asarray(pseudo_values, dtype=float)
    parts = values.mean(-1), spread, along, roundness
    numbers = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in parts))
    finite = np.asarray(np.isfinite(numbers).all(0))
    estimate, spread, along, roundness = (np.where(finite, each, 0.0) for each in numbers)
    skewed = _skewness_along(np.where(finite[..., None], values, 0.0), (estimate + spread) * along)

    def across(own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean of the square of what lies across, and how far it may lie above and below that."""
        rest = np.maximum(spread - own, 0.0)
        variance = 2 * (roundness - own**2)
        there = (variance > 0) & (rest > 1e-9 * spread)
        freedom = np.where(there, 2 * rest**2 / np.where(there, variance, 1.0), 1.0)
        above, below = (rest * (chdtri(freedom, tail) / freedom - 1) for tail in (1 - UPPER, UPPER))
        return np.where(there, rest, 0.0), np.where(there, above, 0.0), np.where(there, -below, 0.0)

    rest, above, _ = across(along)
    signal = np.maximum(estimate + spread - rest, 0.0)  # |mean|^2 without what lies across
    length = np.sqrt(signal)
    reach = studentised(0.0, np.sqrt(along), skewed, values.shape[-1])
    low = np.where(finite, np.square(_shortest(signal, -reach.low, above)), math.nan)
    widest = np.maximum(along, np.sqrt(roundness))
    _, _, below = across(widest)
    reach = studentised(0.0, np.sqrt(widest), skewed, values.shape[-1])
    # a vector as long as the mean may also lie on the other side of 0
    width = np.maximum(reach.high, -reach.low - 2 * length)
    return low, np.where(finite, signal + np.hypot(2 * width * length + width**2, below), math.nan)


def _skewness_along(pseudo_values: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Of vectors in their mean's direction, from a square's pseudo-values.

    These are linear in the vectors but for their squares, which prevail where the mean is short: the skewness counts as
    far as the linear part makes the spread.

    Args:
        pseudo_values: (..., batches).
        linear: square of the mean's length times the mean's variance in its direction, (...).
    """
    batches = pseudo_values.shape[-1]
    whole = pseudo_values.var(-1, ddof=1)
    share = np.asarray(4 * batches * linear / np.where(whole > 0, whole, 1.0))
    return np.asarray(skewness(pseudo_values) * share.clip(0.0, 1.0) ** 1.5)


def _shortest(signal: np.ndarray, width: np.ndarray, above: np.ndarray) -> np.ndarray:
    """The length y with `signal - y^2 = hypot(2 width y + width^2, above)`; 0 where even that leaves too much."""
    low, high = np.zeros_like(signal), np.sqrt(signal)
    for _ in range(60):
        middle = (low + high) / 2
        explained = middle**2 + np.hypot(2 * width * middle + width**2, above) > signal
        low, high = np.where(explained, low, middle), np.where(explained, middle, high)
    return np.where(np.hypot(width**2, above) >= signal, 0.0, low)


def bias_p_values(estimate: Any, spread: Any, roundness: Any, batches: int) -> np.ndarray:
    """How likely a mean of independent vectors lies as far from 0 as this one, if nothing but noise moved it; or nan.

    Its square over `spread` is as F with nu and (batches - 1) nu degrees of freedom, `nu = spread^2 / roundness`
    (Dempster 1958); for one coordinate that is the t-test. The arguments are those of `squared_norm_limits`.
    """
    from scipy.special import fdtrc

    estimate, spread, roundness = (np.asarray(each, dtype=float) for each in (estimate, spread, roundness))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        freedom = np.maximum(1.0, spread / roundness * spread)
        found = fdtrc(freedom, (batches - 1) * freedom, np.maximum(0.0, estimate / spread + 1))
    # without any spread, what is not 0 is no noise
    return np.asarray(np.where(spread > 0, found, np.where(estimate > 0, 0.0, np.where(estimate <= 0, 1.0, math.nan))))


def quantile_limits(ordered: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A quantile of the last axis, sorted (..., batches), with limits that hold for any distribution: order statistics.

    The number of batches below the quantile is binomial, so that the limits cover at least 95 %; with too few batches
    for an upper limit it is infinite, and for a lower one 0.
    """
    from scipy.special import bdtr

    count = ordered.shape[-1]
    at_most = bdtr(np.arange(count + 1.0), count, level)  # P(so many batches lie below)
    first = int(np.count_nonzero(at_most <= 1 - UPPER))  # the lower limit is the `first`-th smallest
    last = int(np.argmax(at_most >= UPPER)) + 1
    low = ordered[..., first - 1] if first else np.zeros_like(ordered[..., 0])
    high = ordered[..., last - 1] if last <= count else np.full_like(ordered[..., 0], math.inf)
    return np.quantile(ordered, level, axis=-1), low, high
