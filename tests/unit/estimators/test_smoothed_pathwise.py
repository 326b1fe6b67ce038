"""Pathwise through a smoothed environment is unbiased there, and nowhere else."""

from __future__ import annotations

import pytest
from tests.helpers.problems import at, label
from tests.helpers.rules import mean_of_one_decision

from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment
from scorepath.environments.lqr import LQR
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.estimators.smoothed_pathwise import SmoothedPathwise
from scorepath.references.exact import exact_reference

SMOOTHED = [(Step(edge=0.1), 0.2), (SoftStep(edge=0.1, width=0.05), 0.1), (BallWithWall(), 0.4)]


@pytest.mark.parametrize(("environment", "width"), SMOOTHED, ids=label)
def test_smoothed_pathwise_estimates_the_gradient_of_the_smoothed_environment(
    environment: Environment, width: float
) -> None:
    mean, sigma = 0.05, 0.1
    smooth = environment.smoothed(width)
    assert smooth is not None
    assert smooth.continuous
    found = mean_of_one_decision(SmoothedPathwise(width=width), at(environment, mean, sigma))
    assert found == pytest.approx(exact_reference(at(smooth, mean, sigma)).gradient.item(), rel=1e-3)
    assert found != pytest.approx(exact_reference(at(environment, mean, sigma)).gradient.item(), rel=0.01), (
        "the bias would go unnoticed"
    )


def test_without_a_smoothed_version_there_is_no_smoothed_pathwise() -> None:
    assert SmoothedPathwise().not_applicable(LQR(), 0.1) == "no smoothed version of these dynamics"
