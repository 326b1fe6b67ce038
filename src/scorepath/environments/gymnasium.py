"""Any Gymnasium environment as a pure step function: the state is what has happened, and a simulator replays it.

A simulator cannot be asked for the step from a given state; it only has the state it is in. So the state here is the
episode's seed and every action since. The simulators that have just been through a history are kept, which makes an
ordinary rollout cost one simulator step per step; any other history is replayed from its seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass

if TYPE_CHECKING:
    import gymnasium

SEEDS = 2**24
"""Episodes start from one of this many seeds: as many integers as float32 holds exactly."""
SEED, STEPS, ENDED = range(3)
HEADER = 3
"""The first entries of a state; the observation and all actions follow, zeros where they are still to come."""
SIMULATORS = 4096
"""How many simulators are kept in the state they are in, or as many as were stepped together if those are more."""


@dataclass(frozen=True, kw_only=True)
class Gymnasium(Environment):
    """An environment of the Gymnasium registry, stepped in Python: nothing is known of it but what it returns.

    One standard normal per episode chooses the seed of its reset; whatever the simulator draws later must follow from
    that seed, as Gymnasium asks of it. The registered time limit is lifted, `horizon` takes its place. An episode that
    the simulator ends stays ended, with rewards 0. Observations are flattened, discrete ones to one-hot vectors.
    Actions in a Box are clipped to it before the step, while scores use the noise as drawn (clipping is part of the
    environment); a Discrete action space makes `discrete_actions` true.

    Attributes:
        id: in the registry, such as Pendulum-v1. Gymnasium's `module:id`, which imports a module, is refused: only
            files that the configuration lists as plugins are imported for it, and one of them may register more.
        horizon: number of decisions T.
        kwargs: passed to `gymnasium.make`.
    """

    source: ClassVar[str] = "Gymnasium (Towers et al. 2024)"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    differentiable: ClassVar[bool] = False
    continuous: ClassVar[bool] = False  # nobody vouches for it
    default_policy: ClassVar[str] = "linear"
    search_steps: ClassVar[float] = 3e6

    id: str = "Pendulum-v1"
    horizon: int = 50
    kwargs: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if ":" in self.id:
            raise ValueError(f"id {self.id!r} would import a module; list a Python file in `plugins` that registers it")
        # the one declaration that differs between instances of a family
        object.__setattr__(self, "discrete_actions", self._simulators.discrete_actions)

    @property
    def state_dim(self) -> int:
        return HEADER + self.observation_dim + self.horizon * self.action_dim

    @property
    def observation_dim(self) -> int:
        return self._simulators.observation_dim

    @property
    def action_dim(self) -> int:
        return self._simulators.action_dim

    @property
    def initial_noise_dim(self) -> int:
        return 1

    @cached_property
    def _simulators(self) -> _Simulators:
        return _Simulators(self._make)

    def _make(self) -> gymnasium.Env[Any, Any]:
        """A new simulator. Raises ValueError if Gymnasium is missing or knows no such environment."""
        try:
            import gymnasium
        except ImportError:
            where = "pip install --editable '.[gymnasium]' in Scorepath's folder"
            raise ValueError(f"the family gymnasium needs Gymnasium: {where}") from None
        try:
            return gymnasium.make(self.id, max_episode_steps=-1, disable_env_checker=True, **(self.kwargs or {}))
        except Exception as error:  # its constructor is anyone's code
            raise ValueError(f"id {self.id!r} cannot be made: {type(error).__name__}: {error}") from error

    def initial_state(self, noise: Tensor) -> Tensor:
        # in float64, so that float32 and float64 studies start from the same seeds
        uniform = torch.special.ndtr(noise.detach().cpu().double()).flatten()
        seeds, copies = (SEEDS * uniform).long().clamp_max(SEEDS - 1).unique(return_inverse=True)
        simulators = [self._simulators.fresh() for _ in seeds]
        resets = [simulator.reset(seed=int(seed)) for simulator, seed in zip(simulators, seeds, strict=True)]
        rows = np.zeros((len(seeds), self.state_dim), dtype=noise.new_zeros(0).cpu().numpy().dtype)
        rows[:, SEED] = seeds
        rows[:, self._observation] = self._simulators.flat([observation for observation, _ in resets])
        self._simulators.keep(rows, simulators, self._over(rows))
        return torch.from_numpy(rows[copies]).to(noise.device).reshape(*noise.shape[:-1], self.state_dim)

    def observe(self, state: Tensor) -> Tensor:
        return state[..., self._observation]

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        rows = state.detach().cpu().reshape(-1, self.state_dim).numpy().copy()
        actions = action.detach().cpu().reshape(-1, self.action_dim).numpy().astype(rows.dtype)
        rewards = np.zeros(len(rows), rows.dtype)
        going = rows[:, ENDED] == 0

        # the same action after the same history has the same outcome: one of these rows is stepped
        first: dict[bytes, int] = {}
        both = np.concatenate([rows, actions], 1)
        copies = [first.setdefault(row.tobytes(), i) for i, row in enumerate(both)]
        diverged = going & np.isnan(actions).any(1)  # the policy; simulators may crash on that
        rewards[diverged], rows[diverged, ENDED] = np.nan, 1
        stepped = np.flatnonzero(going & ~diverged & (copies == np.arange(len(rows))))
        if len(stepped):
            simulators = [self._simulators.take(rows[i]) or self._replay(rows[i]) for i in stepped]
            native = self._simulators.native(actions[stepped])
            outcomes = [simulator.step(chosen) for simulator, chosen in zip(simulators, native, strict=True)]
            observations, paid, terminated, truncated, _ = zip(*outcomes, strict=True)
            self._history(rows)[stepped, rows[stepped, STEPS].astype(int)] = actions[stepped]
            rows[stepped, STEPS] += 1
            rows[stepped, ENDED] = np.logical_or(terminated, truncated)
            rows[stepped, self._observation] = self._simulators.flat(observations)
            rewards[stepped] = paid
            self._simulators.keep(rows[stepped], simulators, self._over(rows[stepped]))
        next_state = torch.from_numpy(rows[copies]).to(state.device).reshape(state.shape)
        return next_state, torch.from_numpy(rewards[copies]).to(state.device).reshape(state.shape[:-1])

    def active(self, state: Tensor) -> Tensor:
        return state[..., ENDED] == 0

    @property
    def _observation(self) -> slice:
        return slice(HEADER, HEADER + self.observation_dim)

    def _over(self, rows: np.ndarray) -> np.ndarray:
        """Whether no step follows on these states: (n,) of bool."""
        return (rows[:, ENDED] == 1) | (rows[:, STEPS] == self.horizon)

    def _history(self, rows: np.ndarray) -> np.ndarray:
        """The actions in states (n, state_dim), as a view: (n, horizon, action_dim)."""
        return rows[:, self._observation.stop :].reshape(len(rows), self.horizon, self.action_dim)

    def _replay(self, row: np.ndarray) -> gymnasium.Env[Any, Any]:
        """A simulator that has been through the history of this state."""
        simulator = self._simulators.fresh()
        simulator.reset(seed=int(row[SEED]))
        for action in self._simulators.native(self._history(row[None])[0, : int(row[STEPS])]):
            simulator.step(action)
        return simulator


class _Simulators:
    """Simulators of one environment: live ones by the state they are in, idle ones to be reset; and their spaces."""

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        self._make = make
        self._live: dict[bytes, gymnasium.Env[Any, Any]] = {}
        self._idle = [make()]
        from gymnasium import spaces

        observed, acted = self._idle[0].observation_space, self._idle[0].action_space
        if not observed.is_np_flattenable:
            raise ValueError(f"id names an environment whose observations, {observed}, are no vectors of a fixed size")
        self._flatten = None if isinstance(observed, spaces.Box) else partial(spaces.flatten, observed)
        self._box = acted if isinstance(acted, spaces.Box) and np.issubdtype(acted.dtype, np.floating) else None
        self._discrete = acted if isinstance(acted, spaces.Discrete) else None
        if self._box is None and self._discrete is None:
            raise ValueError(f"id names an environment with actions {acted}; only a Box of floats and Discrete will do")
        self.observation_dim, self.action_dim = spaces.flatdim(observed), spaces.flatdim(acted)

    @property
    def discrete_actions(self) -> bool:
        return self._discrete is not None

    def flat(self, observations: Sequence[Any]) -> np.ndarray:
        """Observations as vectors, (n, observation_dim)."""
        if self._flatten is not None:
            observations = [self._flatten(each) for each in observations]
        return np.stack(observations).reshape(len(observations), self.observation_dim)

    def native(self, actions: np.ndarray) -> Sequence[Any]:
        """Actions (n, action_dim) as the simulator takes them."""
        if self._discrete is not None:
            return (self._discrete.start + actions.argmax(-1)).tolist()
        assert self._box is not None
        shaped = actions.reshape(len(actions), *self._box.shape)
        return list(np.clip(shaped, self._box.low, self._box.high).astype(self._box.dtype))

    def take(self, row: np.ndarray) -> gymnasium.Env[Any, Any] | None:
        """The simulator in this state, if there is one."""
        return self._live.pop(row.tobytes(), None)

    def fresh(self) -> gymnasium.Env[Any, Any]:
        """A simulator that waits for its reset."""
        return self._idle.pop() if self._idle else self._make()

    def keep(self, rows: np.ndarray, simulators: Sequence[gymnasium.Env[Any, Any]], over: np.ndarray) -> None:
        """Give simulators back in these states, (n, state_dim), all different; those that are over become idle."""
        for row, simulator, ended in zip(rows, simulators, over.tolist(), strict=True):
            twin = self._live.pop(key := row.tobytes(), None)
            if ended or twin:
                self._idle.append(simulator)
            if not ended:
                self._live[key] = twin or simulator
        while len(self._live) > max(len(rows), SIMULATORS):
            self._idle.append(self._live.pop(next(iter(self._live))))
