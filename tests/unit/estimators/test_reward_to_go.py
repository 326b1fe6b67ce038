"""Rewards to go: the return where that is all there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.helpers.problems import at, noise

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.reward_to_go import RewardToGo


@pytest.mark.parametrize(
    "make",
    [
        lambda noise: RandomWalkCall(horizon=3, reward_noise=noise),
        lambda noise: AngleDoubling(doublings=3, reward_noise=noise),
    ],
    ids=["RandomWalkCall", "AngleDoubling"],
)
def test_rewards_to_go_are_the_return_unless_rewards_are_noisy(make: Callable[[float], Environment]) -> None:
    for reward_noise in (0.0, 0.5):
        environment = make(reward_noise)
        simulator, draws = at(environment, 0.0, 0.1), noise(environment, 1)
        reinforce, to_go = (kind().estimate(simulator, draws)[0] for kind in (Reinforce, RewardToGo))
        declared = RewardToGo().identical_to(environment, 0.1)
        assert torch.allclose(reinforce, to_go) == (declared == "reinforce") == (reward_noise == 0)
