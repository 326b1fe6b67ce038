"""A switch: the pathwise gradient, unless its batch disagrees with the score function beyond statistical error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.estimators._mixture import Mixture
from scorepath.pullback import per_trajectory_gradients
from scorepath.rollout import Trajectories


@dataclass(frozen=True, kw_only=True)
class DiscontinuitySwitch(Mixture):
    """Approximates grad J_sigma. With `delta_t = leave_one_out_t` in batches where a test fires, else `pathwise_t`.

    The test is of `E d = 0` for the differences d of the two gradients of each of the batch's N trajectories. With S
    the sample covariance of d it fires where

        N |mean d|^2 / tr S > chi-square quantile(1 - level; n) / n,    n = (tr S)^2 / tr(S^2)

    since the left-hand side has mean 1 and, for large N, the law of a weighted sum of chi-squares, which n degrees of
    freedom match in variance (Satterthwaite); the quantile is Wilson and Hilferty's. Where the return is continuous it
    fires with probability `level` in the limit of large N (more often while the score function's heavy tails keep its
    mean from being normal: at 0.01, 1 % on a quadratic and 7 % on a 20-step LQR with N = 512); where it jumps, once N
    times the squared bias stands out of the score function's variance. `weights` names the rollouts that are tested:
    the same_batch or an independent_batch. Requires differentiable dynamics, continuous actions and sigma > 0.
    """

    level: float = 0.01

    source: ClassVar[str] = "Scorepath"
    bias: ClassVar[str] = (
        "same batch: where it fires it selects; independent batch: unbiased where pathwise is; jumps that the test "
        "does not see bias both"
    )
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"weights": "independent_batch"},)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.level < 1:
            raise ValueError(f"level must lie in (0, 1), got {self.level}")

    def weigh(self, trajectories: Trajectories, pathwise: Tensor, score: Tensor) -> Tensor:
        differences = per_trajectory_gradients(trajectories, pathwise - score)
        return torch.cat([1.0 - self.fires(chunk.double()).double() for chunk in differences])[:, None]

    def fires(self, differences: Tensor) -> Tensor:
        """Whether the mean of each batch of differences (batches, N, P) is too far from zero: (batches,) of bool."""
        samples = differences.shape[1]
        mean = differences.mean(1)
        centred = differences - mean[:, None]
        # S and the Gram matrix of the rows have the same trace and the same norm: take the smaller one
        product = centred @ centred.mT if samples < centred.shape[-1] else centred.mT @ centred
        product = product / (samples - 1)
        trace = product.diagonal(dim1=-2, dim2=-1).sum(-1)
        square = product.square().sum((-2, -1))
        freedom = torch.where(square > 0, trace.square() / square, torch.ones_like(trace))
        spread = 2 / (9 * freedom)
        quantile = (1 - spread + spread.sqrt() * torch.special.ndtri(torch.tensor(1 - self.level).to(trace))) ** 3
        return samples * mean.square().sum(-1) > quantile * trace
