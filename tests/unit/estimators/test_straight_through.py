"""Straight-through simulates the choices themselves."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.discrete import SEQUENTIAL, TEMPERATURE
from tests.helpers.problems import label, noise, simulator

from scorepath.environments.base import Environment
from scorepath.estimators.straight_through import StraightThrough


@pytest.mark.parametrize("batches", [0, 2], ids=["shared", "population"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("environment", SEQUENTIAL, ids=label)
def test_straight_through_simulates_the_choices(environment: Environment, dtype: torch.dtype, batches: int) -> None:
    start, draws = simulator(environment, TEMPERATURE, batches=batches), noise(environment, 2, 50, dtype=dtype)
    hard, (found, _) = start.rollout(draws.rollout), StraightThrough().signal(start, draws)
    for name in ("actions", "observations", "rewards", "active"):
        left, right = getattr(found, name), getattr(hard, name)
        assert (left is None and right is None) or torch.equal(left, right)
