"""What their spread says depends on how samples share a batch and a past: false declarations of that are found.

The mutants of `test_mutants`, for what variances rest on.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from scorepath.conformance import check_estimator, check_expectations
from scorepath.estimators.base import Estimator
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.optimal_constant import OptimalConstant
from scorepath.estimators.pgpe import PGPE
from scorepath.estimators.state_value_baseline import StateValueBaseline
from scorepath.noise import Noise
from scorepath.rollout import Simulator, Trajectories

torch.set_num_threads(1)


class FittedToItsOwnBatch(StateValueBaseline):
    def credit(self, trajectories: Trajectories, noise: Noise, past: Any = None) -> Tensor:
        return super().credit(trajectories, noise, trajectories)


class LeavesOneOutInAQuotient(OptimalConstant):
    leaves_one_out: ClassVar[bool] = True


class LeavesOneOutAlone(LeaveOneOut):
    couples_samples: ClassVar[bool] = False


class ShiftedByItsPast(StateValueBaseline):
    """Unbiased over all pasts, for their scores have mean zero, and under none of them."""

    def signal(self, simulator: Simulator, noise: Noise, past: Any = None) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal if past is None else signal + past.score.mean(1, keepdim=True)


@pytest.mark.parametrize(
    ("mutant", "words"),
    [
        (FittedToItsOwnBatch(), "declare couples_samples = True"),
        (LeavesOneOutInAQuotient(), "not the mean of what it is beside each of its batch-mates alone"),
        (LeavesOneOutAlone(), "leaves_one_out = True needs couples_samples = True"),
        (ShiftedByItsPast(), "unbiased() must hold whatever the past was"),
    ],
)
def test_a_false_declaration_is_found_out(mutant: Estimator, words: str) -> None:
    found = check_estimator(mutant) or check_expectations(mutant)
    assert any(words in finding for finding in found), found


@pytest.mark.parametrize("original", [StateValueBaseline(), OptimalConstant(), LeaveOneOut(), PGPE()])
def test_the_true_ones_are_not(original: Estimator) -> None:
    assert (check_estimator(original) or check_expectations(original)) == []
