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

FALSE_ALARM = 1e-4
"""Probability that two right estimates are found to disagree: a study of 200 comparisons refuses one in fifty times."""
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
    | limit | of the distance, beyond which they disagree |
    | noticeable | the smallest length of a bias that exceeds the limit with probability `POWER` |
    | trajectories | behind it: events that none of them met are no part of its spread; 0 where that is not said |
    """

    name: str
    distance: float
    limit: float
    noticeable: float
    trajectories: int = 0

    @property
    def rarest(self) -> int:
        """One trajectory in so many is the rarest event that it meets with probability 0.95."""
        return max(1, self.trajectories // 3)

    @property
    def agrees(self) -> bool:
        return self.distance < self.limit

    def __str__(self) -> str:
        """With its distance as a part of the limit: about 0 % for two right ones, and from 100 % on they disagree."""
        if not math.isfinite(self.distance):
            return f"{self.name} (not finite)"
        return f"{self.name} ({round(100 * self.distance / self.limit)} % of the limit)"


def witness(name: str, errors: Tensor, floor: float = 0.0, false_alarm: float = FALSE_ALARM) -> Witness:
    """The witness whose independent batches differ from the reference's by `errors`, (batches, P).

    With mean zero and covariance C, the mean product of different batches has a variance s^2 of
    `2 tr(C^2) / (M (M - 1))`. Divided by tr(C) / M it is, but for 1, distributed as F with nu and (M - 1) nu degrees of
    freedom, `nu = tr(C)^2 / tr(C^2)` (Dempster 1958): where one direction has all the spread, nu = 1 and the limit at
    `FALSE_ALARM` and 64 batches is 11.5 standard errors; where many share it, it nears a normal's 3.7. With a mean of
    length b the mean product is b^2 more, and its variance at most `4 b^2 l / M` more, l being C's largest eigenvalue:
    b is noticed with probability `POWER` if `b^2 = limit s + QUANTILE sqrt(s^2 + 4 b^2 l / M)`, a quadratic in b^2.

    Args:
        name: what it is called.
        errors: of each batch.
        floor: length of a difference that rounding explains.
        false_alarm: the probability with which they disagree if both are right.
    """
    from scipy.special import fdtri

    if not errors.isfinite().all():
        return Witness(name, math.inf, 0.0, math.inf)
    batches = len(errors)
    freedom = batches - 1
    centred = errors - errors.mean(0)
    eigenvalues = torch.linalg.eigvalsh(centred @ centred.T / freedom).clamp_min(0)  # C's, but for zeros
    trace, squares = eigenvalues.sum().item(), eigenvalues.square().sum().item()
    # the sample's own noise taken off (Bai & Saranadasa 1996)
    squares = max(squares - trace**2 / freedom, 0.0) * freedom**2 / ((freedom + 2) * (freedom - 1))
    square = errors.mean(0).square().sum().item() - trace / batches
    nu = min(max(1.0, trace**2 / squares), errors.shape[1]) if squares > 0 else 1.0
    limit = (float(fdtri(nu, freedom * nu, 1 - false_alarm)) - 1) * math.sqrt(nu / 2)
    spread = math.hypot(math.sqrt(2 / nu) * trace / batches, floor**2 / limit)
    if spread == 0:
        return Witness(name, 0.0 if square == 0 else math.inf, limit, 0.0)
    half = limit * spread + 2 * QUANTILE**2 * eigenvalues[-1].item() / batches
    root = math.sqrt(max(0.0, half**2 - (limit**2 - QUANTILE**2) * spread**2))
    return Witness(name, square / spread, limit, math.sqrt(half + root))


def along_a_guess(noticeable: float, error: float) -> float:
    """The smallest bias noticed by a test along the direction in which another, noisier witness sees it.

    A bias b is tested by its part along that direction, `b^2 / sqrt(b^2 + error^2)`, which has to be `noticeable`.

    Args:
        noticeable: length of the smallest bias noticed along a given direction.
        error: of the vector whose direction it is: the root of the trace of its covariance.
    """
    square = noticeable**2
    return math.sqrt((square + math.sqrt(square**2 + 4 * square * error**2)) / 2)
