"""Where the exact variances of pathwise and of the better score-function estimator are equal: every such noise level.

The exact curves are smooth in the logarithm of the noise level, so that a change of sign between two neighbours of a
grid is one crossing, and two crossings between neighbours show in how close the curves come. Either is looked at again
on a finer grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.references.curves import exact_curves
from scorepath.references.variances import SCORE_FUNCTION
from scorepath.rollout import Simulator

FINER = 9
"""Levels on a stretch that is looked at again, its ends included."""
CLOSE = 0.5
"""Logarithm of a ratio of variances from which on curves that do not cross may have crossed twice between levels."""


class Crossing(NamedTuple):
    """A noise level at which pathwise and its rival have the same variance."""

    sigma: float
    rival: str
    """The method: of the score-function estimators with an exact curve the one with the smaller variance there."""
    pathwise_above: bool
    """Whether pathwise has the smaller variance at larger noise."""


def variance_crossings(
    simulator: Simulator, sigmas: Sequence[float], variances: dict[str, Tensor], batch_size: int
) -> list[Crossing]:
    """All crossings between the smallest and the largest noise level, by rising noise, to within a per cent.

    Args:
        simulator: as `exact_curves` takes it.
        sigmas: the noise levels, rising, of `variances`.
        variances: exact variances by method, each (levels,); without pathwise or a rival there is no crossing.
        batch_size: N, which leave_one_out depends on.
    """
    rivals = [method for method in SCORE_FUNCTION if method in variances]
    if "pathwise" not in variances or not rivals:
        return []
    stretches = _stretches(_ahead(variances, rivals))
    if not stretches:
        return []
    ends = torch.tensor(sigmas, dtype=torch.float64).log()
    shares = torch.linspace(0, 1, FINER, dtype=torch.float64)
    levels = torch.stack([ends[left] + shares * (ends[left + 1] - ends[left]) for left in stretches])
    finer = exact_curves(simulator, levels.exp().flatten().tolist(), ["pathwise", *rivals], batch_size).variances
    ahead = _ahead(finer, rivals).reshape(levels.shape).tolist()
    found = []
    for stretch, values in enumerate(ahead):
        for place, (left, right) in enumerate(pairwise(values)):
            if (left > 0) != (right > 0) and math.isfinite(left - right):
                share = left / (left - right)
                sigma = torch.lerp(levels[stretch, place], levels[stretch, place + 1], share).exp().item()
                index = stretch * FINER + place + round(share)
                there = {method: finer[method][index].item() for method in rivals}
                found.append(Crossing(sigma, min(there, key=there.__getitem__), right > 0))
    return found


def _ahead(variances: dict[str, Tensor], rivals: Sequence[str]) -> Tensor:
    """Logarithm of the better rival's variance over pathwise's: (levels,)."""
    best = torch.stack([variances[method] for method in rivals]).amin(0)
    return torch.log(best / variances["pathwise"])


def _stretches(ahead: Tensor) -> list[int]:
    """The stretches between neighbouring levels in which curves cross, or may have crossed twice: their left ends."""
    values = ahead.tolist()
    chosen = {place for place in range(len(values) - 1) if (values[place] > 0) != (values[place + 1] > 0)}
    for place, value in enumerate(values):
        around = [abs(values[other]) for other in (place - 1, place + 1) if 0 <= other < len(values)]
        if abs(value) < CLOSE and all(abs(value) <= other for other in around):
            chosen |= {other for other in (place - 1, place) if 0 <= other < len(values) - 1}
    return sorted(chosen)
