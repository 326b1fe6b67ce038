"""Recorded and compiled steps: what torch computes in every environment that has them, at every edge; or torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.helpers.by_torch import torch_steps
from tests.helpers.problems import randn
from torch import Tensor

from scorepath import dynamics as dynamic
from scorepath import registry
from scorepath.dynamics import Dynamics, Rows, dynamics
from scorepath.environments.base import Environment
from scorepath.environments.cartpole import CartPole
from scorepath.environments.pendulum import Pendulum
from scorepath.kernels import rows as kernels

pytestmark = pytest.mark.usefixtures("every_step_compiled")
NUMBERS = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
TOLERANCES = {torch.float32: 2e-5, torch.float64: 1e-13}
"""Of sums of terms of the size of the largest result; a chain of hundreds of operations rounds as often."""
BY_TORCH = {"bouncing_ball", "chain", "coulomb_slide", "grid", "gymnasium", "mujoco"}
"""They look at numbers, or use logarithms, indices or another simulator."""
INSTANCES: list[Environment] = [
    kind(**knobs)
    for kind in (registry.load(registry.ENVIRONMENTS, name) for name in registry.names(registry.ENVIRONMENTS))
    for knobs in ({}, *kind.variants)
    if kind.__module__.rpartition(".")[2] not in ("mujoco", "gymnasium")
]


def compiled(environment: Environment, dtype: torch.dtype = torch.float64) -> Dynamics:
    found = dynamics(environment, torch.zeros(1, dtype=dtype))
    assert found is not None
    return found


def alone(function: Callable[..., Tensor], dtype: torch.dtype = torch.float64, inputs: int = 1) -> tuple[Rows, Rows]:
    """A function of so many columns to one of the same width, and its vector-Jacobian product."""
    recording = dynamic._Recording(lambda x: [function(x)], (inputs,), 1, (inputs,), dtype)
    return recording.forwards(), recording.backwards()


def test_which_environments_have_them() -> None:
    """None falls back unnoticed."""
    names = registry.names(registry.ENVIRONMENTS)
    kinds = {name: registry.load(registry.ENVIRONMENTS, name) for name in names}
    assert {name for name in names if dynamics(kinds[name](), torch.zeros(1)) is None} == BY_TORCH


@NUMBERS
@pytest.mark.parametrize("environment", INSTANCES, ids=lambda each: type(each).__name__)
def test_they_are_those_of_torch(environment: Environment, dtype: torch.dtype) -> None:
    found = dynamics(environment, torch.zeros(1, dtype=dtype))
    if found is None:
        return
    rows = 37
    state = environment.initial_state(randn(rows, environment.initial_noise_dim, seed=1).to(dtype))
    state = state + 0.1 * randn(*state.shape, seed=2).to(dtype)
    action = randn(rows, environment.action_dim, seed=3).to(dtype)
    noise = randn(rows, environment.process_noise_dim, seed=4).to(dtype)
    by_next, by_reward = randn(*state.shape, seed=5).to(dtype), randn(rows, seed=6).to(dtype)
    by_observation = randn(rows, environment.observation_dim, seed=7).to(dtype)
    for function, given in (
        (found.observe, (state,)),
        (found.observe_vjp, (state, by_observation)),
        (found.step, (state, action, noise)),
        (found.step_vjp, (state, action, noise, by_next, by_reward)),
    ):
        results = function(*given)
        results = results if len(function.results) > 1 else [results]
        for result, expected in zip(results, function.function(*given), strict=True):
            size = 1 + expected.abs().max().item()
            torch.testing.assert_close(result, expected, rtol=0, atol=TOLERANCES[dtype] * size)


def test_they_are_no_calls_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = compiled(Pendulum())

    def never(*given: Tensor) -> Sequence[Tensor]:
        raise AssertionError

    for function in (found.step, found.observe):
        object.__setattr__(function, "function", never)
    dynamic._dynamics.cache_clear()
    state, action, noise = randn(5, 2, seed=1), randn(5, 1, seed=2), torch.zeros(5, 0, dtype=torch.float64)
    found.step(found.observe(state)[..., :2].contiguous(), action, noise)
    state[3, 0] = torch.nan
    with pytest.raises(AssertionError):
        found.step(state, action, noise)


@NUMBERS
def test_torch_decides_where_something_is_not_finite(dtype: torch.dtype) -> None:
    """Or an angle is beyond reach: every byte is then torch's."""
    found = compiled(CartPole(), dtype)
    state, action = randn(4, 4, seed=1).to(dtype), randn(4, 1, seed=2).to(dtype)
    noise, signal, reward = torch.zeros(4, 0, dtype=dtype), randn(4, 4, seed=3).to(dtype), torch.ones(4, dtype=dtype)
    for value in (torch.nan, torch.inf, 1e9):
        state[2, 2] = value
        forwards = (state, action, noise)
        for function, given in ((found.step, forwards), (found.step_vjp, (*forwards, signal, reward))):
            for result, expected in zip(function(*given), function.function(*given), strict=True):
                assert torch.equal(result.nan_to_num(7.0), expected.nan_to_num(7.0))
                assert torch.equal(result.isnan(), expected.isnan())


