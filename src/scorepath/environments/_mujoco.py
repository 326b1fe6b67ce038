"""MuJoCo's C library as a pure, batched function of a whole decision, and its Jacobian by differences in float64.

A decision holds the controls for some of MuJoCo's time steps. It starts from time 0 and without a warm start, so that
it depends on state and controls alone. Rows are `(qpos, qvel, act, traces)`; traces are what a task reads of the
simulator and no state implies, such as where a site was at the last evaluation of the forces. No decision depends on
the traces that it starts with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

STEP = 1e-6
"""Of central differences, in the units of qpos, qvel, act and controls (docs/mujoco.md has the errors at others)."""
LOPSIDED = 2.0
"""How many times further the state may move over one side of a difference than over the other; beyond, that side holds
a jump or a kink, and the derivative is that of the other side."""
STILL = 1e-9
"""What both sides may move by in any proportion: below the solver's tolerance there is nothing but rounding."""
ROWS_AT_ONCE = 16_384
INSTALL = "pip install --editable '.[mujoco]' in Scorepath's folder"
INTEGRATORS = ("Euler", "RK4", "implicit", "implicitfast")

Trace = Callable[[Any, Any], tuple[Any, ...]]
"""From MuJoCo's model and the data after a decision, the C library's or MJX's, to vectors."""


