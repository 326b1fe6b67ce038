"""Gymnasium's own environments as pure functions."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from scorepath.environments import gymnasium as family
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.gymnasium import Gymnasium
from scorepath.environments.pendulum import Pendulum
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator, Trajectories

STREAM = Stream(5, "test", "gymnasium")


def rollout(environment: Environment, sigma: float = 0.5, dtype: torch.dtype = torch.float64) -> Trajectories:
    """Two batches of three trajectories of a generic policy."""
    policy = make_policy(environment)
    parameters = torch.linspace(-1, 1, policy.parameter_count, dtype=torch.float64)
    return Simulator(environment, policy, parameters, sigma).rollout(
        Noise(environment, STREAM, range(2), 3, dtype).rollout
    )


def test_gymnasiums_pendulum_is_ours() -> None:
    """From the same starts with the same actions, torques beyond the limits among them: equal rewards."""
    found = rollout(Gymnasium(horizon=30), sigma=2.0)
    assert found.actions.abs().max() > 2
    ours = Pendulum(horizon=30)
    cos, sin, velocity = found.observations[:, :, 0].unbind(-1)
    state, rewards = torch.stack([torch.atan2(sin, cos), velocity], -1), []
    for t in range(30):
        torch.testing.assert_close(ours.observe(state), found.observations[:, :, t], rtol=1e-4, atol=1e-4)
        state, reward = ours.step(state, found.actions[:, :, t], torch.zeros(2, 3, 0))
        rewards.append(reward)
    torch.testing.assert_close(torch.stack(rewards, -1), found.rewards, rtol=1e-4, atol=1e-4)


def test_a_discrete_environment_is_what_gymnasium_plays() -> None:
    """CartPole: the actions taken, played again from the seeds drawn, until it falls."""
    environment = Gymnasium(id="CartPole-v1", horizon=40)
    assert environment.discrete_actions
    assert not Gymnasium.discrete_actions
    found = rollout(environment, sigma=5.0)
    seeds = environment.initial_state(Noise(environment, STREAM, range(2), 3, torch.float64).rollout.initial)[..., 0]
    env: Any = gymnasium.make("CartPole-v1").unwrapped
    lengths = set()
    for i in np.ndindex(2, 3):
        observation, _ = env.reset(seed=int(seeds[i]))
        ended = False
        rewards: list[float] = []
        while not ended and len(rewards) < 40:
            t = len(rewards)
            np.testing.assert_array_equal(observation, found.observations[*i, t].float().numpy())
            observation, reward, ended, _, _ = env.step(int(found.actions[*i, t].argmax()))
            rewards.append(reward)
        assert found.rewards[i].tolist() == rewards + [0.0] * (40 - len(rewards))
        assert found.active is not None
        assert found.active[i].tolist() == [t < len(rewards) for t in range(40)]
        lengths.add(len(rewards))
    assert min(lengths) < 40


def test_stepping_is_a_function_of_state_and_action() -> None:
    """Whatever was stepped before, and whichever simulators are there: the same numbers."""
    environment = Gymnasium(horizon=4)
    start = environment.initial_state(torch.tensor([[0.3], [0.3], [-1.0]], dtype=torch.float64))
    torque = torch.tensor([[1.0], [1.0], [-1.5]], dtype=torch.float64)
    none = torch.zeros(3, 0)
    states, rewards = [start], []
    for _ in range(4):
        state, reward = environment.step(states[-1], torque, none)
        states.append(state)
        rewards.append(reward)
    assert torch.equal(states[4][0], states[4][1])
    for t in (2, 0, 3, 2, 1):  # back and forth
        for other in (environment, dataclasses.replace(environment)):  # a copy has no simulators yet
            state, reward = other.step(states[t].flip(0), torque.flip(0), none)
            assert torch.equal(state, states[t + 1].flip(0))
            assert torch.equal(reward, rewards[t].flip(0))
            alone, paid = other.step(states[t][2], torque[2], none[2])
            assert torch.equal(alone, states[t + 1][2])
            assert torch.equal(paid, rewards[t][2])
    # another action from the same state, and an end that stays
    assert not torch.equal(environment.step(states[1], torque + 0.1, none)[0], states[2])


def test_both_precisions_start_from_the_same_seeds() -> None:
    environment = Gymnasium(horizon=3)
    single, double = rollout(environment, dtype=torch.float32), rollout(environment)
    assert single.rewards.dtype == torch.float32
    assert torch.equal(single.observations[:, :, 0].double(), double.observations[:, :, 0])
    torch.testing.assert_close(single.rewards.double(), double.rewards, rtol=1e-5, atol=1e-5)


def test_simulators_are_bounded_and_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "SIMULATORS", 4)
    environment = Gymnasium(horizon=3)
    made = []
    make = gymnasium.make

    def counted(*arguments: Any, **options: Any) -> Any:
        made.append(make(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(gymnasium, "make", counted)
    for start in torch.linspace(-2, 2, 40, dtype=torch.float64).reshape(10, 4, 1):
        state = environment.initial_state(start)
        environment.step(state, torch.ones(4, 1, dtype=torch.float64), torch.zeros(4, 0))  # and then abandoned
    assert len(made) <= 8


def test_a_diverged_policy_gives_no_number_and_no_crash() -> None:
    environment = Gymnasium(horizon=3)
    state = environment.initial_state(torch.zeros(2, 1))
    state, reward = environment.step(state, torch.tensor([[float("nan")], [1.0]]), torch.zeros(2, 0))
    assert reward.isnan().tolist() == [True, False]
    assert environment.active(state).tolist() == [False, True]


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"id": "Pendulum-v99"}, "Pendulum-v99"),
        ({"id": "Nothing-v0"}, "Nothing-v0"),
        ({"id": "no.such.module:Nothing-v0"}, "would import a module"),
        ({"id": "FrozenLake-v1", "kwargs": {"map_name": "none such"}}, "KeyError: 'none such'"),
        ({"horizon": 0}, "horizon"),
    ],
)
def test_errors_name_what_is_wrong(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        Gymnasium(**knobs)


class Odd(gymnasium.Env[Any, Any]):
    """The observation says which action was taken, and so does the reward."""

    def __init__(self, **spaces: gymnasium.Space[Any]) -> None:
        self.observation_space = spaces.get("observation_space", gymnasium.spaces.Discrete(3))
        self.action_space = spaces.get("action_space", gymnasium.spaces.Discrete(2, start=5))

    def reset(self, *, seed: int | None = None, options: object = None) -> tuple[int, dict[str, object]]:
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, object]]:
        return action - 5, float(action), False, False, {}


@pytest.fixture
def odd() -> Iterator[None]:
    gymnasium.register("Odd-v0", Odd)
    yield
    del gymnasium.registry["Odd-v0"]


@pytest.mark.usefixtures("odd")
def test_discrete_observations_become_one_hot_and_actions_start_where_they_do() -> None:
    environment = Gymnasium(id="Odd-v0", horizon=2)
    state = environment.initial_state(torch.zeros(2, 1))
    assert environment.observe(state).tolist() == [[1, 0, 0], [1, 0, 0]]
    state, reward = environment.step(state, torch.eye(2), torch.zeros(2, 0))
    assert environment.observe(state).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert reward.tolist() == [5, 6]


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    "spaces",
    [
        {"action_space": gymnasium.spaces.MultiDiscrete([2, 2])},
        {"observation_space": gymnasium.spaces.Sequence(gymnasium.spaces.Discrete(2))},
    ],
    ids=lambda spaces: next(iter(spaces)),
)
def test_spaces_that_do_not_fit_are_refused(spaces: dict[str, gymnasium.Space[Any]]) -> None:
    with pytest.raises(ValueError, match=re.escape(str(next(iter(spaces.values()))))):
        Gymnasium(id="Odd-v0", kwargs=spaces)
