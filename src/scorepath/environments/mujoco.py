"""MuJoCo, in C or XLA: Gymnasium's tasks, or any model of yours, as a pure step that brings its own Jacobians."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from scorepath.environments._jacobians import StepJacobians, gradients
from scorepath.environments._mujoco import INTEGRATORS, Engine, asset
from scorepath.environments._mujoco_tasks import TASKS, Parts, Task, listed
from scorepath.environments.base import ReferenceClass, SequentialEnvironment, require_not_negative, require_positive

if TYPE_CHECKING:
    from scorepath.environments._mjx import Compiled

BACKENDS = ("c", "mjx")
SETTINGS = ("time_step", "integrator", "iterations", "solimp_d0", "solimp_width", "solref_time")
"""Knobs that are handed to MuJoCo, where they are given."""
MOST_FRAMES = 1000
"""A decision that takes longer is a slip of the pen: a study would not end."""


@dataclass(frozen=True, kw_only=True)
class MuJoCo(SequentialEnvironment):
    """A task of Gymnasium's `-v5` environments, simulated by MuJoCo (Todorov et al. 2012) in float64, on one thread.

    State (qpos, qvel, act, and what the task reads of the simulator beside), observation and reward as Gymnasium has
    them; controls beyond their range are cut off by MuJoCo, while the cost of controls is that of the action as it is.
    A decision starts without a warm start and at time 0, so it is a function of state and action alone. Its Jacobian is
    a central difference over the whole decision, in float64 and across MuJoCo's time steps, of any integrator; where
    one of its sides holds a jump or a kink, it is the other side's. With `backend: mjx` the same model is simulated by
    MuJoCo XLA, and its Jacobian is exact, by forward differentiation. Contacts and joint limits of MuJoCo jump at their
    onset unless `solimp_d0` is 0 (docs/mujoco.md), so no continuity is claimed.

    A model of your own: a plugin that extends this class, with `model` and `data_files`, and its own `reward`, and
    `observe`, `active` and `initial_state` where they differ (docs/mujoco.md has one).

    Attributes:
        task: inverted_pendulum, inverted_double_pendulum, swimmer, reacher, hopper, half_cheetah, walker or ant.
        backend: c, MuJoCo's C library; or mjx, MuJoCo XLA (the extra `mjx`), which does not support all of MuJoCo.
        model: path of another XML file for the task, or its text; by default it is Gymnasium's.
        horizon: number of decisions T.
        process_noise: standard deviation of the noise on every velocity per decision, in m/s or rad/s.
        reward_noise: standard deviation of the noise on the reward per decision.
        frame_skip: time steps of MuJoCo per decision, 1000 at most; 0 for the task's own number.
        ends: whether episodes end early as the task's do; if not, being alive is always rewarded.
        initial_scale: of the start's random positions and velocities, relative to Gymnasium's.
        time_step: in s; by default the model's, as those below.
        integrator: Euler, RK4, implicit or implicitfast.
        iterations: the most that the constraint solver makes.
        solimp_d0: impedance of contacts and limits at their onset, between 0 and 1 (MuJoCo takes 0 for 0.0001).
        solimp_width: penetration over which the impedance grows to its final value, in m or rad.
        solref_time: time constant of contacts and limits, in s.
    """

    source: ClassVar[str] = "MuJoCo (Todorov et al. 2012); tasks of Gymnasium (Towers et al. 2024)"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    continuous: ClassVar[bool] = False
    default_policy: ClassVar[str] = "linear"
    search_steps: ClassVar[float] = 1e5
    steps_in_float64: ClassVar[bool] = True
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"task": "swimmer"},
        {"task": "hopper"},
    )

    task: str = "inverted_pendulum"
    backend: str = "c"
    model: str = ""
    horizon: int = 20
    frame_skip: int = 0
    ends: bool = True
    initial_scale: float = 1.0
    time_step: float | None = None
    integrator: str | None = None
    iterations: int | None = None
    solimp_d0: float | None = None
    solimp_width: float | None = None
    solref_time: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(listed())}, got {self.task!r}")
        for name in SETTINGS:  # whose default of None says nothing of what they may be
            kind = int if name == "iterations" else float
            if name != "integrator" and self._given(name) and type(getattr(self, name)) not in (int, kind):
                wanted = "a whole number" if kind is int else "a number"
                raise ValueError(f"{name} must be {wanted}, got {getattr(self, name)!r}")
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        require_not_negative(self, "frame_skip", "initial_scale")
        if self.frame_skip > MOST_FRAMES:
            raise ValueError(f"frame_skip must be at most {MOST_FRAMES}, got {self.frame_skip}")
        require_positive(
            self, *(name for name in ("time_step", "iterations", "solimp_width", "solref_time") if self._given(name))
        )
        if self._given("integrator") and self.integrator not in INTEGRATORS:
            raise ValueError(f"integrator must be one of {', '.join(INTEGRATORS)}, got {self.integrator!r}")
        if self.solimp_d0 is not None and not 0 <= self.solimp_d0 < 1:
            raise ValueError(f"solimp_d0 must lie in [0, 1), got {self.solimp_d0}")
        self._dynamics  # noqa: B018 - a model that cannot be simulated is heard of now

    # --- the model ------------------------------------------------------------------------------------------------
    def _given(self, name: str) -> bool:
        return getattr(self, name) is not None

    @property
    def _task(self) -> Task:
        return TASKS[self.task]

    @cached_property
    def _engine(self) -> Engine:
        settings = {name: getattr(self, name) for name in SETTINGS if self._given(name)}
        return Engine(self._source(), self.frame_skip or self._task.frame_skip, settings, self._task.trace)

    @cached_property
    def _dynamics(self) -> Engine | Compiled:
        """What computes decisions and their derivatives."""
        if self.backend == "c":
            return self._engine
        from scorepath.environments._mjx import compiled

        return compiled(self._engine)

    def _source(self) -> Path | str:
        """The model: Gymnasium's, text, or a file beside the plugin that defines the class, or where the path leads."""
        if not self.model:
            return asset(self._task.model)
        if self.model.lstrip().startswith("<"):
            return self.model
        beside = Path(inspect.getfile(type(self))).parent / self.model
        return beside if beside.is_file() else Path(self.model)

    def __getstate__(self) -> dict[str, Any]:
        ours = {"_engine", "_dynamics"}  # what others compiled or allocated is not copied
        return {name: value for name, value in self.__dict__.items() if name not in ours}

    # --- sizes ----------------------------------------------------------------------------------------------------
    @property
    def state_dim(self) -> int:
        return self._engine.state_dim + self._engine.traces

    @cached_property
    def observation_dim(self) -> int:
        return self.observe(torch.zeros(self.state_dim)).shape[-1]

    @property
    def action_dim(self) -> int:
        return self._engine.controls

    @property
    def initial_noise_dim(self) -> int:
        return self._engine.positions + self._engine.velocities

    @property
    def process_noise_dim(self) -> int:
        return self._engine.velocities if self.process_noise > 0 else 0

    # --- what a task says, and a plugin may say otherwise -------------------------------------------------------------
    def parts(self, state: Tensor) -> Parts:
        """A state (..., state_dim) by what it is made of."""
        engine = self._engine
        nq, nv = engine.positions, engine.velocities
        return Parts(state[..., :nq], state[..., nq : nq + nv], state[..., engine.state_dim :], engine.seconds)

    def observe(self, state: Tensor) -> Tensor:
        return self._task.observe(self.parts(state))

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor) -> Tensor:
        """Reward (...,) of a decision, in torch, which differentiates it by all three."""
        return self._task.reward(self.parts(state), action, self.parts(next_state), self.active(next_state))

    def active(self, state: Tensor) -> Tensor | None:
        return self._task.going(self.parts(state)) if self.ends and self._task.going else None

    def initial_state(self, noise: Tensor) -> Tensor:
        task, engine = self._task, self._engine
        normals = noise[..., : engine.positions], noise[..., engine.positions :]
        wide, fast = (self.initial_scale * width for width in task.noise)
        velocities = normals[1] if task.normal_velocities else 2 * torch.special.ndtr(normals[1]) - 1
        qpos = noise.new_tensor(engine.start[: engine.positions]) + wide * (2 * torch.special.ndtr(normals[0]) - 1)
        qvel = fast * velocities
        if task.start:
            qpos, qvel = task.start(qpos, qvel, normals[0])
        return self.start_from(torch.cat([qpos, qvel], -1))

    def start_from(self, positions_and_velocities: Tensor) -> Tensor:
        """The state (..., state_dim) with these (qpos, qvel), activations of 0, and what follows from them."""
        engine = self._engine
        rows = _rows(positions_and_velocities)
        rows = np.concatenate([rows, np.zeros((len(rows), engine.state_dim - rows.shape[1]))], 1)
        full = np.concatenate([rows, engine.traces_at(rows)], 1)
        return _like(full, positions_and_velocities)

    # --- physics --------------------------------------------------------------------------------------------------
    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        disturbed, going = self._disturbed(state, process_noise), self.active(state)
        after = self._dynamics.decide(_rows(disturbed)[:, : self._engine.state_dim], _rows(action))
        next_state = _like(after, state)
        reward = self.reward(disturbed, action, next_state)
        # what MuJoCo gives up has no reward, but for the next decisions a state
        reward = torch.where(next_state.isfinite().all(-1), reward, torch.nan)
        if going is None:
            return next_state, reward
        return torch.where(going[..., None], next_state, state), torch.where(going, reward, 0.0)

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
        engine, going = self._engine, self.active(state)
        disturbed = self._disturbed(state, process_noise).double()
        rows, controls = _rows(disturbed)[:, : engine.state_dim], _rows(action)
        after = _like(self._dynamics.decide(rows, controls), disturbed)
        found = [
            torch.from_numpy(each).reshape(*state.shape[:-1], self.state_dim, -1)
            for each in self._dynamics.derivatives(rows, controls)
        ]
        unread = found[0].new_zeros(*found[0].shape[:-1], engine.traces)  # traces have no consequences
        by_state, by_action = torch.cat([found[0], unread], -1), found[1]
        leaves = [each.detach().requires_grad_() for each in (disturbed, action.double(), after)]
        with torch.enable_grad():
            paid = self.reward(*leaves).sum()
        slopes = gradients(paid, leaves)
        through = slopes[2].unsqueeze(-2)
        jacobians = StepJacobians(
            by_state,
            by_action,
            slopes[0] + (through @ by_state).squeeze(-2),
            slopes[1] + (through @ by_action).squeeze(-2),
        )
        if going is not None:
            stays = torch.eye(self.state_dim, dtype=torch.float64)
            jacobians = StepJacobians(
                torch.where(going[..., None, None], jacobians.next_by_state, stays),
                *(
                    torch.where(going.reshape(*going.shape, *[1] * (each.dim() - going.dim())), each, 0.0)
                    for each in jacobians[1:]
                ),
            )
        return StepJacobians(*(each.to(state) for each in jacobians))

    def _disturbed(self, state: Tensor, process_noise: Tensor) -> Tensor:
        """The state after the process noise, which acts on the velocities."""
        if self.process_noise == 0:
            return state
        engine = self._engine
        before, after = engine.positions, state.shape[-1] - engine.positions - engine.velocities
        return state + torch.nn.functional.pad(self.process_noise * process_noise, (before, after))


def _rows(values: Tensor) -> np.ndarray:
    """(n, width) in float64, as MuJoCo takes it."""
    return values.detach().cpu().double().reshape(-1, values.shape[-1]).numpy()


def _like(rows: np.ndarray, values: Tensor) -> Tensor:
    """Rows with the leading dimensions, dtype and device of these values."""
    return torch.from_numpy(rows).to(values).reshape(*values.shape[:-1], rows.shape[-1])
