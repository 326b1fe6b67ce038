"""Pathwise gradients against torch's reverse mode through the parameters."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from tests.helpers.problems import DIFFERENTIABLE, noise, simulator, system

from scorepath.conformance.problems import gradients
from scorepath.environments.base import Environment
from scorepath.estimators.pathwise import Pathwise


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize(("environment", "kind"), DIFFERENTIABLE, ids=system)
def test_pathwise_is_the_derivative_of_each_return(environment: Environment, kind: str, population: bool) -> None:
    """Signal plus pull-back against torch's reverse mode through the parameters, trajectory by trajectory."""
    start, batches, samples = simulator(environment, kind=kind, batches=3 if population else 0), 3, 2
    draws = noise(environment, batches, samples)
    parameters = start.parameters.clone().requires_grad_()
    returns = replace(start, parameters=parameters).rollout(draws.rollout, differentiable=True).returns
    rows = []
    for batch, sample in itertools.product(range(batches), range(samples)):
        (row,) = torch.autograd.grad(returns[batch, sample], parameters, retain_graph=True)
        rows.append(row[batch] if population else row)
    expected = torch.stack(rows).unflatten(0, (batches, samples))
    torch.testing.assert_close(gradients(Pathwise(), start, draws), expected, rtol=1e-10, atol=1e-12)
