"""Where derivatives are not finite, every way of going back in time gives what torch's graph of the rollout gives.

That is nan where the graph has nan, infinity where it has infinity, and elsewhere the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import pytest
import torch
from tests.helpers.edges import EDGES, Edge
from tests.helpers.problems import noise
from torch import Tensor

from scorepath import adjoint
from scorepath.adjoint import backpropagate, linearise
from scorepath.environments.base import make_policy
from scorepath.estimators._mixture import total_propagation
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator

SIGMA = 0.5
EVERYWHERE = 10**9
edges = pytest.mark.parametrize("name", EDGES)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
kinds = pytest.mark.parametrize("kind", ["linear", "open_loop"])


def start(environment: Edge, dtype: torch.dtype, kind: str, samples: int = 20) -> tuple[Simulator, RolloutNoise]:
    """A policy that pulls the state to 0 now and then, and two batches."""
    policy = make_policy(environment, kind)
    parameters = torch.full((policy.parameter_count,), -0.15, dtype=torch.float64)
    draws = noise(environment, batches=2, samples=samples, dtype=dtype).rollout
    return Simulator(environment, policy, parameters, SIGMA), draws


def of_rewards(simulator: Simulator, draws: RolloutNoise, ends: list[int]) -> Tensor:
    """The derivative of `rewards[t] + ... + rewards[ends[t] - 1]` by the policy's output at step t.

    Each by a graph of a rollout that ends there: a later reward with a weight of 0 would be one that nan comes from.
    """
    signals = []
    for t, end in enumerate(ends):
        environment = replace(cast(Edge, simulator.environment), horizon=end)
        shorter = Simulator(environment, simulator.policy, simulator.parameters, simulator.sigma)
        trajectories = shorter.rollout(draws, differentiable=True)
        signals.append(trajectories.action_gradient(trajectories.returns)[:, :, t])
    return torch.stack(signals, dim=2)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """But for rounding, which long products of steep slopes amplify."""
    finite = expected.isfinite()
    assert torch.equal(found.isfinite(), finite)
    assert torch.equal(found.isnan(), expected.isnan())
    tolerance = 1e-2 if found.dtype == torch.float32 else 1e-9
    torch.testing.assert_close(found[finite], expected[finite], rtol=tolerance, atol=tolerance)


def both_ways(monkeypatch: pytest.MonkeyPatch, signal: Callable[[], Tensor]) -> list[Tensor]:
    """With a graph of the whole rollout, and with linearised steps."""
    found = []
    for most in (0, EVERYWHERE):
        monkeypatch.setattr(adjoint, "MOST_DERIVATIVES", most)
        found.append(signal())
    return found


def test_the_edges_are_met() -> None:
    """At the edges of which the graph knows nothing a linearisation is not finite, except where torch defines 0."""
    for name, environment in EDGES.items():
        simulator, draws = start(environment, torch.float32, "linear")
        _, (steps,) = linearise(simulator, draws)
        fields = ("reward_by_state", "reward_by_mean", "next_by_state", "next_by_mean", "mean_by_state")
        finite = all(getattr(steps, field).isfinite().all() for field in fields)
        assert finite == (name in ("vector_norm", "atan2", "explosion")), name


@edges
@kinds
@dtypes
def test_backpropagation(name: str, dtype: torch.dtype, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, draws = start(EDGES[name], dtype, kind)
    trajectories = simulator.rollout(draws, differentiable=True)
    expected = trajectories.action_gradient(trajectories.returns)
    for found in both_ways(monkeypatch, lambda: backpropagate(simulator, draws)[1]):
        assert_same(found, expected)


@edges
@kinds
@dtypes
def test_windows(name: str, dtype: torch.dtype, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed blocks and sliding windows."""
    environment, window = EDGES[name], 3
    simulator, draws = start(environment, dtype, kind)
    horizon = environment.horizon
    blocks = of_rewards(simulator, draws, [min(horizon, (t // window + 1) * window) for t in range(horizon)])
    for found in both_ways(monkeypatch, lambda: backpropagate(simulator, draws, window=window)[1]):
        assert_same(found, blocks)
    _, parts = linearise(simulator, draws)
    sliding = of_rewards(simulator, draws, [min(horizon, t + window) for t in range(horizon)])
    assert_same(torch.cat([part.sliding(window) for part in parts]), sliding)


@edges
@dtypes
def test_values_at_the_cuts(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways agree where a value takes the place of what is cut off."""
    simulator, draws = start(EDGES[name], dtype, "linear")
    graph, steps = both_ways(
        monkeypatch, lambda: backpropagate(simulator, draws, window=3, value=lambda ends: ends.square())[1]
    )
    assert_same(steps, graph)


@edges
@dtypes
@pytest.mark.parametrize("at", ["action", "state"])
def test_total_propagation(name: str, dtype: torch.dtype, at: str) -> None:
    """It is a graph of the rollout whose backward pass is met by a mixture at every step."""
    environment = EDGES[name]
    simulator, draws = start(environment, dtype, "linear")
    generator = torch.Generator().manual_seed(4)
    weights = torch.rand(2, environment.horizon, generator=generator, dtype=dtype)
    score = torch.randn(2, 20, environment.horizon, 2, generator=generator, dtype=dtype)
    _, parts = linearise(simulator, draws)
    found, _ = total_propagation(parts, at, score, weights)  # type: ignore[arg-type]

    trajectories = simulator.rollout(draws, differentiable=True, keep_steps=True)
    objective = trajectories.returns.sum()
    signals = torch.empty_like(found)

    def mix(t: int, derivative: Tensor) -> Tensor:
        k = weights[:, t, None, None]
        return k * derivative + (1 - k) * score[:, :, t]

    def note(t: int, signal: Tensor) -> None:
        signals[:, :, t] = signal

    for t, (mean, state) in enumerate(zip(trajectories.means, trajectories.states[1:], strict=True)):
        mixed = mean if at == "action" else state
        mixed.register_hook(partial(mix, t))
        mean.register_hook(partial(note, t))  # after what mixes
        # a mixture has its second part where there is no derivative, too
        objective = objective + (0 * mixed).sum() + (0 * mean).sum()
    objective.backward()
    assert_same(found, signals)


@dtypes
@pytest.mark.parametrize("name", ["guarded sqrt", "early end"])
def test_trajectories_have_the_same_signals_in_any_company(name: str, dtype: torch.dtype) -> None:
    """On either side of the number of trajectories that decides which way is taken."""
    environment = EDGES[name]
    many = adjoint.MOST_DERIVATIVES // environment.state_dim**2 // 2 + 1
    simulator, draws = start(environment, dtype, "linear", many)
    few = RolloutNoise(*(each[:, :50] for each in draws))
    assert_same(backpropagate(simulator, few)[1], backpropagate(simulator, draws)[1][:, :50])
