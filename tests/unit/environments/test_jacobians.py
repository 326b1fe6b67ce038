"""Environments of other systems: what wants a derivative takes it from the Jacobians that they bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

import scorepath as sp
from scorepath import adjoint, registry
from scorepath.conformance import check_environment
from scorepath.environments.base import ReferenceClass
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise, Stream
from scorepath.references.estimates import reverse_mode
from scorepath.rollout import Simulator

Rows = Any
DT = 0.2


def dynamics(library: Any, state: Rows, action: Rows) -> tuple[list[Rows], Rows]:
    """A driven oscillator with an unstable middle, of columns: next coordinates and reward, by numpy or torch."""
    x, v = state
    faster = v + DT * (x - x**3 + library.tanh(action))
    return [x + DT * faster, faster], -((x - 1) ** 2) - 0.1 * action**2 * library.cos(x)


@dataclass(frozen=True, kw_only=True)
class Torch(sp.Environment):
    """The oscillator in torch."""

    horizon: int = 6
    source: ClassVar[str] = "Scorepath"
    reference_class: ClassVar[ReferenceClass] = "certified_monte_carlo"
    default_policy: ClassVar[str] = "mlp"
    state_dim: ClassVar[int] = 2
    initial_noise_dim: ClassVar[int] = 2

    def initial_state(self, noise: Tensor) -> Tensor:
        return 0.3 * noise

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        coordinates, reward = dynamics(torch, state.unbind(-1), action[..., 0])
        return torch.stack(coordinates, -1), reward


@dataclass(frozen=True, kw_only=True)
class Numpy(Torch):
    """The same in numpy, in float64, with Jacobians worked out by hand."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        x, v = np.moveaxis(state.numpy().astype(np.float64), -1, 0)
        coordinates, reward = dynamics(np, (x, v), action.numpy().astype(np.float64)[..., 0])
        return torch.from_numpy(np.stack(coordinates, -1)).to(state), torch.as_tensor(reward).to(state)

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> sp.StepJacobians:
        x, a = state.numpy()[..., 0], action.numpy()[..., 0]
        pull, push = DT * (1 - 3 * x**2), DT * (1 - np.tanh(a) ** 2)
        by_state = np.stack([1 + DT * pull, np.full_like(x, DT), pull, np.ones_like(x)], -1)
        by_reward = np.stack([-2 * (x - 1) + 0.1 * a**2 * np.sin(x), np.zeros_like(x)], -1)
        return sp.StepJacobians(
            torch.from_numpy(by_state).unflatten(-1, (2, 2)),
            torch.from_numpy(np.stack([DT * push, push], -1)[..., None]),
            torch.from_numpy(by_reward),
            torch.from_numpy(-0.2 * a * np.cos(x))[..., None],
        )


def foreign_jacobian(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> np.ndarray:
    """Of a function of one row that knows no torch: by complex steps (Squire & Trapp 1998)."""
    columns = [function(point + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(point))]
    return np.stack(columns, -1)


@dataclass(frozen=True, kw_only=True)
class Foreign(Numpy):
    """The same with the Jacobians of a foreign function, row by row."""

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> sp.StepJacobians:
        def function(row: np.ndarray) -> np.ndarray:
            coordinates, reward = dynamics(np, row[:2], row[2])
            return np.array([*coordinates, reward])

        rows = torch.cat([state, action], -1).double()
        found = [foreign_jacobian(function, row) for row in rows.reshape(-1, 3).numpy()]
        matrix = torch.from_numpy(np.stack(found)).reshape(*state.shape[:-1], 3, 3)
        return sp.StepJacobians(matrix[..., :2, :2], matrix[..., :2, 2:], matrix[..., 2, :2], matrix[..., 2, 2:])


def simulator(environment: sp.Environment) -> Simulator:
    return Simulator(environment, sigma=0.3)


@pytest.mark.parametrize("rows", [(), (5,), (2, 3)])
def test_differences_of_a_step_are_its_jacobians(rows: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    state, action = (torch.randn(*rows, size, generator=generator) for size in (2, 1))
    noise, exact = state.new_zeros(*rows, 0), Torch()
    found = sp.jacobians_by_differences(Numpy().step, state, action, noise)
    for ours, theirs in zip(found, exact.step_jacobians(state, action, noise), strict=True):
        assert (ours.dtype, ours.shape) == (torch.float32, theirs.shape)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [Numpy, Foreign])
def test_a_strangers_simulator_passes_every_check(kind: type[Torch]) -> None:
    assert check_environment(kind()) == []


def test_torch_takes_the_jacobians_of_a_step_in_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    state, action = (torch.randn(2, 3, dim, generator=generator, dtype=torch.float64) for dim in (2, 1))
    for own, other in zip(
        Numpy().step_jacobians(state, action, action), Torch().step_jacobians(state, action, action), strict=True
    ):
        torch.testing.assert_close(own, other)


def derivative_methods() -> list[str]:
    found = []
    for name in registry.names(registry.ESTIMATORS):
        estimator: Estimator = registry.load(registry.ESTIMATORS, name)()
        if estimator.needs_differentiable_dynamics and not estimator.not_applicable(Torch(), 0.3):
            found.append(name)
    return found


@pytest.mark.parametrize("method", derivative_methods())
def test_every_estimator_that_differentiates_takes_them(method: str) -> None:
    """Pathwise, windows, critics and mixtures give what they give of the same environment in torch."""
    estimator: Estimator = registry.load(registry.ESTIMATORS, method)()
    results = []
    for environment in (Torch(), Numpy()):
        noise = Noise(environment, Stream(3, "test", "jacobians"), range(2), 8, torch.float64)
        pilot = Noise(environment, Stream(3, "test", "pilot"), range(2), 8, torch.float64)
        past = simulator(environment).rollout(pilot.rollout) if estimator.needs_past else None
        results.append(torch.cat(list(estimator.gradients(simulator(environment), noise, past))))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-11)


def test_references_take_them() -> None:
    stream = Stream(3, "test", "reference")
    one, two = (reverse_mode(simulator(each), stream, 4, 16, torch.float64) for each in (Torch(), Numpy()))
    torch.testing.assert_close(one, two)


def test_they_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps side by side, however many coordinates pull through them."""
    asked = []
    taken = Numpy.step_jacobians

    def counted(self: Numpy, state: Tensor, action: Tensor, process_noise: Tensor) -> sp.StepJacobians:
        asked.append(state.shape)
        return taken(self, state, action, process_noise)

    monkeypatch.setattr(Numpy, "step_jacobians", counted)
    noise = Noise(Numpy(), Stream(3, "test", "once"), range(2), 8, torch.float64)
    adjoint.backpropagate(simulator(Numpy()), noise.rollout)
    assert asked == [(6, 2, 8, 2)]


def test_wrong_jacobians_are_found() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wrong(Numpy):
        def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> sp.StepJacobians:
            found = super().step_jacobians(state, action, process_noise)
            return found._replace(next_by_action=1.01 * found.next_by_action)

    (finding, *_) = check_environment(Wrong())
    assert "the derivative by step_jacobians() of the next state of step() by the action differs" in finding


def test_jacobians_of_another_shape_are_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Flat(Numpy):
        def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> sp.StepJacobians:
            found = super().step_jacobians(state, action, process_noise)
            return found._replace(reward_by_action=found.reward_by_action[..., 0])

    found = check_environment(Flat())
    assert any("reward_by_action of step_jacobians() has shape (48,): it must be (48, 1)" in each for each in found)
