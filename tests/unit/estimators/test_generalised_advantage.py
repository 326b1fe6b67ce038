"""Generalised advantages against sums of temporal differences written out."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import BATCHES, SAMPLES, SIGMA, earlier, noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.environments.cosine import Cosine
from scorepath.environments.grid import Grid
from scorepath.environments.lqr import LQR
from scorepath.estimators.generalised_advantage import GeneralisedAdvantage
from scorepath.estimators.state_value_baseline import StateValueBaseline


@pytest.mark.parametrize("batches", [0, BATCHES], ids=["shared", "population"])
def test_without_decay_advantages_are_the_state_value_baselines(batches: int) -> None:
    environment = LQR(horizon=5, discount=0.9, process_noise=0.2)
    start, draws = simulator(environment, batches=batches), noise(environment)
    past = earlier(start)
    expected = gradients(StateValueBaseline(), start, draws, past)
    assert_close(gradients(GeneralisedAdvantage(decay=1.0), start, draws, past), expected)
    assert GeneralisedAdvantage(decay=1.0).identical_to(environment, SIGMA) == "state_value_baseline"
    assert GeneralisedAdvantage().identical_to(environment, SIGMA) is None
    assert not torch.allclose(gradients(GeneralisedAdvantage(), start, draws, past), expected, rtol=1e-3)


def test_over_one_step_there_is_nothing_to_decay() -> None:
    environment = Cosine()
    start, draws = simulator(environment), noise(environment)
    past, estimator = earlier(start), GeneralisedAdvantage(decay=0.3)
    found, expected = (gradients(e, start, draws, past) for e in (estimator, StateValueBaseline()))
    assert torch.equal(found, expected)
    assert estimator.unbiased(environment)
    assert estimator.identical_to(environment, SIGMA) == "state_value_baseline"


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.95])
def test_advantages_are_decaying_sums_of_temporal_differences(decay: float) -> None:
    environment = LQR(horizon=5, discount=0.9)
    trajectories = simulator(environment).rollout(noise(environment).rollout)
    values = torch.randn(trajectories.rewards.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = GeneralisedAdvantage(decay=decay).advantages(trajectories, values)
    for t in range(5):
        expected = torch.zeros(BATCHES, SAMPLES, dtype=torch.float64)
        for k in range(t, 5):
            ahead = values[..., k + 1] if k < 4 else 0.0
            expected += decay ** (k - t) * (trajectories.rewards[..., k] + ahead - values[..., k])
        assert_close(found[..., t], expected)


def test_before_any_past_rewards_decay() -> None:
    environment = LQR(horizon=5, discount=0.9)
    start, draws = simulator(environment), noise(environment)
    trajectories, signal = GeneralisedAdvantage(decay=0.5).signal(start, draws)
    weights = torch.tensor([[0.5 ** (k - t) if k >= t else 0.0 for k in range(5)] for t in range(5)]).double()
    assert_close(signal, (trajectories.rewards @ weights.mT)[..., None] * trajectories.score)


def test_values_count_for_nothing_after_an_episodes_end() -> None:
    grid = Grid(horizon=12)
    trajectories = simulator(grid, sigma=1.0).rollout(noise(grid, samples=64).rollout)
    assert trajectories.active is not None
    over = ~trajectories.active
    assert over.any()
    values = torch.ones_like(trajectories.rewards)
    found, expected = (
        GeneralisedAdvantage(decay=0.5).advantages(trajectories, torch.where(over, after, values))
        for after in (7.0, 0.0)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_a_decay_lies_between_none_and_all(decay: float) -> None:
    with pytest.raises(ValueError, match="decay must lie in"):
        GeneralisedAdvantage(decay=decay)
