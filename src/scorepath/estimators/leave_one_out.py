"""Leave-one-out baseline: the mean reward-to-go of the other trajectories in the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scorepath.estimators.base import ScoreFunctionEstimator
from scorepath.noise import Noise
from scorepath.rollout import Trajectories


def leave_one_out_credit(trajectories: Trajectories) -> Tensor:
    """`G_t - mean of the others' G_t`, (batches, samples, horizon)."""
    rewards_to_go = trajectories.rewards_to_go
    samples = rewards_to_go.shape[1]
    # G_i - mean_{j != i} G_j = (G_i - mean_j G_j) * N / (N - 1)
    return (rewards_to_go - rewards_to_go.mean(1, keepdim=True)) * (samples / (samples - 1))


@dataclass(frozen=True, kw_only=True)
class LeaveOneOut(ScoreFunctionEstimator):
    """Approximates grad J_sigma. With `delta_t = (G_t - b_t) * eps_t / sigma`, b_t the mean of the other N - 1 samples.

    Requires at least two trajectories per batch and sigma > 0.
    """

    source: ClassVar[str] = "Kool, van Hoof & Welling 2019"
    bias: ClassVar[str] = "unbiased: the baseline of a sample does not contain that sample"
    couples_samples: ClassVar[bool] = True
    leaves_one_out: ClassVar[bool] = True

    def credit(self, trajectories: Trajectories, noise: Noise, past: Trajectories | None = None) -> Tensor:
        return leave_one_out_credit(trajectories)
