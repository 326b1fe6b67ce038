"""Random walks with a payment at the end: closed forms against integration and one-step landscapes."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import qmc
from tests.helpers.problems import at, in_generic_position, label
from tests.helpers.rules import as_rollout, normals
from torch import Tensor

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.relu import Relu
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.references import quadrature
from scorepath.references.exact import exact_reference


def sobol(dimension: int) -> tuple[Tensor, Tensor]:
    points = torch.from_numpy(qmc.Sobol(dimension, seed=1).random(2**15))
    return torch.special.ndtri(points), torch.full((len(points),), 1 / len(points), dtype=torch.float64)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("process_noise", [0.0, 0.3])
def test_random_walks_match_integration(kind: type[RandomWalkDigital | RandomWalkCall], process_noise: float) -> None:
    environment, sigma = kind(horizon=3, process_noise=process_noise, discount=0.8), 0.2
    start = in_generic_position(environment, sigma)
    points, weights = sobol(normals(environment))
    returns = start.rollout(as_rollout(environment, points)).returns[0]
    assert exact_reference(start).objective == pytest.approx((weights @ returns).item(), rel=3e-3)


@pytest.mark.parametrize(
    ("walk", "landscape"),
    [
        (RandomWalkDigital(horizon=1, strike=0.1), Step(edge=0.1)),
        (RandomWalkDigital(horizon=1, strike=0.1).smoothed(0.2), SoftStep(edge=0.1, width=0.2)),
        (RandomWalkCall(horizon=1, strike=0.1), Relu(kink=0.1)),
    ],
    ids=label,
)
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_one_step_of_a_walk_is_a_landscape(walk: Environment, landscape: Environment, sigma: float) -> None:
    actions = torch.linspace(-1, 1, 50, dtype=torch.float64)
    expected = quadrature.decision_return(landscape, actions)
    torch.testing.assert_close(quadrature.decision_return(walk, actions), expected, rtol=1e-12, atol=1e-12)
    of_walk, of_landscape = (exact_reference(at(each, 0.13, sigma)) for each in (walk, landscape))
    assert of_walk.objective == pytest.approx(of_landscape.objective, rel=1e-12)
    torch.testing.assert_close(of_walk.gradient, of_landscape.gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [RandomWalkDigital, RandomWalkCall, AngleDoubling], ids=lambda kind: kind.__name__)
def test_feedback_has_no_closed_form(kind: type[Environment]) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__} needs an open_loop policy"):
        exact_reference(at(kind(), 0.0, 0.1, "linear"))
