"""An estimator's batches: how many are simulated at a time is a matter of memory, not of numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from tests.helpers.problems import estimator, simulator
from torch import Tensor

from scorepath import registry
from scorepath.conformance.problems import counted
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.pathwise import Pathwise
from scorepath.measurement import (
    batch_statistics,
    sample_batches,
    sample_variances,
    steps_per_sample,
)
from scorepath.moments import reduce_chunk
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator, Trajectories


def test_simulating_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of many batches are those of each batch alone: a chunk is a matter of memory, not of numbers."""
    environment, stream = LQR(horizon=3), Stream(1, "test", "parts")
    start = simulator(environment)
    whole = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    monkeypatch.setattr("scorepath.measurement.TRAJECTORIES_AT_ONCE", 16)
    parts = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    for field in ("means", "trace_variances", "squared_deviations"):
        torch.testing.assert_close(getattr(whole, field), getattr(parts, field), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_samples_have_no_variance_below_zero(dtype: torch.dtype) -> None:
    """What rounding leaves of the difference of two equal squares has either sign."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.rand(256, 1, 32, generator=generator).to(dtype) * 0.4
    found = reduce_chunk(rows.expand(256, 64, 32).contiguous())
    assert (found.squared_deviations >= 0).all()
    assert (found.trace_variances >= 0).all()
    assert found.trace_variances.max() < 1e-10


# --- the variance of a batch's mean -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "sigma"), [("leave_one_out", 0.3), ("pgpe", 0.0)])
def test_samples_that_leave_each_other_out_tell_the_variance_of_their_mean(method: str, sigma: float) -> None:
    """As whole batches do: the mean difference of 4096 is within five standard errors of zero (false alarms: 6e-7).

    The spread within alone is further off than that.
    """
    start, batches, size = simulator(Quadratic(dimension=1, offset=1.0)).with_sigma(sigma), 4096, 4
    found = sample_batches(estimator(method), start, Stream(1, "t", "own"), range(batches), size, torch.float64)
    whole = size * (found.means - found.means.mean(0)).square().sum(-1) * batches / (batches - 1)
    own = sample_variances(estimator(method), start, found)
    assert not torch.equal(own, found.trace_variances)
    error = (whole - own).std() / batches**0.5
    assert (whole - own).mean().abs() < 5 * error
    assert (whole - found.trace_variances).mean() > 5 * (whole - found.trace_variances).std() / batches**0.5


def test_a_fitted_baseline_has_the_spread_within_and_a_fitted_derivative_that_of_batches() -> None:
    start, stream = simulator(LQR(horizon=3)), Stream(1, "t", "fits")
    for method, within in (("state_value_baseline", True), ("generalised_advantage", False), ("pathwise", True)):
        found = sample_batches(estimator(method), start, stream, range(8), 16, torch.float64)
        own = sample_variances(estimator(method), start, found)
        assert torch.equal(own, found.trace_variances) == within
        whole = 16 * found.means.var(0).sum()
        assert within or own.mean().item() == pytest.approx(whole.item())


# --- precision --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Rounded(Pathwise):
    """Loses everything in single precision, in the batches that are large."""

    gain: float = 1.0

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        trajectories, signal = super().signal(simulator, noise, past)
        return trajectories, signal * (self.gain if noise.dtype == torch.float32 else 1.0)


@pytest.mark.parametrize(("gain", "bits"), [(1.0, 32), (1.005, 32), (1.05, 64), (float("nan"), 64), (1e30, 64)])
def test_what_single_precision_spoils_is_measured_in_double(gain: float, bits: int) -> None:
    start = simulator(Quadratic(dimension=1, offset=1.0))
    reference = torch.zeros(1, 1, dtype=torch.float64)
    found, double = (
        batch_statistics(Rounded(gain=gain), start, reference, Stream(1, "t", "bits"), 5, 8, dtype)
        for dtype in (torch.float32, torch.float64)
    )
    assert (found.bits, double.bits) == (bits, 64)
    assert double.float32_relative_error == 0
    if bits == 64:
        assert found.means.tolist() == double.means.tolist()
        assert found.nonfinite_fraction.max() == 0
        assert not found.float32_relative_error < 0.04


# --- costs ---


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
