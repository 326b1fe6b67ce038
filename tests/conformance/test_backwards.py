"""Derivatives backwards in time, as `scorepath check` looks at them: what is a fault, what is only worth knowing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tests.helpers.edges import EDGES
from torch import Tensor

from scorepath.cli import commands as cli
from scorepath.conformance import check_environment
from scorepath.conformance.backwards import adjoint_is_the_graph, finite_derivatives
from scorepath.conformance.findings import Remark
from scorepath.environments.base import Environment
from scorepath.environments.pendulum import Pendulum


@dataclass(frozen=True, kw_only=True)
class Walk(Environment):
    """`s' = s + a` from 0, reward `-s'^2`."""

    horizon: int = 9

    source: ClassVar[str] = "test"
    reference_class: ClassVar = "certified_monte_carlo"

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_zeros(*noise.shape[:-1], 1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = state + self.pushed(action, state)
        return following, -following.square().sum(-1)

    def pushed(self, action: Tensor, state: Tensor) -> Tensor:
        return action


class Guarded(Walk):
    def pushed(self, action: Tensor, state: Tensor) -> Tensor:
        far = state.abs() > 1e3
        return torch.where(far, (state.abs() - 1e3).sqrt(), action)


class Chaotic(Walk):
    """States stay in (-1, 1); the derivative grows by four orders of magnitude a step."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = torch.sin(5e4 * state + 1e4 * action)
        return following, -following.square().sum(-1)


class Sided(Pendulum):
    """Forgets the action's part in the derivative where steps lie side by side."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(state, action.detach() if state.dim() > 3 else action, process_noise)


def test_operations_without_a_derivative_are_named() -> None:
    (found,) = finite_derivatives(Guarded())
    assert not isinstance(found, Remark)
    text = Path(__file__).read_text().split("(state.abs() - 1e3).sqrt()")[0]
    assert f"sqrt at line {text.count(chr(10)) + 1} of {Path(__file__).name}" in found


def test_overflow_in_single_precision_is_a_remark() -> None:
    """It refuses nothing, and `scorepath check` still prints it."""
    (found,) = finite_derivatives(Chaotic(horizon=14))
    assert isinstance(found, Remark)
    assert "single precision" in found
    assert not any("precision" in each for each in check_environment(Chaotic(horizon=14)))


def test_what_masks_stop_is_no_fault() -> None:
    assert list(finite_derivatives(EDGES["guarded sqrt"])) == []


@pytest.mark.parametrize("environment", [Walk(), *EDGES.values()])
def test_the_adjoint_is_the_graph(environment: Environment) -> None:
    assert list(adjoint_is_the_graph(environment)) == []


def test_steps_side_by_side_have_to_be_the_same_steps() -> None:
    (found,) = adjoint_is_the_graph(Sided())
    assert "side by side" in found


def test_a_remark_is_printed_as_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chaotic.py"
    path.write_text(
        '''"""Chaos."""
from dataclasses import dataclass

import torch

from scorepath.environments.base import Environment


@dataclass(frozen=True, kw_only=True)
class Chaotic(Environment):
    """States stay in (-1, 1)."""

    horizon: int = 40
    source = "own"
    reference_class = "certified_monte_carlo"
    continuous = False  # to floating point it is not

    def step(self, state, action, process_noise):
        following = torch.sin(300 * state + action)
        return following, -following.square().sum(-1)
'''
    )
    status = cli.run_here(["check", str(path)])
    printed = "".join(capsys.readouterr())
    assert status == 0, printed
    assert "  note   The return's derivative by the actions is finite." in printed
    assert "Nothing is wrong." in printed
