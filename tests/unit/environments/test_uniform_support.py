"""Where the support of the actions moves the score function has the wrong sign."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.problems import at
from tests.helpers.rules import as_rollout, with_rollout

from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.noise import action_noise
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("offset", [0.0, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.5, -0.4])
def test_the_score_function_has_the_wrong_sign_where_the_support_moves(offset: float, mean: float) -> None:
    environment, sigma = UniformSupport(offset=offset), 1 / math.sqrt(3)
    middles = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    draws = as_rollout(environment, action_noise(environment, middles).unsqueeze(-1))
    simulator = at(environment, mean, sigma)
    # the action is uniform on (0, 2 (1 + mu))
    torch.testing.assert_close(simulator.rollout(draws).actions.flatten(), 2 * (1 + mean) * middles)
    exact = exact_reference(simulator)
    assert exact.objective == pytest.approx(1 + mean - offset)
    assert exact.gradient.tolist() == [1.0]
    means = {
        kind: kind().estimate(simulator, with_rollout(environment, draws))[0].item() for kind in (Pathwise, Reinforce)
    }
    assert means[Pathwise] == pytest.approx(1.0, rel=1e-12)
    assert means[Reinforce] == pytest.approx(-1.0 + offset / (1 + mean), rel=1e-12, abs=1e-12)
    assert Pathwise().unbiased(environment)
    assert not Reinforce().unbiased(environment)
