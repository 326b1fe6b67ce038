"""The optimal constant baseline is estimated on the other samples."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, SAMPLES, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.lqr import LQR
from scorepath.estimators.optimal_constant import OptimalConstant, optimal_constants
from scorepath.estimators.reinforce import Reinforce
from scorepath.pullback import per_trajectory_gradients


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_optimal_constant_is_estimated_on_the_other_samples(kind: str) -> None:
    environment = LQR(horizon=4, discount=0.9)
    start = simulator(environment, kind=kind)
    trajectories = start.rollout(noise(environment).rollout)
    scores = torch.cat(list(per_trajectory_gradients(trajectories, trajectories.score)))
    weights, found = scores.square().sum(-1), optimal_constants(trajectories)
    for batch, sample in itertools.product(range(BATCHES), range(SAMPLES)):
        others = [other for other in range(SAMPLES) if other != sample]
        weight = weights[batch, others]
        assert_close(found[batch, sample], (weight * trajectories.returns[batch, others]).sum() / weight.sum())
    expected = (trajectories.returns - found)[..., None] * scores
    assert_close(gradients(OptimalConstant(), start, noise(environment)), expected)


def test_alone_the_optimal_constant_is_reinforce() -> None:
    environment = LQR(horizon=4)
    start, alone = simulator(environment), noise(environment, samples=1)
    assert torch.equal(gradients(OptimalConstant(), start, alone), gradients(Reinforce(), start, alone))
