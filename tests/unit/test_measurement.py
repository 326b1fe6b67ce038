"""An estimator's batches: how many are simulated at a time is a matter of memory, not of numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.helpers.problems import estimator, simulator

from scorepath import registry
from scorepath.conformance.problems import counted
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.measurement import sample_batches, steps_per_sample
from scorepath.noise import Stream


def test_simulating_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of many batches are those of each batch alone: a chunk is a matter of memory, not of numbers."""
    environment, stream = LQR(horizon=3), Stream(1, "test", "parts")
    start = simulator(environment)
    whole = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    monkeypatch.setattr("scorepath.measurement.TRAJECTORIES_AT_ONCE", 16)
    parts = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    for field in ("means", "trace_variances", "squared_deviations"):
        torch.testing.assert_close(getattr(whole, field), getattr(parts, field), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", registry.names(registry.ESTIMATORS))
def test_what_is_charged_is_what_is_simulated(name: str) -> None:
    """Every step counts, those of the pilot too; a restarted simulator would be spared a branch's start."""
    environment: Environment = LQR(horizon=6, process_noise=0.1)
    method = estimator(name)
    if method.not_applicable(environment, 0.5):
        environment = Chain(states=3, horizon=6)
    if method.not_applicable(environment, 0.5):
        pytest.skip("it exists in neither environment")
    steps: list[torch.Tensor] = []
    start = simulator(environment, sigma=0.5)
    counting = replace(start, environment=counted(environment, steps))
    sample_batches(method, counting, Stream(1, "test", "charges"), range(4), 8, torch.float64)
    taken = torch.cat(steps)
    if method.needs_relaxed_actions or not environment.discrete_actions:  # a step that is linearised is called twice
        taken = torch.unique(taken.round(decimals=9), dim=0)
    simulated, charged = len(taken) / (4 * 8), steps_per_sample(method, environment)
    if charged % environment.horizon:  # branches are replayed from the start here
        assert environment.horizon < charged < simulated
    else:
        assert charged == simulated
