"""Scorepath's environments for others: one at a time as a Gymnasium `Env`, or many in one tensor as a `VectorEnv`.

Importing this module registers every family with its default knobs, as `scorepath/<family>-v0`; other knobs are
arguments of `gymnasium.make` and `gymnasium.make_vec`.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from scorepath import registry
from scorepath.environments.base import Environment

ACTION_LIMIT = 10.0
"""Default half-width of the action Box. Scorepath's actions are unbounded, but agents such as Stable-Baselines3's want
finite limits. They are a promise to the agent only: dynamics see the action as it is."""


class Episodes:
    """Several independent episodes of an environment in lock step, in float64, with all noise from one generator.

    Rewards are those of time t, not discounted. The terminal reward is paid with the last step, times the discount of
    the time that is left until the horizon: an agent that discounts by `environment.discount` sees Scorepath's return.
    No graph is kept: a world model's own parameters may want gradients, an agent's steps do not.
    """

    def __init__(self, environment: Environment, generator: np.random.Generator, count: int) -> None:
        self.environment = environment
        self.generator = generator
        self.state = self._starts(count)
        self.steps = torch.zeros(count, dtype=torch.long)
        self.over = torch.zeros(count, dtype=torch.bool)

    def _normal(self, *shape: int) -> Tensor:
        return torch.from_numpy(self.generator.standard_normal(shape))

    @torch.no_grad()
    def _starts(self, count: int) -> Tensor:
        return self.environment.initial_state(self._normal(count, self.environment.initial_noise_dim))

    @property
    @torch.no_grad()
    def observations(self) -> np.ndarray:
        """What agents see, (count, observation_dim) in float32; a copy."""
        return self.environment.observe(self.state).numpy().astype(np.float32)

    @torch.no_grad()
    def step(self, actions: np.ndarray) -> np.ndarray:
        """The rewards, (count,). Where an episode was over, the next one begins instead, and the reward is 0."""
        environment, count, begins = self.environment, len(self.state), self.over
        state, steps = self.state.clone(), self.steps.clone()
        if begins.any():
            state[begins], steps[begins] = self._starts(int(begins.sum())), 0
        chosen = torch.from_numpy(actions)
        if environment.discrete_actions:
            chosen = torch.nn.functional.one_hot(chosen.long(), environment.action_dim)
        process_noise = self._normal(count, environment.process_noise_dim)
        next_state, rewards = environment.step(state, chosen.double(), process_noise)
        if environment.reward_noise > 0:
            rewards = rewards + environment.reward_noise * self._normal(count)

        over = steps + 1 == environment.horizon
        if (active := environment.active(next_state)) is not None:
            over = over | ~active
        left = (environment.horizon - steps).double()
        terminal = environment.discount**left * environment.terminal_reward(next_state)
        self.state = torch.where(begins[:, None], state, next_state)
        self.steps = torch.where(begins, steps, steps + 1)
        self.over = over & ~begins
        rewards = torch.where(over, rewards + terminal, rewards)
        return torch.where(begins, 0.0, rewards).numpy()


def spaces(environment: Environment, action_limit: float) -> tuple[gymnasium.Space[Any], gymnasium.Space[Any]]:
    """The observation space and the action space of one episode."""
    observations = gymnasium.spaces.Box(-np.inf, np.inf, (environment.observation_dim,), np.float32)
    if environment.discrete_actions:
        return observations, gymnasium.spaces.Discrete(environment.action_dim)
    return observations, gymnasium.spaces.Box(-action_limit, action_limit, (environment.action_dim,), np.float32)


class ScorepathEnv(gymnasium.Env[np.ndarray, Any]):
    """One environment as a Gymnasium `Env`.

    An episode ends by `terminated` when its horizon is reached, never by `truncated`: the objective is the return of T
    steps, and what would come later has no value that an agent should estimate from the last observation.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 -- as gymnasium declares it

    def __init__(self, environment: Environment, action_limit: float = ACTION_LIMIT) -> None:
        self.environment = environment
        self.observation_space, self.action_space = spaces(environment, action_limit)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._episode = Episodes(self.environment, self.np_random, 1)
        return self._episode.observations[0], {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        episode = self._episode
        rewards = episode.step(np.asarray(action)[None])
        return episode.observations[0], float(rewards[0]), bool(episode.over[0]), False, {}


class ScorepathVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many episodes of one environment, stepped by one tensor operation each; the noise of all comes from one seed.

    An episode that is over starts again at the next step, whose action it ignores (`AutoresetMode.NEXT_STEP`).
    """

    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, environment: Environment, num_envs: int = 1, action_limit: float = ACTION_LIMIT) -> None:
        self.environment = environment
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = spaces(environment, action_limit)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self._episodes = Episodes(self.environment, self.np_random, self.num_envs)
        return self._episodes.observations, {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        episodes = self._episodes
        rewards = episodes.step(np.asarray(actions))
        over = episodes.over.numpy().copy()
        return episodes.observations, rewards, over, np.zeros_like(over), {}


def make_env(family: str, action_limit: float = ACTION_LIMIT, **knobs: Any) -> ScorepathEnv:
    """What `gymnasium.make` calls."""
    return ScorepathEnv(registry.load(registry.ENVIRONMENTS, family)(**knobs), action_limit)


def make_vector_env(
    family: str, num_envs: int = 1, action_limit: float = ACTION_LIMIT, **knobs: Any
) -> ScorepathVectorEnv:
    """What `gymnasium.make_vec` calls."""
    return ScorepathVectorEnv(registry.load(registry.ENVIRONMENTS, family)(**knobs), num_envs, action_limit)


for _family in registry.names(registry.ENVIRONMENTS):
    gymnasium.register(
        id=f"scorepath/{_family}-v0",
        entry_point=f"{__name__}:make_env",
        vector_entry_point=f"{__name__}:make_vector_env",
        kwargs={"family": _family},
    )
