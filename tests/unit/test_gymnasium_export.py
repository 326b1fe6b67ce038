"""Scorepath's environments in Gymnasium, as its own checks want them."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from tests.helpers.places import ROOT
from tests.helpers.small_studies import default_plan
from torch import Tensor

from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.gymnasium_export import ScorepathEnv, ScorepathVectorEnv
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator

NOISY = LQR(horizon=4, initial_mean=1.0, process_noise=0.1, reward_noise=0.3, discount=0.8)
ADVICE = ("symmetric and normalized", "minimum value is -infinity", "maximum value is infinity")
"""What the checkers warn of and is meant: actions beyond [-1, 1] and unbounded observations."""


@dataclass(frozen=True, kw_only=True)
class Race(Environment):
    """Deterministic; every episode ends when its position passes 1, each at a time of its own, and then pays 10."""

    reference_class: ClassVar = "certified_monte_carlo"
    source: ClassVar[str] = "test"
    horizon: int = 6

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        going = self.active(state)[..., None]
        return torch.where(going, state + action, state), torch.where(going, action, 0.0)[..., 0]

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] < 1

    def terminal_reward(self, state: Tensor) -> Tensor:
        return 10 * (~self.active(state)).to(state)


@pytest.mark.parametrize("name", registry.names(registry.ENVIRONMENTS))
def test_every_family_passes_the_checks_of_gymnasium_and_of_stable_baselines(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env as check_for_stable_baselines

    env = gymnasium.make(f"scorepath/{name}-v0").unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
        check_for_stable_baselines(env)
    assert [str(w.message) for w in caught if not any(advice in str(w.message) for advice in ADVICE)] == []


def episode_noise(environment: Environment, seed: int) -> RolloutNoise:
    """The draws of one exported episode, in the order in which it makes them; no action noise."""
    generator, _ = gymnasium.utils.seeding.np_random(seed)
    initial = generator.standard_normal((1, 1, environment.initial_noise_dim))
    steps = []
    for _ in range(environment.horizon):
        of_step = generator.standard_normal(environment.process_noise_dim)
        of_reward = generator.standard_normal(1) if environment.reward_noise > 0 else np.zeros(0)
        steps.append((of_step, of_reward))
    process, reward = (torch.from_numpy(np.stack(draws))[None, None] for draws in zip(*steps, strict=True))
    action = torch.zeros(1, 1, environment.horizon, environment.action_dim, dtype=torch.float64)
    return RolloutNoise(torch.from_numpy(initial), action, process, reward)


@pytest.mark.parametrize(
    "environment",
    [NOISY, Chain(states=3, horizon=5, discount=0.9), Pendulum(horizon=3), Race(discount=0.9)],
    ids=lambda e: type(e).__name__,
)
def test_an_episode_has_scorepaths_return(environment: Environment) -> None:
    """The same normals and the same actions: equal discounted returns, terminal reward and reward noise included."""
    policy = make_policy(environment, hidden=(4,))
    parameters = torch.linspace(0.1, 0.6, policy.parameter_count, dtype=torch.float64)
    expected = Simulator(environment, policy, parameters, 0.0).rollout(episode_noise(environment, seed=3))
    env = ScorepathEnv(environment)
    observation, _ = env.reset(seed=3)
    total, terminated, t = 0.0, False, 0
    while not terminated:
        np.testing.assert_array_equal(observation, expected.observations[0, 0, t].numpy().astype(np.float32))
        action = expected.actions[0, 0, t].numpy()
        observation, reward, terminated, truncated, _ = env.step(action.argmax() if len(action) > 1 else action)
        assert not truncated
        total += environment.discount**t * reward
        t += 1
    assert total == pytest.approx(expected.returns.item(), rel=1e-12)
    assert t == (environment.horizon if expected.active is None else expected.active.sum().item())


def test_one_episode_of_many_is_the_one_alone() -> None:
    alone, many = ScorepathEnv(NOISY), ScorepathVectorEnv(NOISY)
    observation, _ = alone.reset(seed=1)
    observations, _ = many.reset(seed=1)
    for _ in range(NOISY.horizon):
        np.testing.assert_array_equal(observation, observations[0])
        observation, reward, terminated, _, _ = alone.step(np.ones(1))
        observations, rewards, over, _, _ = many.step(np.ones((1, 1)))
        assert (reward, terminated) == (rewards[0], over[0])


@pytest.mark.parametrize("environment", [LQR(horizon=3, initial_std=0.0, process_noise=0.0), Race()])
def test_many_episodes_restart_as_gymnasiums_own_do(environment: Environment) -> None:
    """Gymnasium's vector of single environments is the reference; nothing is random but the actions."""
    ours = ScorepathVectorEnv(environment, 5)
    theirs = SyncVectorEnv([lambda: ScorepathEnv(environment)] * 5, autoreset_mode=AutoresetMode.NEXT_STEP)
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    assert ours.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    np.testing.assert_array_equal(ours.reset(seed=1)[0], theirs.reset(seed=1)[0])
    generator = np.random.default_rng(0)
    endings = 0
    for _ in range(20):
        actions = generator.uniform(0, 0.8, (5, 1)).astype(np.float32)
        mine, other = ours.step(actions), theirs.step(actions)
        for one, two in zip(mine[:4], other[:4], strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-6)
        endings += mine[2].sum()
    assert endings >= 15


