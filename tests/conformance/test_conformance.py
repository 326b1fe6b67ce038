"""Every environment and every estimator that exists conforms, in every instance that its class lists."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scorepath import registry
from scorepath.conformance import check_environment, check_estimator, check_expectations
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment
from scorepath.environments.cartpole import CartPole
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.estimators.base import Estimator

torch.set_num_threads(1)


def instances(package: str) -> list[Any]:
    """The default instance of each class in a package and its `variants`, as parameters of a test."""
    found = []
    for name in registry.names(package):
        kind = registry.load(package, name)
        for number, knobs in enumerate(({}, *kind.variants)):
            label = f"{name}-{number}" if number else name
            try:
                found.append(pytest.param(kind(**knobs), id=label))
            except ValueError as error:
                if "pip install --editable" not in str(error):
                    raise
                found.append(pytest.param(None, id=label, marks=pytest.mark.skip(str(error))))
    return found


MATRICES: dict[str, Any] = {"dynamics": [[1.0, 0.1], [-0.2, 0.9]], "control": [[0.1, 0.0], [0.3, 0.5]]}
OTHERS: list[Environment] = [  # of other sizes, and with noise, than those listed
    Quadratic(dimension=3, offset=0.2),
    SoftStep(width=0.5),
    LQR(horizon=4, process_noise=0.0, discount=0.8, **MATRICES),
    Pendulum(process_noise=0.1),
    CartPole(process_noise=0.1),
    BallWithWall(stiffness=10.0),
]
ENVIRONMENTS = [*instances(registry.ENVIRONMENTS), *(pytest.param(each, id=repr(each)) for each in OTHERS)]
ESTIMATORS = instances(registry.ESTIMATORS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_environment(environment: Environment) -> None:
    assert check_environment(environment) == []


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimator(estimator: Estimator) -> None:
    assert check_estimator(estimator) == []


def has_its_own_claim(estimator: Estimator) -> bool:
    """Whether tests/statistical, which tries default instances that are unbiased, leaves something to be seen."""
    return estimator != type(estimator)() or type(estimator).expectation is not Estimator.expectation


@pytest.mark.statistical
@pytest.mark.parametrize("estimator", [each for each in ESTIMATORS if has_its_own_claim(each.values[0])])
def test_expectation(estimator: Estimator) -> None:
    assert check_expectations(estimator) == []


def test_all_kinds_are_there() -> None:
    """The discovery above sees what it should: a package that it cannot read would pass every test."""
    assert len(ENVIRONMENTS) >= 20
    assert len(ESTIMATORS) >= 30
    environments = [parameter.values[0] for parameter in ENVIRONMENTS]
    for declared in ("discrete_actions", "moving_support", "terminal_reward_only", "relaxed_actions"):
        assert any(getattr(environment, declared) for environment in environments), declared
