"""A simulator that is broken is no answer about estimators, but one about itself, with the place."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import scorepath as sp
from scorepath.advice import INSUFFICIENT, NO_PATHWISE


@dataclass(frozen=True, kw_only=True)
class Fined(sp.Environment):
    """A fine for large actions, which is computed outside the graph: too rare at little noise to show in samples."""

    horizon: int = 40
    fine: float = 2000.0
    drawn: float = 0.0
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = state + 0.1 * action + (self.drawn * torch.randn_like(state) if self.drawn else 0.0)
        fine = self.fine * torch.relu(action[..., 0] - 0.37)
        return state, -((state[..., 0] - 1) ** 2) - fine.detach()


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (Fined(), r"derivative of the reward of step\(\) by the action is next to 0, and central differences"),
        (Fined(fine=0.0, drawn=0.1), r"equal steps have different results, by .*: no step is pure"),
    ],
    ids=["detached", "random"],
)
def test_pathwise_is_never_said_where_the_audit_finds_derivatives_wrong(environment: sp.Environment, says: str) -> None:
    """Its samples look excellent in both cases; JSON, page and text agree."""
    advice = sp.advise(environment, noise_levels=[0.1], budget=6)
    (answer,) = advice.answers
    assert (answer.verdict, answer.reason) == (NO_PATHWISE, "derivatives")
    assert answer.recommendation not in ("pathwise", "")
    assert re.search(says, answer.why)
    assert answer.change[0].startswith("mending that: ")
    assert answer.probability == 0
    assert advice.to_dict()["answers"][0]["why"] == answer.why
    for text in (str(advice), advice.to_html()):
        assert "Derivatives hold" not in text
        assert "Use pathwise" not in text
        assert "mending that" in text


def test_without_the_fine_the_same_simulator_is_one_for_pathwise() -> None:
    (answer,) = sp.advise(Fined(fine=0.0), noise_levels=[0.1], budget=6).answers
    assert (answer.verdict, answer.reason) == ("pathwise", "noise")


@dataclass(frozen=True, kw_only=True)
class Rooted(sp.Environment):
    """A power of the state above 0, by `where`: below 0 the branch that is not taken has a derivative of nan."""

    horizon: int = 3
    start: float = 0.2
    source = "test"
    reference_class = "certified_monte_carlo"

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_full((*noise.shape[:-1], 1), self.start)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = state + action
        x = state[..., 0]
        return state, torch.where(x > 0, torch.exp(1.5 * torch.log(x)), 0.0 * x.detach())


@pytest.mark.parametrize("start", [0.2, 1.2], ids=["seen by the audit", "seen by samples"])
def test_a_derivative_that_is_nan_is_an_answer_with_its_operation(start: float) -> None:
    sigma = 0.1 if start < 1 else 0.4
    (answer,) = sp.advise(Rooted(start=start), noise_levels=[sigma], budget=5).answers
    assert (answer.verdict, answer.reason) == (NO_PATHWISE, "derivatives")
    assert "nan or infinite" in answer.why
    assert re.search(r"(exp|log) at line \d+ of test_broken.py", answer.change[0])
    assert answer.recommendation in ("leave_one_out", "state_value_baseline", "measure_valued")


@dataclass(frozen=True, kw_only=True)
class Sqrt(sp.Environment):
    """The reward is nan where the state is above 0.5."""

    horizon: int = 3
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = state + action
        return state, torch.sqrt(0.5 - state[..., 0])


def test_rewards_that_are_not_finite_leave_no_estimator_to_recommend() -> None:
    """At once, or rarely, in batches (all of 512 trajectories miss them with a probability of 8e-7 at most)."""
    advice = sp.advise(Sqrt(), noise_levels=[0.15, 1.0], budget=5)
    for answer in advice.answers:
        assert (answer.verdict, answer.recommendation, answer.reason) == (INSUFFICIENT, "", "rewards")
        assert re.search(r"not finite on .* % of the trajectories: that of step \d is nan", answer.why)
        assert "No estimator is of use" in str(answer)
        assert "unbiased whatever" not in str(answer)
    assert json.loads(json.dumps(advice.to_dict(), allow_nan=False))["answers"][0]["recommendation"] == ""


@dataclass(frozen=True, kw_only=True)
class Unit(sp.Environment):
    """A quadratic in units."""

    horizon: int = 5
    unit: float = 1e150
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = state + action
        return state, -self.unit * (state[..., 0] - 1) ** 2


@pytest.mark.parametrize("unit", [1e150, 1e160])
def test_returns_that_are_too_large_for_their_squares_are_refused_in_a_sentence(unit: float) -> None:
    simulator, pathwise, score = (
        sp.Simulator(Unit(unit=unit), sigma=0.1),
        sp.estimators.Pathwise(),
        sp.estimators.LeaveOneOut(),
    )
    for ask in (
        lambda: sp.advise(simulator, budget=5),
        lambda: sp.measure(pathwise, simulator),
        lambda: sp.compare(pathwise, score, simulator),
    ):
        with pytest.raises(ValueError, match="measure rewards in a larger unit"):
            ask()


@pytest.mark.parametrize("unit", [1e-40, 1e40])
def test_a_unit_that_float64_holds_changes_no_answer(unit: float) -> None:
    (answer,) = sp.advise(Unit(unit=unit), noise_levels=[0.1], budget=5).answers
    assert answer.verdict == "pathwise"
