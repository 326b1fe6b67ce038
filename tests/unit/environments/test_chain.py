"""The chain's tables describe its steps."""

from __future__ import annotations

import itertools

import pytest
import torch

from scorepath.environments.chain import Chain


def test_chain_tables_describe_the_step() -> None:
    environment = Chain(states=4, slip=0.2)
    noise = torch.special.ndtri((torch.arange(100, dtype=torch.float64) + 0.5) / 100).unsqueeze(-1)
    identity = torch.eye(4, dtype=torch.float64)
    transitions, rewards = environment.transition_matrix(), environment.reward_table()
    for s, a in itertools.product(range(4), range(2)):
        action = torch.eye(2, dtype=torch.float64)[a].expand(100, 2)
        next_state, reward = environment.step(identity[s].expand(100, 4), action, noise)
        assert set(next_state.unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(next_state.mean(0), transitions[s, a])
        torch.testing.assert_close(reward.mean(), rewards[s, a])
    assert transitions[1, 1].tolist() == pytest.approx([0.2, 0, 0.8, 0])
    assert rewards[2, 1].item() == pytest.approx(0.8 * environment.right_reward)
    start = environment.initial_state(torch.zeros(3, 0, dtype=torch.float64))
    assert torch.equal(start, environment.initial_distribution().expand(3, 4))
