"""Compiled kernels and torch mean the same: every estimator gives the same gradients in every environment."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from tests.helpers.by_torch import by_torch

from scorepath import registry
from scorepath.conformance.problems import differ, earlier
from scorepath.engine import engine
from scorepath.environments.base import Environment, make_policy
from scorepath.estimators.base import Estimator
from scorepath.measurement import reduce
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator

torch.set_num_threads(1)

HORIZON = 3
ENVIRONMENTS = registry.names(registry.ENVIRONMENTS)
ESTIMATORS: list[Estimator] = [
    kind(**knobs)
    for kind in (registry.load(registry.ESTIMATORS, name) for name in registry.names(registry.ESTIMATORS))
    for knobs in ({}, *kind.variants)
]


def start(name: str, batches: int) -> Simulator:
    """A network of widths that no vector has, one or one per batch, in generic position."""
    environment: Environment = registry.load(registry.ENVIRONMENTS, name)()
    if "horizon" in {field.name for field in fields(environment)}:
        environment = replace(environment, **{"horizon": HORIZON})
    policy = make_policy(environment, "mlp", (5, 19))
    shape = (batches, policy.parameter_count) if batches else (policy.parameter_count,)
    parameters = 0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return Simulator(environment, policy, parameters, 0.4)


@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
def test_every_estimator_is_the_same(name: str, batches: int) -> None:
    compiled = start(name, batches)
    assert engine(compiled.policy, compiled.parameters)
    plain = by_torch(compiled)
    assert engine(plain.policy, plain.parameters) is None
    noise = Noise(compiled.environment, Stream(4, name, "engine"), range(2), 6, torch.float64)
    for estimator in ESTIMATORS:
        if estimator.not_applicable(compiled.environment, compiled.sigma):
            continue
        found, expected = (
            reduce(estimator.gradients(simulator, noise, earlier(estimator, simulator, noise)))
            for simulator in (compiled, plain)
        )
        assert not differ(found.means, expected.means, 1e-9), estimator
        size = expected.means.square().sum(-1, keepdim=True) + expected.squared_deviations
        assert ((found.squared_deviations - expected.squared_deviations).abs() <= 1e-9 * size).all(), estimator
        assert torch.equal(found.nonfinite, expected.nonfinite), estimator
        assert torch.equal(found.zeros, expected.zeros), estimator
        if batches:
            mean, expected_mean = (
                estimator.estimate(simulator, noise, earlier(estimator, simulator, noise))[0]
                for simulator in (compiled, plain)
            )
            assert not differ(mean, expected_mean, 1e-9), estimator
