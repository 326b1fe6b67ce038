"""What an agreement between two estimates of a gradient is worth.

It says something only if a disagreement would have shown: so with the distance between the two goes the smallest bias
of either that would have been noticed, at a stated power. What is not finite never agrees, and rounding, which has no
spread, is no disagreement. Nothing here has a unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

AGREEMENT = 8.0
"""Largest distance, in null standard errors, between two estimates of the same gradient. The statistic lies between
a normal (many parameters: one-sided 6e-16) and a centred chi-square of one degree of freedom (4e-4)."""
POWER = 0.95
"""Probability at which the smallest noticeable bias is stated."""
QUANTILE = 1.645
"""Of a standard normal, at `POWER`."""
ROUNDING = {torch.float32: 2e-5, torch.float64: 1e-9}
"""Relative error granted to arithmetic: of sums over trajectories of some hundred steps."""


@dataclass(frozen=True)
class Witness:
    """An independent estimate that was compared with a reference.

    | field | meaning |
    |---|---|
    | name | what it is called |
    | distance | of their means, squared and without its noise, in standard errors that hold if both are right |
    | noticeable | the smallest length of a bias that exceeds `AGREEMENT` with probability `POWER` |
    """

    name: str
    distance: float
    noticeable: float

    @property
    def agrees(self) -> bool:
        return self.distance < AGREEMENT

    def __str__(self) -> str:
        return f"{self.name} ({self.distance:+.1f} s.e.)"


def witness(name: str, errors: Tensor, floor: float = 0.0) -> Witness:
    """The witness whose independent batches differ from the reference's by `errors`, (batches, P).

    With mean zero and covariance C, the mean product of different batches has a variance s^2 of
    `2 tr(C^2) / (M (M - 1))`. With a mean of length b it is b^2 more, and its variance at most `4 b^2 l / M` more, l
    being C's largest eigenvalue: b is noticed with probability `POWER` if
    `b^2 = AGREEMENT s + QUANTILE sqrt(s^2 + 4 b^2 l / M)`, a quadratic in b^2.

    Args:
        name: what it is called.
        errors: of each batch.
        floor: length of a difference that rounding explains.
    """
    if not errors.isfinite().all():
        return Witness(name, math.inf, math.inf)
    batches, pairs = len(errors), len(errors) * (len(errors) - 1)
    products = errors @ errors.T
    products = products - products.diag().diag()
    square = (products.sum() / pairs).item()
    spread = math.hypot((2 * products.square().sum() / pairs / pairs).sqrt().item(), floor**2 / AGREEMENT)
    if spread == 0:
        return Witness(name, 0.0 if square == 0 else math.inf, 0.0)
    centred = errors - errors.mean(0)
    largest = torch.linalg.eigvalsh(centred @ centred.T / (batches - 1))[-1].clamp_min(0).item()
    half = AGREEMENT * spread + 2 * QUANTILE**2 * largest / batches
    root = math.sqrt(max(0.0, half**2 - (AGREEMENT**2 - QUANTILE**2) * spread**2))
    return Witness(name, square / spread, math.sqrt(half + root))


def along_a_guess(noticeable: float, error: float) -> float:
    """The smallest bias noticed by a test along the direction in which another, noisier witness sees it.

    A bias b is tested by its part along that direction, `b^2 / sqrt(b^2 + error^2)`, which has to be `noticeable`.

    Args:
        noticeable: length of the smallest bias noticed along a given direction.
        error: of the vector whose direction it is: the root of the trace of its covariance.
    """
    square = noticeable**2
    return math.sqrt((square + math.sqrt(square**2 + 4 * square * error**2)) / 2)
