"""The audit of derivatives: exact, wrong, single-precision, rough and unrepeatable simulators have different tables."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from scorepath.cli.check import check_and_report
from scorepath.conformance.audit import SCALES, audit, auditable
from scorepath.environments._jacobians import StepJacobians
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.random_walk_digital import RandomWalkDigital


@dataclass(frozen=True, kw_only=True)
class Wavy(LQR):
    """A reward with a ripple of wavelength 0.013 on it: smooth, but not to an actor with more noise than that."""

    differentiable: ClassVar[bool] = True

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward + 0.05 * torch.sin(500 * action).sum(-1)


@dataclass(frozen=True, kw_only=True)
class Wrong(Pendulum):
    """Brings Jacobians that are three tenths too large."""

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
        return StepJacobians(*(1.3 * each for each in super().step_jacobians(state, action, process_noise)))


@dataclass(frozen=True, kw_only=True)
class Drifting(Pendulum):
    """Depends on how often it was called."""

    calls: ClassVar[list[int]] = []

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        self.calls.append(1)
        next_state, reward = super().step(state, action, process_noise)
        return next_state, reward + 1e-9 * len(self.calls)


@dataclass(frozen=True, kw_only=True)
class Bent(Pendulum):
    """States stay in (-1, 1); the derivative grows by a factor of hundreds a step."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        following = torch.sin(1000 * (state + action))
        return following, following.sum(-1)


def test_exact_derivatives_are_exact_at_every_scale() -> None:
    """An LQR's return is quadratic, so that a central difference is the derivative whatever its width."""
    found = audit(LQR(horizon=9))
    assert found.horizons == (1, 3, 9)
    assert (found.errors[0] < 1e-8).all()
    assert (found.errors[1] < 1e-4).all()
    assert found.unrepeatable == 0
    assert found.verdict.endswith("hold to 10% up to a scale of 0.1.")


def test_a_rough_return_has_derivatives_at_small_scales_only() -> None:
    found = audit(Wavy(horizon=9))
    assert (found.errors[0, :, :2] < 2e-2).all()
    assert (found.errors[0, :, 2:] > 0.3).all()
    assert "up to a scale of 0.0001" in found.verdict


def test_wrong_derivatives_agree_at_no_scale() -> None:
    found = audit(Wrong(horizon=9))
    assert (found.errors > 0.1).all()
    assert found.verdict == "Over 9 steps derivatives are off by more than 10% at every scale."


def test_what_overflows_is_no_agreement() -> None:
    """In single precision a map whose derivatives grow by hundreds a step has none after forty steps."""
    found = audit(Bent(horizon=40))
    single = found.errors[1, -1]
    assert found.overflowing[0].tolist() == [0.0] * 3
    assert found.overflowing[1, -1] > 0.5
    assert single.isinf().all()
    assert any(f"not finite at {found.overflowing[1, -1]:.0%}" in line for line in found.lines())


def test_a_step_that_remembers_is_not_repeatable() -> None:
    found = audit(Drifting(horizon=4))
    assert 0 < found.unrepeatable < 1e-6
    assert any(line.startswith("  Equal steps have equal results, but for") for line in found.lines())


@pytest.mark.parametrize(("environment", "expected"), [(LQR(), True), (Cosine(), False)])
def test_simulators_are_audited(environment: Environment, expected: bool) -> None:
    assert auditable(environment) == expected


def test_check_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    check_and_report("lqr", ["horizon=4"])
    lines = capsys.readouterr().out.splitlines()
    (head,) = (line for line in lines if line.startswith("  dtype"))
    assert head.split()[2:] == [f"{scale:g}" for scale in SCALES]
    assert [line.split()[:2] for line in lines if line.startswith("  float")] == [
        [dtype, steps] for dtype in ("float64", "float32") for steps in ("1", "2", "4")
    ]


@dataclass(frozen=True, kw_only=True)
class Band(Environment):
    """`s' = s + a`; where `0.345 < a < 0.55` the derivative by the action is `1 + amount` times too large."""

    horizon: int = 40
    amount: float = 344.0
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        band = ((action > 0.345) & (action < 0.55)).to(action)
        following = state + action + self.amount * band * (action - action.detach())
        return following, -((following[..., 0] - 1) ** 2)


@dataclass(frozen=True, kw_only=True)
class Random(Band):
    """Draws a random number of its own in every step."""

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return super().step(state, action + 0.1 * torch.randn_like(state), process_noise)


def test_a_wrong_derivative_of_few_steps_is_named_with_its_place() -> None:
    fault = audit(Band()).fault
    assert fault is not None
    assert "next state of step() by the action is 345 times what central differences" in fault.what
    low, high = (float(each) for each in fault.what.partition("an action from ")[2].split(" (")[0].split(" to "))
    assert 0.345 < low < high < 0.55
    assert "look for what is detached" in fault.remedy
    assert audit(Band(amount=0.0)).fault is None


def test_jacobians_that_are_wrong_are_named_as_such() -> None:
    fault = audit(Wrong(horizon=9)).fault
    assert fault is not None
    assert "by step_jacobians()" in fault.what
    assert "is 1.3 times" in fault.what
    assert fault.remedy == "correct step_jacobians()"


def test_chaos_roughness_and_a_jump_are_no_wrong_derivatives() -> None:
    """Where rounding alone keeps differences from agreeing over all steps, those of single steps do."""
    found = audit(Bent(horizon=40))
    assert (found.errors[0, -1] > 0.1).all()
    assert found.off > 16
    assert found.fault is None
    for environment in (Wavy(horizon=9), RandomWalkDigital(), AngleDoubling(), Pendulum(), Drifting(horizon=4)):
        found = audit(environment)
        assert (found.fault, found.impure) == (None, False)


def test_steps_with_random_numbers_of_their_own_are_impure() -> None:
    assert audit(Random(horizon=4, amount=0.0)).impure


def test_check_finds_a_derivative_wrong_that_differs_at_every_scale(tmp_path: Path) -> None:
    """In a band that the check of single steps meets too seldom to mind."""
    source = inspect.getsource(Band).replace("Environment", "sp.Environment").replace(": Tensor", "")
    head = "from dataclasses import dataclass\nimport scorepath as sp\n"
    file = tmp_path / "band.py"
    file.write_text(head + source.replace(" -> tuple[Tensor, Tensor]", ""), encoding="utf-8")
    with pytest.raises(ValueError, match=r"1 thing is wrong with .*band\.py: derivatives differ from differences"):
        check_and_report(str(file))
