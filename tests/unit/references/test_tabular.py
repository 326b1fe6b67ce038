"""Gradients of tabular environments three ways, and values against every possible history."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.helpers.problems import randn, simulator
from tests.helpers.rules import central_differences

from scorepath.environments.base import make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.references import tabular
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator


@pytest.mark.parametrize("kind", ["linear", "open_loop", "mlp"])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_chain_gradients_agree_three_ways(kind: str, discount: float) -> None:
    environment, sigma = Chain(horizon=7, discount=discount), 0.5
    policy = make_policy(environment, kind, (3,))
    theta = randn(policy.parameter_count, seed=1)
    solved = exact_reference(Simulator(environment, policy, theta, sigma))
    theorem = tabular.policy_gradient_theorem(environment, policy, theta, sigma)
    differences = central_differences(lambda x: tabular.expected_return(environment, policy, x, sigma), theta)
    assert solved.gradient.norm() > 0.01
    torch.testing.assert_close(theorem, solved.gradient, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(differences, solved.gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_chain_value_matches_every_possible_history(sigma: float) -> None:
    environment = Chain(states=3, horizon=3, slip=0.3, discount=0.8)
    policy = make_policy(environment)
    theta = torch.tensor([0.3, -0.2, 0.1, 0.9, -1.0, 0.4], dtype=torch.float64)
    logits = theta.reshape(3, 2)
    greedy = torch.eye(2, dtype=torch.float64)[logits.argmax(-1)]
    choices = torch.softmax(logits / sigma, -1) if sigma else greedy
    transitions, pay, total = environment.transition_matrix(), (0.1, 0.0, 1.0), 0.0
    for actions in itertools.product(range(2), repeat=3):
        for states in itertools.product(range(3), repeat=3):
            probability, discounted, s = 1.0, 0.0, 1
            for t, (a, following) in enumerate(zip(actions, states, strict=True)):
                probability *= choices[s, a].item() * transitions[s, a, following].item()
                discounted += 0.8**t * pay[following]
                s = following
            total += probability * discounted
    exact = exact_reference(Simulator(environment, policy, theta, sigma))
    assert exact.objective == pytest.approx(total, rel=1e-13)
    assert (exact.gradient.norm().item() > 0.01) == (sigma > 0)


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