@NUMBERS
def test_a_row_has_the_same_bytes_wherever_it_lies(dtype: torch.dtype) -> None:
    found = compiled(CartPole(), dtype)
    state, action = randn(67, 4, seed=1).to(dtype), randn(67, 1, seed=2).to(dtype)
    noise = torch.zeros(67, 0, dtype=dtype)
    following, reward = found.step(state, action, noise)
    for first, last in ((0, 1), (3, 20), (50, 67)):
        part = found.step(state[first:last], action[first:last], noise[first:last])
        assert torch.equal(part[0], following[first:last])
        assert torch.equal(part[1], reward[first:last])


@pytest.mark.parametrize("function", [torch.sin, torch.cos, torch.exp, torch.tanh, torch.sqrt])
def test_elementary_functions(function: Callable[[Tensor], Tensor]) -> None:
    """To two units in the last place of the result; of 1 for sine and cosine, near their zeros."""
    spread = randn(1000, seed=1) * 10.0 ** randn(1000, seed=2)
    x = torch.cat([torch.linspace(-40, 40, 100_001, dtype=torch.float64), spread[spread.abs() < 80]])
    x = x.abs() if function is torch.sqrt else x
    for dtype, unit in ((torch.float64, 2.3e-16), (torch.float32, 1.2e-7)):
        given = x.to(dtype)[:, None]
        found, expected = alone(function, dtype)[0](given).double(), function(given.double())
        size = 1.0 if function in (torch.sin, torch.cos) else expected.abs()
        assert ((found - expected).abs() <= 2 * unit * size).all()


KINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "hardtanh": torch.nn.functional.hardtanh,
    "clamp": lambda x: x.clamp(-1, 1),
    "clamp_min": lambda x: x.clamp_min(0),
    "abs": torch.abs,
    "maximum": lambda x: torch.maximum(x, -x),
    "minimum": lambda x: torch.minimum(x * x, x),
    "where": lambda x: torch.where(x > 0, x, x * x),
    "detach": lambda x: x * x.detach(),
    "remainder": lambda x: torch.remainder(x * 3, 2.0),
    "to": lambda x: (x >= 0).to(x) * x + x * (x < 1),
    "both": lambda x: torch.where((x > -1) & (x < 1), x**3, 2 - x),
    "powers": lambda x: x**2 + 1 / (3 + x),
}


@pytest.mark.parametrize("name", KINKS)
def test_derivatives_at_kinks_are_those_of_torch(name: str) -> None:
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], dtype=torch.float64)[:, None]
    value, back = alone(KINKS[name])
    torch.testing.assert_close(value(x), value.function(x)[0], rtol=1e-15, atol=0)
    expected = back.function(x, torch.ones_like(x))[0]
    torch.testing.assert_close(back(x, torch.ones_like(x)), expected, rtol=1e-14, atol=1e-15)


# --- what cannot be recorded ------------------------------------------------------------------------------------------


