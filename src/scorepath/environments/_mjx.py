"""MuJoCo XLA (MJX): `_mujoco`'s decision compiled by JAX, in float64, and its Jacobian by forward differentiation.

Reverse mode fails at the `while_loop` of MuJoCo's solver; forward mode does not, and a decision has few inputs. XLA
compiles for every number of rows anew, so rows come in chunks of one size, which need not be full. Compiled programs
are kept on disk beside the kernels of `scorepath.engine`. JAX starts threads, which no fork survives: it is
imported here when a model is first asked for, hence in the process that computes, and in no warm worker.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from scorepath.engine import cache_folder
from scorepath.environments._mujoco import Engine

ROWS = 256
"""In a chunk, of which only as many are computed as there are."""
INSTALL = "pip install --editable '.[mjx]' in Scorepath's folder"
INTEGRATORS = ("Euler", "RK4", "implicitfast")
REMEDY = "choose `backend: c`, or take it out of the model"

Condition = Callable[[Any], Any]
LEFT_OUT: dict[str, Condition] = {
    "the noslip solver (noslip_iterations)": lambda model: model.opt.noslip_iterations,
    "the ellipsoid model of fluids (fluidshape)": lambda model: model.geom_fluid[:, 0],
    "plugins": lambda model: model.nplugin,
    "damping of actuators": lambda model: np.concatenate([model.actuator_damping, model.actuator_dampingpoly.ravel()]),
    "armature of actuators": lambda model: model.actuator_armature,
    "polynomial damping": lambda model: np.concatenate(
        [model.dof_dampingpoly.ravel(), model.tendon_dampingpoly.ravel()]
    ),
    "polynomial stiffness": lambda model: np.concatenate(
        [model.jnt_stiffnesspoly.ravel(), model.tendon_stiffnesspoly.ravel()]
    ),
    "adhesion of geoms": lambda model: model.flg_adhesion,
    "surfaces that move (surfacevel)": lambda model: model.flg_surfacevel,
    "actuators that act early (actearly)": lambda model: model.actuator_actearly,
    "actuators that are disabled (actuatorgroupdisable)": lambda model: model.opt.disableactuator,
    "actuators with several controls": lambda model: model.nactuator != model.nu,
    "sleeping bodies": lambda model: model.opt.enableflags & _sleep(),
}
"""What MJX overlooks without a word: by name, whether a model has it."""


def _sleep() -> int:
    import mujoco

    return int(mujoco.mjtEnableBit.mjENBL_SLEEP)


class Compiled:
    """The decisions of an engine, by MJX: of the same rows, to the same results but for rounding and the solver's end.

    Raises:
        ValueError: with the command that installs MJX; or naming what the model has and MJX does not support.
    """

    def __init__(self, engine: Engine) -> None:
        self._jax, self._mjx = library()
        self._engine = engine
        model = engine.model
        for what, has in LEFT_OUT.items():
            if np.any(has(model)):
                raise ValueError(_unsupported(engine, what))
        if (name := engine.integrator) not in INTEGRATORS:
            raise ValueError(_unsupported(engine, f"the integrator {name}"))
        with self._doubles(), _in_a_sentence(engine):
            cpu = self._jax.devices("cpu")[0]
            self._model = self._mjx.put_model(model, impl="jax", device=cpu)
            self._rest = self._mjx.make_data(model, impl="jax", device=cpu)
        self._programs: dict[Callable[[Any], Any], tuple[Callable[[int, np.ndarray], Any], tuple[int, ...]]] = {}

    def decide(self, rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """As the engine's: (n, state_dim + traces); rows that diverge are nan."""
        results = self._each(self._decision, rows, controls)
        results[~(np.abs(results[:, : self._engine.state_dim]) < self._engine.largest).all(1)] = np.nan
        return results

    def derivatives(self, rows: np.ndarray, controls: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the engine's, exact: (n, state_dim + traces, state_dim) and (n, state_dim + traces, nu)."""
        found = self._each(self._jacobian, rows, controls)
        return found[..., : self._engine.state_dim], found[..., self._engine.state_dim :]

    def _decision(self, point: Any) -> Any:
        """From one state and its controls, (state_dim + nu,), to the state afterwards and its traces."""
        engine, numpy = self._engine, self._jax.numpy
        sizes = engine.positions, engine.velocities, engine.state_dim - engine.positions - engine.velocities
        qpos, qvel, act, ctrl = numpy.split(point, np.cumsum(sizes))
        data = self._rest.replace(qpos=qpos, qvel=qvel, act=act, ctrl=ctrl)  # at time 0, without a warm start
        data = self._jax.lax.fori_loop(0, engine.frame_skip, lambda _, each: self._mjx.step(self._model, each), data)
        traces: tuple[Any, ...] = ()
        if engine.trace is not None:
            data = self._mjx.rne_postconstraint(self._model, data)
            read = {name: getattr(data, name) for name in ("xpos", "site_xpos", "qfrc_constraint")}
            traces = engine.trace(engine.model, SimpleNamespace(**read, cfrc_ext=data._impl.cfrc_ext))
        return numpy.concatenate([data.qpos, data.qvel, data.act, *traces])

    def _jacobian(self, point: Any) -> Any:
        return self._jax.jacfwd(self._decision)(point)

    def _each(self, function: Callable[[Any], Any], rows: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """The function of each row, nan where its state or controls are not finite."""
        points = np.concatenate([rows, controls], 1)
        sound = np.flatnonzero(np.isfinite(points).all(1))
        with self._doubles():
            program, shape = self._program(function)
            results = np.full((len(points), *shape), np.nan)
            for start in range(0, len(sound), ROWS):
                part = sound[start : start + ROWS]
                chunk = np.zeros((ROWS, points.shape[1]))
                chunk[: len(part)] = points[part]
                results[part] = np.asarray(program(len(part), chunk))[: len(part)]
        return results

    def _program(self, function: Callable[[Any], Any]) -> tuple[Callable[[int, np.ndarray], Any], tuple[int, ...]]:
        """The function of the first rows of a chunk, compiled once, and the shape of one result.

        One row after the other: side by side, each would iterate as often as the slowest.
        """
        if function not in self._programs:
            jax, inputs = self._jax, self._engine.state_dim + self._engine.controls
            with _in_a_sentence(self._engine):
                shape = jax.eval_shape(function, jax.ShapeDtypeStruct((inputs,), np.float64)).shape

                def whole(count: Any, chunk: Any) -> Any:
                    nothing = jax.numpy.zeros((ROWS, *shape))
                    return jax.lax.fori_loop(0, count, lambda i, found: found.at[i].set(function(chunk[i])), nothing)

                given = 0, jax.ShapeDtypeStruct((ROWS, inputs), np.float64)
                self._programs[function] = jax.jit(whole).lower(*given).compile(), shape
        return self._programs[function]

    def _doubles(self) -> Any:
        """Float64 within, and JAX elsewhere as its owner has it."""
        return self._jax.enable_x64(True)


compiled = lru_cache(maxsize=16)(Compiled)
"""One for equal engines: whoever cuts a horizon or copies an environment compiles nothing anew."""


def library() -> tuple[Any, Any]:
    """The modules `jax` and `mujoco.mjx`.

    Raises:
        ValueError: with the command that installs them.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints that Warp is not there
            import jax
            from mujoco import mjx
    except ImportError:
        raise ValueError(f"the backend mjx needs MuJoCo XLA: {INSTALL}") from None
    folder = cache_folder()
    if folder is not None and jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    return jax, mjx


@contextlib.contextmanager
def _in_a_sentence(engine: Engine) -> Iterator[None]:
    try:
        yield
    except NotImplementedError as error:
        raise ValueError(_unsupported(engine, _plainly(error))) from None


def _plainly(error: NotImplementedError) -> str:
    """What MJX says, without the names of C: `(mjtGeom.mjGEOM_BOX, ...)` is `(Geom BOX, ...)`."""
    text = re.sub(r"<?mjt(\w+)\.mj[A-Z]+_(\w+)(?:: \d+>)?", r"\1 \2", " ".join(str(error).split()))
    return text.rstrip(".")


def _unsupported(engine: Engine, what: str) -> str:
    return f"the model {engine.name} has what MuJoCo XLA does not support: {what}; {REMEDY}"
