"""What holds of many estimators at once: exact expectations, and the same noise for all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
import torch
from tests.helpers.problems import SAMPLES, estimator, label, noise, simulator
from tests.helpers.rules import as_rollout, gauss_hermite, normals, with_rollout

from scorepath import registry
from scorepath.conformance.problems import PROBLEMS, gradients
from scorepath.environments.base import Environment
from scorepath.environments.lqr import LQR
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.references.exact import exact_reference

METHODS = registry.names(registry.ESTIMATORS)


def applicable(environment: Environment) -> Iterator[str]:
    for method in METHODS:
        if not estimator(method).not_applicable(environment, 0.3):
            yield method


@pytest.mark.parametrize("method", ["reinforce", "reward_to_go", "pathwise"])
@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_expectations_are_the_exact_gradient(method: str, discount: float) -> None:
    """Without any sampling: the rule integrates these polynomials exactly, discount and terminal reward included."""
    environment = LQR(horizon=2, discount=discount, initial_mean=0.4, terminal_cost=3.0)
    start = simulator(environment, sigma=0.5)
    points, weights = gauss_hermite(5, normals(environment))
    draws = with_rollout(environment, as_rollout(environment, points))
    found = weights @ gradients(estimator(method), start, draws).flatten(0, 1)
    exact = exact_reference(start).gradient
    torch.testing.assert_close(found, exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("environment", [problem.environment for problem in PROBLEMS], ids=label)
def test_every_estimator_and_noise_level_sees_the_same_noise(environment: Environment) -> None:
    seen = []
    for method, sigma in itertools.product(applicable(environment), (0.1, 1.0)):
        found = estimator(method)
        if hasattr(found, "signal") and not isinstance(found, QuasiMonteCarlo):  # whose point is another noise
            start, draws = simulator(environment, sigma=sigma), noise(environment)
            trajectories, _ = found.signal(start, draws, start.rollout(noise(environment).rollout))
            drawn = slice(SAMPLES)  # antithetic pairs have their mirror images behind
            seen.append((trajectories.action_noise[:, drawn], trajectories.observations[:, drawn, 0]))
    assert len(seen) >= 8
    for action, first in seen[1:]:
        assert torch.equal(action, seen[0][0])
        assert torch.equal(first, seen[0][1])
