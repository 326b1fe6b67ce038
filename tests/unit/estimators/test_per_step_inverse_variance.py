"""Weights of single steps are their formula."""

from __future__ import annotations

import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import MATRIX_LQR, noise, simulator

from scorepath import pullback
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance


def test_per_step_weights_are_their_formula() -> None:
    start, draws = simulator(MATRIX_LQR, kind="mlp"), noise(MATRIX_LQR, samples=30)
    trajectories, pathwise = Pathwise().signal(start, draws)
    trajectories, score = LeaveOneOut().signal(start, draws)
    expected = torch.empty(3, 4, dtype=torch.float64)
    for t in range(4):
        only = torch.zeros_like(score)
        only[:, :, t] = 1
        v1, v0 = (pullback.trace_variances(trajectories, only * each) for each in (pathwise, score))
        expected[:, t] = v0 / (v0 + v1)
    _, signal, weights = PerStepInverseVariance().mix(start, draws.rollout)
    assert_close(weights, expected)
    k = expected[:, None, :, None]
    assert_close(signal, k * pathwise + (1 - k) * score)