class Engine:
    """One model, from a file or from the text of one, ready to be stepped: one thread, one `MjData`."""

    def __init__(self, source: Path | str, frame_skip: int, settings: Mapping[str, Any], trace: Trace | None) -> None:
        self._mujoco = library()
        self.model, self.frame_skip, self.trace = self._load(source), frame_skip, trace
        self.name = source.name if isinstance(source, Path) else self.model.names.split(b"\0", 1)[0].decode()
        self._set(settings)
        self._data = self._mujoco.MjData(self.model)
        self._spec = int(self._mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self.positions, self.velocities = int(self.model.nq), int(self.model.nv)
        self.state_dim = self.positions + self.velocities + int(self.model.na)
        self.controls = int(self.model.nu)
        self.largest = float(self._mujoco.mjMAXVAL)
        for wrong, what in (
            (self.controls == 0, "has no actuator, so there is nothing that a policy could do"),
            (
                self._mujoco.mj_stateSize(self.model, self._spec) != 1 + self.state_dim,
                "keeps more of the past than positions, velocities and activations (delays, plugins, plasticity), "
                "which the family mujoco does not support",
            ),
            (self.model.nmocap > 0, "has mocap bodies, which the family mujoco does not support"),
        ):
            if wrong:
                raise ValueError(f"the model {self.name} {what}")
        from mujoco.rollout import Rollout

        self._rollout = Rollout(nthread=0)
        self.start = np.concatenate([self.model.qpos0, np.zeros(self.state_dim - self.positions)])
        rest = self.start[None], np.zeros((1, self.controls))
        self.traces = self.traces_at(self.start[None]).shape[1]
        if not np.isfinite(self.decide(*rest)).all():
            raise ValueError(
                f"the model {self.name} is unstable: from its first state without controls it does not come through "
                f"{frame_skip} steps of {self.model.opt.timestep:g} s; choose a smaller time_step"
            )

    def _load(self, source: Path | str) -> Any:
        try:
            if isinstance(source, Path):
                return self._mujoco.MjModel.from_xml_path(str(source))
            return self._mujoco.MjModel.from_xml_string(source)
        except ValueError as error:
            why, which = " ".join(str(error).split()), source if isinstance(source, Path) else "given as text"
            raise ValueError(f"model {which} cannot be read by MuJoCo: {why}") from None

    def _set(self, settings: Mapping[str, Any]) -> None:
        model, mujoco = self.model, self._mujoco
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # or what diverges starts anew
        for name, value in settings.items():
            match name:
                case "time_step":
                    model.opt.timestep = value
                case "iterations":
                    model.opt.iterations = value
                case "integrator":
                    model.opt.integrator = getattr(mujoco.mjtIntegrator, f"mjINT_{value.upper()}")
                case "solimp_d0" | "solimp_width":
                    column = 0 if name == "solimp_d0" else 2
                    for each in (model.geom_solimp, model.jnt_solimp, model.pair_solimp, model.tendon_solimp_lim):
                        each[:, column] = value
                case "solref_time":
                    for each in (model.geom_solref, model.jnt_solref, model.pair_solref, model.tendon_solref_lim):
                        each[:, 0] = value

    @cached_property
    def _identity(self) -> tuple[bytes, int, Trace | None]:
        """What its decisions follow from."""
        saved = np.empty(self._mujoco.mj_sizeModel(self.model), np.uint8)
        self._mujoco.mj_saveModel(self.model, None, saved)
        return hashlib.sha256(saved).digest(), self.frame_skip, self.trace

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Engine) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def integrator(self) -> str:
        """By the name that a model's XML gives it."""
        name = self._mujoco.mjtIntegrator(self.model.opt.integrator).name.removeprefix("mjINT_")
        return next((each for each in INTEGRATORS if each.upper() == name), name.lower())

    @property
    def seconds(self) -> float:
        """Of one decision."""
        return float(self.model.opt.timestep * self.frame_skip)

    def decide(self, rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """States after a decision, (n, state_dim + traces), from states (n, state_dim) and controls (n, nu).

        Rows that MuJoCo gives up are nan.
        """
        results = np.full((len(rows), self.state_dim + self.traces), np.nan)
        sound = np.isfinite(rows).all(1) & np.isfinite(controls).all(1)
        if sound.any():
            advance = self._advance if self.trace is None else self._advance_and_trace
            results[sound] = advance(rows[sound], controls[sound])
        return results

    def _advance(self, rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        full = np.concatenate([np.zeros((len(rows), 1)), rows], 1)
        held = np.repeat(controls[:, None], self.frame_skip, 1)
        states, _ = self._rollout.rollout(self.model, self._data, full, held)
        last = states[:, -1]
        given_up = ~(np.abs(last[:, 0] - self.seconds) < 0.5 * self.model.opt.timestep)
        last[given_up] = np.nan
        return last[:, 1:]

    def _advance_and_trace(self, rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        mujoco, model, data = self._mujoco, self.model, self._data
        results, state = np.empty((len(rows), self.state_dim + self.traces)), np.empty(1 + self.state_dim)
        for row, control, result in zip(rows, controls, results, strict=True):
            state[0], state[1:] = 0, row
            mujoco.mj_setState(model, data, state, self._spec)
            data.qacc_warmstart[:] = 0
            data.ctrl[:] = control
            mujoco.mj_step(model, data, nstep=self.frame_skip)
            mujoco.mj_getState(model, data, state, self._spec)
            result[: self.state_dim], result[self.state_dim :] = state[1:], self._traced()
            if np.isnan(state).any() or np.abs(state).max() > self.largest:
                result[:] = np.nan
        return results

    def traces_at(self, rows: np.ndarray) -> np.ndarray:
        """Traces in states that no decision has led to, (n, traces): of the forces that act there."""
        if self.trace is None:
            return np.empty((len(rows), 0))
        found = []
        for row in rows:
            self._mujoco.mj_resetData(self.model, self._data)
            self._mujoco.mj_setState(self.model, self._data, np.array([0, *row]), self._spec)
            self._mujoco.mj_forward(self.model, self._data)
            found.append(np.concatenate(self.trace(self.model, self._data)))
        return np.stack(found)

    def _traced(self) -> np.ndarray:
        assert self.trace is not None
        self._mujoco.mj_rnePostConstraint(self.model, self._data)
        return np.concatenate(self.trace(self.model, self._data))

    def derivatives(self, rows: np.ndarray, controls: np.ndarray, step: float = STEP) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of `decide`, (n, state_dim + traces, state_dim) and (n, state_dim + traces, nu).

        Across a jump or a kink they are those of one side: what is differentiated is the smooth piece that a row lies
        on, as by any other means of differentiation.
        """
        points = np.concatenate([rows, controls], 1)
        found = np.empty((len(points), self.state_dim + self.traces, points.shape[1]))
        chunk = max(1, ROWS_AT_ONCE // (2 * points.shape[1]))
        for start in range(0, len(points), chunk):
            found[start : start + chunk] = self._differences(points[start : start + chunk], step)
        return found[..., : self.state_dim], found[..., self.state_dim :]

    def _differences(self, points: np.ndarray, step: float) -> np.ndarray:
        offsets = step * np.eye(points.shape[1])
        moved = np.concatenate([points[:, None], points[:, None] + offsets, points[:, None] - offsets], 1)
        flat = moved.reshape(-1, points.shape[1])
        after = self.decide(flat[:, : self.state_dim], flat[:, self.state_dim :])
        base, ahead, behind = np.split(after.reshape(*moved.shape[:2], -1), [1, 1 + len(offsets)], 1)
        ahead, behind = ahead - base, base - behind
        sizes = [np.abs(each).max(-1, keepdims=True) for each in (ahead, behind)]
        moving = np.maximum(*sizes) > STILL
        slopes = (ahead + behind) / (2 * step)
        slopes = np.where(moving & (sizes[0] > LOPSIDED * sizes[1]), behind / step, slopes)
        slopes = np.where(moving & (sizes[1] > LOPSIDED * sizes[0]), ahead / step, slopes)
        return np.swapaxes(slopes, 1, 2)


def library() -> Any:
    """The module `mujoco`, which keeps its warnings to itself: by default it writes a file of them where it runs.

    Raises:
        ValueError: with the command that installs it.
    """
    try:
        import mujoco
    except ImportError:
        raise ValueError(f"the family mujoco needs MuJoCo: {INSTALL}") from None
    mujoco.set_mju_user_warning(_silent)
    return mujoco


def _silent(message: str) -> None:
    """What MuJoCo warns of shows in the results: a row that it gives up is nan."""


def asset(name: str) -> Path:
    """Gymnasium's own XML file of this name.

    Raises:
        ValueError: with the command that installs Gymnasium.
    """
    found = find_spec("gymnasium")
    if found is None or not found.submodule_search_locations:
        raise ValueError(f"the models of the family mujoco are Gymnasium's, which is not installed: {INSTALL}")
    return Path(found.submodule_search_locations[0]) / "envs" / "mujoco" / "assets" / name