def test_registration_takes_knobs() -> None:
    env: Any = gymnasium.make("scorepath/pendulum-v0", horizon=7, action_limit=2.0).unwrapped
    assert env.environment == Pendulum(horizon=7)
    assert env.action_space == gymnasium.spaces.Box(-2, 2, (1,), np.float32)
    many = gymnasium.make_vec("scorepath/chain-v0", num_envs=3, states=4)
    assert isinstance(many, ScorepathVectorEnv)
    assert many.environment == Chain(states=4)
    assert many.action_space == gymnasium.spaces.MultiDiscrete([2, 2, 2])


@pytest.mark.slow
def test_ppo_of_stable_baselines_learns() -> None:
    """A gap of 8 standard errors between the returns of 200 episodes each, before and after 2000 steps."""
    from stable_baselines3 import PPO

    knobs: dict[str, Any] = {"horizon": 10, "initial_mean": 2.0}
    env = gymnasium.make("scorepath/lqr-v0", **knobs)
    layers = {"net_arch": [8]}
    agent = PPO(
        "MlpPolicy", env, n_steps=256, gamma=1.0, learning_rate=3e-3, policy_kwargs=layers, seed=0, device="cpu"
    )

    def returns() -> np.ndarray:
        many = gymnasium.make_vec("scorepath/lqr-v0", num_envs=200, **knobs)
        observations, _ = many.reset(seed=7)
        total = np.zeros(200)
        for _ in range(knobs["horizon"]):
            observations, rewards, _, _, _ = many.step(agent.predict(observations, deterministic=True)[0])
            total += rewards
        return total

    before = returns()
    agent.learn(2000)
    gain = returns() - before  # of the same starts
    assert gain.mean() > 8 * gain.std() / 200**0.5


def test_the_documented_code_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/gymnasium.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(compile(block, "docs/gymnasium.md", "exec"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("(1000, 1) -")
    assert second == "4 2 True"
    (block,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert {cell.environment for cell in default_plan(yaml.safe_load(block)["environments"]).cells} == {
        "gym_pendulum", "gym_cartpole", "gym_moon",
    }  # fmt: skip


class WorldModel(LQR):
    """Its dynamics and observations are those of a network whose weights want gradients."""

    weight: ClassVar[Tensor] = torch.nn.Parameter(torch.full((1, 1), 0.9, dtype=torch.float64))

    def initial_state(self, noise: Tensor) -> Tensor:
        return super().initial_state(noise) @ self.weight

    def observe(self, state: Tensor) -> Tensor:
        return state @ self.weight

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = state @ self.weight + action
        return following, -following.square().sum(-1)

    def terminal_reward(self, state: Tensor) -> Tensor:
        return (state @ self.weight).sum(-1)


def test_a_world_model_with_weights_is_stepped_without_gradients() -> None:
    """Alone and in a vector, over the start of the next episode."""
    for env in (ScorepathEnv(WorldModel(horizon=2)), ScorepathVectorEnv(WorldModel(horizon=2), 3)):
        observation, _ = env.reset(seed=1)
        action = np.zeros(env.action_space.shape or ())
        for _ in range(4):
            if isinstance(env, ScorepathEnv):
                env.reset()
            observation, reward, *_ = env.step(action)
            assert np.isfinite(observation).all()
            assert np.isfinite(reward).all()
        episodes = env._episode if isinstance(env, ScorepathEnv) else env._episodes
        assert not episodes.state.requires_grad
