"""Estimators for discrete actions in common: expectations over every history, and where they apply.

Nothing here has a false-alarm rate.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from tests.helpers.discrete import TEMPERATURE, Bandit
from tests.helpers.problems import label, simulator
from tests.helpers.rules import listed
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments._tabular import TabularEnvironment
from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.estimators.all_action import AllAction
from scorepath.estimators.base import ActionSignalEstimator, Estimator
from scorepath.estimators.categorical_measure_valued import CategoricalMeasureValued
from scorepath.estimators.gumbel_softmax import GumbelSoftmax
from scorepath.estimators.reinforce import Reinforce
from scorepath.estimators.straight_through import StraightThrough
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

SMALL: list[TabularEnvironment] = [
    Bandit(),
    Chain(states=3, horizon=3, slip=0.3, left_reward=0.4, discount=0.8),
    Grid(rows=2, columns=2, horizon=2, slip=0.3, discount=0.8),
    Grid(rows=2, columns=3, horizon=2, slip=0.3, cliff=True, discount=0.8),
]


def expectation(estimator: ActionSignalEstimator, start: Simulator) -> Tensor:
    """The expected gradient of each batch, (batches, P): over first and second choices, slips and branching steps.

    For an open-loop policy, whose logits are the same in every branch. Choices are forced by Gumbel noise 20 apart; how
    likely they are is then read off the rollout: by Plackett and Luce the best and the second best of the perturbed
    logits are a and b with probability `pi_a pi_b / (1 - pi_a)`.
    """
    environment = start.environment
    assert isinstance(environment, TabularEnvironment)
    horizon, count, alternatives = environment.horizon, environment.action_dim, len(environment.slips)
    shares = [environment.slip / alternatives] * alternatives + [1 - environment.slip]
    outcomes = torch.tensor(shares, dtype=torch.float64)
    middles = outcomes.cumsum(0) - outcomes / 2
    history = itertools.product(
        itertools.product(itertools.permutations(range(count), 2), repeat=horizon),
        itertools.product(outcomes.nonzero()[:, 0].tolist(), repeat=horizon),
        range(horizon),
    )
    rankings, slips, steps = (torch.tensor(values) for values in zip(*history, strict=True))
    gumbel = 40.0 * torch.nn.functional.one_hot(rankings[..., 0], count)
    gumbel = gumbel + 20.0 * torch.nn.functional.one_hot(rankings[..., 1], count)
    draws = listed(
        environment,
        len(start.parameters),
        action=torch.exp(-gumbel.double()),
        process=torch.special.ndtri(middles[slips])[..., None],
        branch_step=(steps[:, None] + 0.5) / horizon,
    )
    chosen = start.rollout(draws.rollout).choice_probabilities
    assert chosen is not None
    first, second = (chosen.take_along_dim(rankings[None, :, :, k, None], -1)[..., 0] for k in (0, 1))
    weights = (first * second / (1 - first)).prod(-1) * outcomes[slips].prod(-1) / horizon
    torch.testing.assert_close(weights.sum(1), torch.ones(len(start.parameters), dtype=torch.float64))
    return (weights[..., None] * gradients(estimator, start, draws)).sum(1)


@pytest.mark.parametrize("environment", SMALL, ids=label)
@pytest.mark.parametrize("estimator", [Reinforce(), AllAction(), CategoricalMeasureValued()], ids=label)
def test_the_mean_over_every_history_is_the_exact_gradient(
    estimator: ActionSignalEstimator, environment: TabularEnvironment
) -> None:
    start = simulator(environment, TEMPERATURE, batches=2, kind="open_loop")
    exact = [exact_reference(replace(start, parameters=theta)).gradient for theta in start.parameters]
    assert min(gradient.norm() for gradient in exact) > 0.01
    torch.testing.assert_close(expectation(estimator, start), torch.stack(exact), rtol=1e-11, atol=1e-13)


@dataclass(frozen=True, kw_only=True)
class Rigid(Chain):
    relaxed_actions: ClassVar[bool] = False


@pytest.mark.parametrize(
    "estimator", [AllAction(), CategoricalMeasureValued(), GumbelSoftmax(), StraightThrough()], ids=label
)
def test_where_they_do_not_apply(estimator: Estimator) -> None:
    assert estimator.not_applicable(LQR(), 0.3) == "actions are continuous"
    assert estimator.not_applicable(Chain(), 0.3) is None
    assert "without action noise" in (estimator.not_applicable(Chain(), 0.0) or "")
    relaxes = estimator in (GumbelSoftmax(), StraightThrough())
    assert estimator.not_applicable(Rigid(), 0.3) == ("no relaxation of discrete actions" if relaxes else None)
    assert estimator.unbiased(Chain()) == (not relaxes)
