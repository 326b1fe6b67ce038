"""Clipping shortens long gradients only."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.estimators.clipped_pathwise import ClippedPathwise
from scorepath.estimators.pathwise import Pathwise


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
def test_clipping_shortens_long_gradients_only(population: bool) -> None:
    environment, limit = Pendulum(horizon=10), 10.0
    start, draws = simulator(environment, batches=3 * population), noise(environment, samples=40)
    whole = gradients(Pathwise(), start, draws)
    clipped = gradients(ClippedPathwise(limit=limit), start, draws)
    norms = whole.norm(dim=-1)
    assert 10 < (norms > limit).sum() < norms.numel() - 10
    torch.testing.assert_close(clipped.norm(dim=-1), norms.clamp_max(limit), rtol=1e-12, atol=0)
    assert torch.equal(clipped[norms <= limit], whole[norms <= limit])
    directions = (clipped * whole).sum(-1) / (norms * clipped.norm(dim=-1))
    torch.testing.assert_close(directions, torch.ones_like(directions))


def test_clipping_leaves_a_gradient_of_zero_alone() -> None:
    environment = Step()
    assert (gradients(ClippedPathwise(), simulator(environment), noise(environment)) == 0).all()
