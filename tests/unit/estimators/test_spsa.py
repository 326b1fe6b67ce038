"""Simultaneous perturbation is exact for one parameter of a quadratic."""

from __future__ import annotations

import torch
from tests.helpers.problems import SIGMA, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.spsa import SPSA


def test_simultaneous_perturbation_is_exact_for_one_parameter_of_a_quadratic() -> None:
    """Every sample is `dR / da`; with more parameters it is `(D . dR / da) D`."""
    for dimension in (1, 3):
        environment = Quadratic(dimension=dimension)
        start, draws = simulator(environment), noise(environment)
        slopes = -2 * (start.parameters - 1.0 + SIGMA * draws.rollout.action[..., 0, :])
        found = gradients(SPSA(), start, draws)
        signs = found.sign() * (found[..., :1].sign())  # D up to its own sign, which cancels
        torch.testing.assert_close(found, (slopes * signs).sum(-1, keepdim=True) * signs, rtol=1e-9, atol=1e-9)
        assert len(signs.flatten(0, 1).unique(dim=0)) == 2 ** (dimension - 1)