class Through(torch.autograd.Function):
    """A derivative of its own."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return torch.sin(x)

    @staticmethod
    def backward(context: Any, signal: Tensor) -> Tensor:
        return 5 * signal


def without_graph(x: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.sin(x)


def in_place(x: Tensor) -> Tensor:
    x = x.clone()
    x[..., 0] = 2.0
    return x


OBSTACLES: dict[str, Callable[[Tensor], Tensor]] = {
    "own derivative": Through.apply,
    "no graph": without_graph,
    "a number": lambda x: x * float(x.sum()),
    "a choice": lambda x: x if bool((x > 0).any()) else -x,
    "numpy": lambda x: torch.from_numpy(np.sin(x.detach().numpy())),
    "a list": lambda x: torch.tensor(x.tolist()).to(x),
    "in place": in_place,
    "augmented": lambda x: torch.sin(x).add_(1.0),
    "noise": lambda x: x + torch.randn_like(x),
    "precision": lambda x: x.double().float(),
    "another type": lambda x: torch.sin(x.to(torch.float64)),
    "unknown": torch.special.bessel_j0,
}


@dataclass(frozen=True, kw_only=True)
class Obstacle(Environment):
    source: ClassVar[str] = "test"
    reference_class: ClassVar = "certified_monte_carlo"
    action_dim: ClassVar[int] = 1
    horizon: ClassVar[int] = 3
    what: str = "a number"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = OBSTACLES[self.what](state + action)
        return following, following[..., 0]


@pytest.mark.parametrize("what", OBSTACLES)
def test_what_cannot_be_recorded_is_left_to_torch(what: str) -> None:
    assert dynamics(Obstacle(what=what), torch.zeros(1)) is None


SHARED: dict[str, Any] = {"list": [1.0], "tensor": torch.ones(1, dtype=torch.float64)}


@dataclass(frozen=True)
class Impure(Environment):
    """What it does depends on more than its fields."""

    source: ClassVar[str] = "test"
    reference_class: ClassVar = "certified_monte_carlo"
    horizon: ClassVar[int] = 3
    factor: ClassVar[float] = 1.0
    what: str = "list"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        match self.what:
            case "random":
                factor: Any = torch.rand(1, dtype=torch.float64)
            case "class attribute":
                factor = self.factor
            case "attribute":
                factor = self.__dict__.get("own", 1.0)
            case what:
                factor = SHARED[what][0]
        following = torch.sin(factor * state + action)
        return following, following[..., 0]


def change(environment: Impure, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    match environment.what:
        case "class attribute":
            monkeypatch.setattr(Impure, "factor", factor)
        case "attribute":
            object.__setattr__(environment, "own", factor)
        case what:
            SHARED[what][0] = factor


@pytest.mark.parametrize("what", ["list", "tensor", "class attribute", "attribute"])
def test_a_recording_is_not_used_for_what_an_environment_no_longer_does(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, state, action = Impure(what), randn(5, 1, seed=1), randn(5, 1, seed=2)
    given = state, action, torch.zeros(5, 0, dtype=torch.float64)
    for factor in (1.0, 3.0, 1.0):
        change(environment, factor, monkeypatch)
        following, _ = compiled(environment).step(*given)
        torch.testing.assert_close(following, torch.sin(factor * state + action))


def test_an_instance_with_attributes_of_its_own_is_another_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is equal, by its fields, to one that was recorded."""
    one, other = Impure("attribute"), Impure("attribute")
    change(other, 2.0, monkeypatch)
    assert one == other
    assert compiled(one).step is not compiled(other).step


def test_random_numbers_of_its_own_are_left_to_torch() -> None:
    assert dynamics(Impure("random"), torch.zeros(1, dtype=torch.float64)) is None


def test_what_an_environment_does_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dynamics(Pendulum(), torch.zeros(1))
    assert dynamics(torch_steps(Pendulum()), torch.zeros(1)) is None
    assert dynamics(Pendulum(), torch.zeros(1, dtype=torch.float16)) is None
    assert dynamics(Pendulum(), torch.zeros(1, device="meta")) is None
    monkeypatch.setattr(dynamic, "LEAST_OPERATIONS", 200)
    dynamic._dynamics.cache_clear()
    assert dynamics(Pendulum(horizon=50), torch.zeros(1))
    assert dynamics(Pendulum(horizon=2), torch.zeros(1)) is None


def test_knobs_share_the_code() -> None:
    one, other = (compiled(CartPole(action_cost=cost)) for cost in (0.02, 0.03))
    assert one.step.engine is other.step.engine
    assert one.step.constants.tolist() != other.step.constants.tolist()


def test_code_on_disk(tmp_path: Path) -> None:
    """It is read again; a damaged file is compiled anew, and a folder that cannot be written is no obstacle."""
    from scorepath.kernels.recording import arguments, expressions

    (x,) = arguments([1], torch.float64)
    text, constants = kernels.source([1], [expressions(x * 3.5)], single=False)

    def value(folder: Path | None) -> float:
        kernels.compiled.cache_clear()
        kernel, _engine = kernels.compiled(text, folder)
        given, result = np.array([2.0]), np.zeros(1)
        assert kernel(1, constants.ctypes.data, given.ctypes.data, result.ctypes.data) == 0
        return float(result[0])

    assert value(tmp_path) == 7.0
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    assert value(tmp_path) == 7.0
    assert file.read_bytes() == whole
    before = file.stat().st_mtime_ns
    assert value(tmp_path) == 7.0
    assert file.stat().st_mtime_ns == before
    assert value(tmp_path / "nothing") == value(None) == 7.0
