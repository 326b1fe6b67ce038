"""PGPE subtracts the mean return of the others."""

from __future__ import annotations

from tests.helpers.comparisons import assert_close
from tests.helpers.problems import SAMPLES, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.lqr import LQR
from scorepath.estimators._perturbation import perturbed_returns
from scorepath.estimators.pgpe import PGPE


def test_pgpe_subtracts_the_mean_return_of_the_others() -> None:
    environment = LQR(horizon=4)
    start, draws = simulator(environment), noise(environment)
    directions = draws.draw("parameters", (start.policy.parameter_count,))
    returns = perturbed_returns(start, draws, 0.2 * directions)
    others = (returns.sum(1, keepdim=True) - returns) / (SAMPLES - 1)
    expected = ((returns - others) / 0.2)[..., None] * directions
    assert_close(gradients(PGPE(perturbation=0.2), start, draws), expected)
