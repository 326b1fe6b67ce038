"""Tabular environments: their tables, steps and exact gradients against each other and against plain enumeration."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.problems import label, noise, simulator
from tests.helpers.rules import central_differences
from torch import Tensor

from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.pullback import per_trajectory_gradients
from scorepath.references import tabular
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


# --- grid ---------------------------------------------------------------------------------------------------------


def test_moves_on_a_grid() -> None:
    """3 4 5 below 0 1 2: from the start 3 to the goal 5, with or without a cliff at 4."""
    calm, cliff = (Grid(rows=2, columns=3, slip=0.2, cliff=there) for there in (False, True))
    up, right, down, left = range(4)
    transitions = calm.transition_matrix()
    assert transitions[3, up].tolist() == pytest.approx([0.8, 0, 0, 0.1, 0.1, 0])  # veers right, or left into the wall
    assert transitions[3, right].tolist() == pytest.approx([0.1, 0, 0, 0.1, 0.8, 0])
    assert transitions[1, down].tolist() == pytest.approx([0.1, 0, 0.1, 0, 0.8, 0])
    assert transitions[4, left].tolist() == pytest.approx([0, 0.1, 0, 0.8, 0.1, 0])
    assert transitions[4].tolist() != cliff.transition_matrix()[4].tolist()
    assert (cliff.transition_matrix()[4, :, 4] == 1).all()
    assert calm.reward_table()[4, right].item() == pytest.approx(-0.02 + 0.8)
    assert cliff.reward_table()[4].tolist() == [0, 0, 0, 0]
    assert cliff.reward_table()[3, right].item() == pytest.approx(-0.02 - 0.8)
    assert cliff.reward_table()[2, down].item() == pytest.approx(-0.02 + 0.8)


@pytest.mark.parametrize("cliff", [False, True])
def test_a_grid_ends_at_the_goal_and_below_the_cliff(cliff: bool) -> None:
    environment = Grid(rows=2, columns=3, horizon=12, cliff=cliff)
    start = simulator(environment, 0.5)
    trajectories = start.rollout(noise(environment, 2, 30).rollout)
    assert trajectories.active is not None
    ended = ~trajectories.active
    square = trajectories.observations.argmax(-1)
    assert torch.equal(ended, (square >= (4 if cliff else 5)))
    assert ended.any()
    assert not ended.all()
    assert (ended[..., 1:] | ~ended[..., :-1]).all(), "an end is for good"
    assert (trajectories.rewards[ended] == 0).all()
    assert (trajectories.rewards[~ended] != 0).all()
    (without,) = per_trajectory_gradients(trajectories, ended[..., None] * torch.ones_like(trajectories.actions))
    assert (without == 0).all(), "what is done after the end has no signal"


@pytest.mark.parametrize("kind", ["linear", "open_loop", "mlp"])
@pytest.mark.parametrize("cliff", [False, True])
def test_grid_gradients_agree_three_ways(kind: str, cliff: bool) -> None:
    environment = Grid(rows=2, columns=3, horizon=6, discount=0.9, cliff=cliff)
    start = simulator(environment, 0.5, kind)
    policy, theta, sigma = start.policy, start.parameters, start.sigma
    solved = exact_reference(start).gradient
    assert solved.norm() > 0.01
    theorem = tabular.policy_gradient_theorem(environment, policy, theta, sigma)
    torch.testing.assert_close(theorem, solved, rtol=1e-11, atol=1e-12)
    differences = central_differences(lambda x: tabular.expected_return(environment, policy, x, sigma), theta)
    torch.testing.assert_close(differences, solved, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cliff", [False, True])
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_grid_value_matches_every_possible_history(sigma: float, cliff: bool) -> None:
    """A walk written out with coordinates, over all choices and all ways to veer off."""
    environment = Grid(rows=2, columns=3, horizon=4, slip=0.3, discount=0.8, cliff=cliff, step_cost=0.1)
    start = simulator(environment, sigma)
    logits = start.parameters.reshape(6, 4)
    choices = torch.softmax(logits / sigma, -1) if sigma else torch.nn.functional.one_hot(logits.argmax(-1), 4)
    headings = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}

    def value(row: int, column: int, remaining: int) -> float:
        if remaining == 0 or (row, column) == (1, 2) or (cliff and (row, column) == (1, 1)):
            return 0.0
        total = 0.0
        for action, (veer, chance) in itertools.product(range(4), [(0, 0.7), (1, 0.15), (-1, 0.15)]):
            down, right = headings[(action + veer) % 4]
            to = (min(max(row + down, 0), 1), min(max(column + right, 0), 2))
            reward = -0.1 + (to == (1, 2)) - (cliff and to == (1, 1))
            probability = chance * choices[3 * row + column, action].item()
            if probability > 0:
                total += probability * (reward + 0.8 * value(*to, remaining - 1))
        return total

    exact = exact_reference(start)
    assert exact.objective == pytest.approx(value(1, 0, 4), rel=1e-12)
    assert (exact.gradient.norm().item() > 0.01) == (sigma > 0)


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": 1, "cliff": True}, "rows"),
        ({"columns": 1}, "columns"),
        ({"horizon": 0}, "horizon"),
        ({"slip": -0.1}, "slip"),
        ({"step_cost": -1.0}, "step_cost"),
        ({"cliff_cost": -1.0}, "cliff_cost"),
        ({"reward_noise": -1.0}, "reward_noise"),
    ],
)
def test_impossible_grids_are_named(knobs: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        Grid(**knobs)
