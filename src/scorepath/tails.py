"""The tail gate: whether a second moment can be measured from the samples at hand, and what they may not have shown.

The squared deviations' index is estimated (Hill 1975); a Pareto tail of index 1 or below has no mean, and no number of
batches gives an interval. Nor is a sum measured that rests on a handful of samples; and of those that just pass this
gate many were lucky, so that their lower limit is one given that they passed.

Of a Pareto tail with index alpha > 1 whose k largest samples hold S of the sum, `k^(1/alpha - 1) S` lies beyond the
level that one of them passes on average. With probability 1/e none does, all of that is unseen, and the samples look as
if their tail were lighter: by their spread, their index and their largest one. So that level is the fitted tail's, not
the largest sample, and the index may be a standard error lower. Beyond the largest sample 1/alpha of it is unseen on
average: an interval of a variance allows for that; a verdict (`scorepath.verdicts`), which errs where the samples are
lucky ones, for all of it, less the least that the other side may lack.
docs/calibration.md says how intervals fare at every kind of tail.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

FRACTION = 0.01
"""The tail: this share of the samples."""
FEWEST_IN_TAIL = 16
"""But so many of them at least."""
FEWEST = 8
"""A second moment that rests on fewer samples (or than an eighth of all, if that is less) is not measured."""
LEAST = 1e-3
"""Where chance and the gate leave a sum no lower limit, this share of it is one."""


@dataclass(frozen=True)
class Tail:
    """What is known of the tail of samples that are never negative."""

    share: float = 0.0
    """Of their sum, what the largest hundredth holds; 0.01 would be even."""
    largest: float = 0.0
    """Of their sum, what the largest one holds."""
    index: float = math.inf
    """Hill's, of the largest hundredth; infinite where these are all alike."""
    effective: float = math.inf
    """How many samples their sum rests on: its square over the sum of their squares."""
    samples: int = 0

    @property
    def unseen(self) -> float:
        """What it holds beyond the largest sample on average, as a share of the sum; infinite without a mean."""
        index = self._index(-1)
        return self._beyond(index) / index

    @property
    def most_unseen(self) -> float:
        """What it may hold unseen, likewise."""
        return self._beyond(self._index(-1))

    @property
    def least_unseen(self) -> float:
        """The same, were its index as much larger as it may be smaller."""
        return self._beyond(self._index(1))

    def _index(self, errors: int) -> float:
        """So many standard errors larger."""
        return self.index * (1 + errors / math.sqrt(max(FEWEST_IN_TAIL, hundredth(self.samples))))

    def _beyond(self, index: float) -> float:
        """What a tail of this index holds beyond the level that one sample passes on average, as a share of the sum.

        In proportion less where the largest sample stays below the level of the tail as estimated: it may be bounded.
        """
        if self.largest == 0 or self.index == math.inf:
            return 0.0
        if self.index <= 1:
            return math.inf
        level = self._held(self.index) * (1 - 1 / self.index)
        return self._held(index) * min(1.0, self.largest / level)

    def _held(self, index: float) -> float:
        return float(self.share * hundredth(self.samples) ** (1 / index - 1))

    @property
    def fewest(self) -> float:
        """So many samples must their sum rest on at least."""
        return min(FEWEST, self.samples / 8)

    @property
    def luck(self) -> float:
        """By what factor the sum's lower limit is smaller for knowing that the gate let it through (`luck_of`)."""
        return float(luck_of([self])[0])

    @property
    def unmeasurable(self) -> str:
        """Why no mean can be measured from these samples; "" if one can."""
        if self.largest == 0:
            return ""
        if self.effective < self.fewest:
            return f"the variance rests on {self.effective:.1f} of {self.samples:.0f} samples"
        if self.index <= 1:
            return f"the squared deviations' tail is too heavy: Hill index {self.index:.2f}"
        return ""


NO_TAIL = Tail()


def hundredth(samples: int) -> int:
    """How many of so many samples `Tail.share` is of."""
    return max(1, round(FRACTION * samples))


def luck_of(tails: Sequence[Tail]) -> np.ndarray:
    """By what factor each sum's lower limit is smaller for knowing that the gate let it through; at least 1.

    The number of samples that a sum rests on is as a count of rare events: its lower limit is the mean at which a
    Poisson count, *given that it passes*, is so large with probability 2.5 % (beside the limit without a gate).
    """
    from scipy.special import gammainc, gammaincinv

    factors = np.ones(len(tails))
    gated = [index for index, tail in enumerate(tails) if tail.fewest <= tail.effective < math.inf]
    rests, fewest = (np.array([getattr(tails[index], name) for index in gated]) for name in ("effective", "fewest"))
    plain = gammaincinv(rests, 0.025)  # gammainc(k, m): P(Poisson count of mean m >= k)
    low, high = np.log(LEAST * rests), np.log(plain)
    for _ in range(40):
        middle = (low + high) / 2
        mean = np.exp(middle)
        surprising = gammainc(rests, mean) > 0.025 * gammainc(fewest, mean)
        low, high = np.where(surprising, low, middle), np.where(surprising, middle, high)
    factors[gated] = np.maximum(1.0, plain / np.exp(high))
    return factors


def tail_of(values: Tensor) -> Tail:
    """The tail of all values together, of any shape; none if one is not finite or all are zero."""
    flat = values.flatten().double()
    total, count = flat.sum().item(), flat.numel()
    if not 0 < total < math.inf:
        return Tail(samples=count)
    carriers = int((flat >= (1 - 1e-9) * flat.mean()).sum())
    effective = 1 / (flat / total).square().sum().item()
    size = hundredth(count)
    # of rare events, which are larger than all the rest, only the events are the tail
    deep = max(2, min(max(FEWEST_IN_TAIL, size), carriers))
    largest = flat.topk(min(count, max(size, deep + 1))).values
    beyond = largest[:deep]
    threshold = beyond[-1] if deep >= carriers or len(largest) <= deep else largest[deep]
    excess = (beyond / threshold).log().sum().item() if threshold > 0 else 0.0
    index = (deep - 1) / excess if excess > 0 else math.inf
    return Tail((largest[:size].sum() / total).item(), largest[0].item() / total, index, effective, count)
