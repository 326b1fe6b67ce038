"""Compiled kernels and torch mean the same: every estimator gives the same gradients in every environment."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from tests.helpers.by_torch import by_torch
from torch import Tensor

from scorepath import registry
from scorepath.conformance.problems import earlier
from scorepath.engine import engine
from scorepath.environments.base import Environment, make_policy
from scorepath.estimators.base import Estimator
from scorepath.estimators.boundary_corrected import BoundaryCorrected
from scorepath.measurement import reduce
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator

torch.set_num_threads(1)

HORIZON = 2
pytestmark = pytest.mark.usefixtures("every_step_compiled")
ENVIRONMENTS = registry.names(registry.ENVIRONMENTS)
ESTIMATORS: list[Estimator] = [
    registry.load(registry.ESTIMATORS, name)() for name in registry.names(registry.ESTIMATORS)
]
POPULATIONS = ("chain", "lqr", "pendulum")


def start(name: str, batches: int) -> Simulator:
    """A network of widths that no vector has, one or one per batch, in generic position."""
    environment: Environment = registry.load(registry.ENVIRONMENTS, name)()
    if "horizon" in {field.name for field in fields(environment)}:
        environment = replace(environment, **{"horizon": HORIZON})
    policy = make_policy(environment, "mlp", (5, 19))
    shape = (batches, policy.parameter_count) if batches else (policy.parameter_count,)
    parameters = 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Simulator(environment, policy, parameters, 0.4)


@pytest.mark.parametrize(
    ("name", "batches"), [*((name, 0) for name in ENVIRONMENTS), *((name, 2) for name in POPULATIONS)]
)
def test_every_estimator_is_the_same(name: str, batches: int) -> None:
    compiled = start(name, batches)
    assert engine(compiled.policy, compiled.parameters)
    plain = by_torch(compiled)
    assert engine(plain.policy, plain.parameters) is None
    noise = Noise(compiled.environment, Stream(4, name, "engine"), range(2), 4, torch.float64)
    for estimator in ESTIMATORS:
        if estimator.not_applicable(compiled.environment, compiled.sigma) or isinstance(estimator, BoundaryCorrected):
            continue  # the latter is for open-loop policies
        found, expected = (
            reduce(estimator.gradients(simulator, noise, earlier(estimator, simulator, noise)))
            for simulator in (compiled, plain)
        )
        size = 1e-6 + expected.squared_deviations.nan_to_num(0.0).max().sqrt().item()
        assert_same(found.means, expected.means, size, estimator)
        assert_same(found.squared_deviations, expected.squared_deviations, size**2, estimator)
        assert torch.equal(found.nonfinite, expected.nonfinite), estimator
        if batches:
            mean, expected_mean = (
                estimator.estimate(simulator, noise, earlier(estimator, simulator, noise))[0]
                for simulator in (compiled, plain)
            )
            assert_same(mean, expected_mean, size, estimator)


def assert_same(found: Tensor, expected: Tensor, size: float, estimator: Estimator) -> None:
    """But for rounding, relative to the size of gradients and of what they are made of; the same is not finite."""
    size = max(size, expected.nan_to_num(0.0, 0.0, 0.0).abs().max().item())
    torch.testing.assert_close(
        found, expected, rtol=0, atol=1e-9 * size, equal_nan=True, msg=lambda text: f"{estimator}: {text}"
    )
