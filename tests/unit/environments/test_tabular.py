"""Tabular environments: tables, and steps that are linear in state and action."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.problems import label, noise, simulator
from torch import Tensor

from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.references.exact import exact_reference

INSTANCES: list[TabularEnvironment] = [
    Chain(states=4, slip=0.2, left_reward=0.3),
    Chain(states=2, start=0, slip=0.0),
    Grid(slip=0.2),
    Grid(slip=1.0, rows=1, columns=2),
    Grid(slip=0.2, rows=2, columns=4, cliff=True, step_cost=0.1, cliff_cost=0.5),
]


def one_hot(index: int, count: int) -> Tensor:
    return torch.eye(count, dtype=torch.float64)[index]


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
def test_tables_describe_the_step(environment: TabularEnvironment) -> None:
    states, actions = environment.state_dim, environment.action_dim
    normals = torch.special.ndtri((torch.arange(100, dtype=torch.float64) + 0.5) / 100).unsqueeze(-1)
    transitions, rewards = environment.transition_matrix(), environment.reward_table()
    assert transitions.shape == (states, actions, states)
    torch.testing.assert_close(transitions.sum(-1), torch.ones(states, actions, dtype=torch.float64))
    for s, a in itertools.product(range(states), range(actions)):
        inputs = (one_hot(s, states).expand(100, -1), one_hot(a, actions).expand(100, -1), normals)
        next_state, reward = environment.step(*inputs)
        assert set(next_state.unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(next_state.mean(0), transitions[s, a])
        torch.testing.assert_close(reward.mean(), rewards[s, a])
    start = environment.initial_state(torch.zeros(3, 0, dtype=torch.float64))
    assert torch.equal(start, environment.initial_distribution().expand(3, -1))


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_linear_in_state_and_action(environment: TabularEnvironment, dtype: torch.dtype) -> None:
    """A mixture of states and actions does what the pure ones do, mixed; and so does its derivative."""
    generator = torch.Generator().manual_seed(2)
    normal = torch.randn(20, 1, generator=generator, dtype=dtype)
    state, action = (
        torch.rand(20, count, generator=generator, dtype=dtype).softmax(-1)
        for count in (environment.state_dim, environment.action_dim)
    )
    expected_state, expected_reward = torch.zeros_like(state), torch.zeros_like(state[:, 0])
    for s, a in itertools.product(range(environment.state_dim), range(environment.action_dim)):
        pure_state = one_hot(s, environment.state_dim).to(dtype).expand_as(state)
        pure_action = one_hot(a, environment.action_dim).to(dtype).expand_as(action)
        next_state, reward = environment.step(pure_state, pure_action, normal)
        weight = state[:, s] * action[:, a]
        expected_state, expected_reward = (
            expected_state + weight[:, None] * next_state,
            expected_reward + weight * reward,
        )
    found_state, found_reward = environment.step(state, action, normal)
    torch.testing.assert_close(found_state, expected_state)
    torch.testing.assert_close(found_reward, expected_reward)
    if dtype == torch.float64:
        inputs = (state[:3].requires_grad_(), action[:3].requires_grad_())
        assert torch.autograd.gradcheck(lambda s, a: environment.step(s, a, normal[:3]), inputs)


@pytest.mark.parametrize("environment", [Chain(horizon=4), Grid(horizon=4)], ids=label)
def test_reward_noise_is_added_and_changes_no_gradient(environment: TabularEnvironment) -> None:
    noisy = replace(environment, reward_noise=0.3, discount=0.8)
    quiet, start = simulator(replace(noisy, reward_noise=0.0), 0.5), simulator(noisy, 0.5)
    draws = noise(noisy, 2, 30).rollout
    trajectories = start.rollout(draws)
    added = trajectories.rewards - quiet.rollout(draws).rewards
    expected = 0.3 * 0.8 ** torch.arange(4, dtype=torch.float64) * draws.reward[..., 0]
    if trajectories.active is not None:
        expected = expected * trajectories.active  # after its end an episode pays nothing
    torch.testing.assert_close(added, expected)
    exact, same = (exact_reference(each).gradient for each in (start, quiet))
    assert torch.equal(exact, same)
