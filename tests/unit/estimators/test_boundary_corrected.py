"""Boundary terms against closed forms and exact gradients; expectations are sums over nodes, not samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from tests.helpers.problems import at, noise, simulator
from tests.helpers.rules import mean_of_one_decision
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.lqr import LQR
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.step import Step
from scorepath.estimators.boundary_corrected import BoundaryCorrected
from scorepath.estimators.pathwise import Pathwise
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sigma", [0.01, 0.5])
@pytest.mark.parametrize("mean", [0.0, 0.1, 0.3])
def test_boundary_term_of_a_step_is_its_gradient(mean: float, sigma: float, dtype: torch.dtype) -> None:
    """phi(z) / sigma in every sample: it has no variance there."""
    environment = Step(edge=0.1)
    start = at(environment, mean, sigma)
    found = gradients(BoundaryCorrected(), start, replace(noise(environment), dtype=dtype))
    z = (mean - environment.edge) / sigma
    density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / sigma
    expected = torch.full_like(found, density)
    torch.testing.assert_close(found, expected, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=1e-15)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
@pytest.mark.parametrize("knobs", [{}, {"stiffness": 50.0}, {"wall_height": 1.0, "wall_distance": 3.0}], ids=str)
def test_boundary_terms_complete_the_gradient_at_a_wall(knobs: dict[str, float], sigma: float) -> None:
    environment = BallWithWall(**knobs)
    start = at(environment, 0.05, sigma)
    gradient = exact_reference(start).gradient.item()
    assert mean_of_one_decision(BoundaryCorrected(), start) == pytest.approx(gradient, rel=1e-3, abs=1e-3)
    assert abs(mean_of_one_decision(Pathwise(), start) - gradient) > 0.1


def test_boundary_terms_over_several_steps() -> None:
    """At one step of each trajectory: the density of the action that just reaches the strike, times 3 × the jump."""
    environment = RandomWalkDigital(horizon=3, strike=0.2, process_noise=0.1, discount=0.9)
    start, draws = simulator(environment, sigma=0.5), noise(environment, samples=200)
    trajectories, found = BoundaryCorrected().signal(start, draws)
    actions = trajectories.actions[..., 0]
    shocks = environment.process_noise * draws.rollout.process[..., 0].sum(-1)
    # the action that just reaches the strike, given the others
    needed = environment.strike - (actions.sum(-1) + shocks)[..., None] + actions
    z = (needed - start.parameters) / start.sigma
    terms = 0.9**3 * torch.exp(-z.square() / 2) / (math.sqrt(2 * math.pi) * start.sigma)
    branches = found[..., 0] != 0
    assert (branches.sum(-1) == 1).all()
    assert branches.flatten(0, 1).any(0).all()
    torch.testing.assert_close(found[..., 0][branches], 3 * terms[branches], rtol=1e-9, atol=0)


def test_boundary_terms_need_an_open_loop_policy() -> None:
    environment = RandomWalkDigital(horizon=3)
    with pytest.raises(ValueError, match="needs an open_loop policy over the 3 steps of RandomWalkDigital"):
        BoundaryCorrected().signal(simulator(environment, kind="linear"), noise(environment))


class UnknownJumps(Step):
    """A step that keeps the place of its jump to itself."""

    source: ClassVar[str] = "test"

    def jump_locations(self, actions: Tensor, process: Tensor) -> None:  # type: ignore[override]
        return None


def test_where_boundary_terms_exist() -> None:
    found = BoundaryCorrected()
    assert found.not_applicable(UnknownJumps(), 0.1) == "places of the jumps not known"
    assert not found.unbiased(UnknownJumps())
    assert found.not_applicable(Step(), 0.0) is not None
    assert found.unbiased(Step())
    assert found.identical_to(LQR(), 0.1) == "pathwise"
    assert found.environment_steps(LQR(horizon=7)) == 7
    # the nominal rollout, then two branches that are on average half as long
    assert found.environment_steps(RandomWalkDigital(horizon=7)) == 7 + 2 * 4
