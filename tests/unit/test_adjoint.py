"""Derivatives of all steps at once against the graph of the whole rollout, to rounding.

Where derivatives are not finite, that is nan where the graph has nan and infinity where it has infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import pytest
import torch
from tests.helpers.by_torch import torch_steps
from tests.helpers.edges import EDGES, Edge
from tests.helpers.ending_episodes import Fall
from tests.helpers.problems import BATCHES, matrix_lqr, noise, simulator, system
from torch import Tensor

from scorepath import adjoint, pullback
from scorepath.adjoint import Derivatives, backpropagate, linearise
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cartpole import CartPole
from scorepath.environments.chain import Chain
from scorepath.environments.double_pendulum import DoublePendulum
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.hopper import Hopper
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators._mixture import total_propagation
from scorepath.estimators.gumbel_softmax import GumbelSoftmax
from scorepath.estimators.straight_through import StraightThrough
from scorepath.noise import RolloutNoise
from scorepath.rollout import Simulator

HORIZON = 6
pytestmark = pytest.mark.usefixtures("every_step_compiled")
CASES: list[tuple[Environment, str, Callable[[Tensor], Tensor] | None]] = [
    (matrix_lqr(HORIZON, process_noise=0.1, reward_noise=0.2), "linear", None),
    (matrix_lqr(HORIZON), "open_loop", None),
    (Fall(horizon=HORIZON, initial_mean=0.5), "linear", None),
    (Pendulum(horizon=HORIZON, process_noise=0.1), "mlp", None),
    (CartPole(horizon=HORIZON, discount=0.9), "mlp", None),
    (DoublePendulum(horizon=HORIZON), "mlp", None),
    (Hopper(horizon=HORIZON), "mlp", None),
    (RandomWalkDigital(horizon=HORIZON), "open_loop", None),
    (FourierField(dimension=3), "open_loop", None),
    (UniformSupport(), "open_loop", None),
    (Chain(horizon=HORIZON), "linear", GumbelSoftmax().relax),
    (Chain(horizon=HORIZON), "linear", StraightThrough().relax),
]
cases = pytest.mark.parametrize(("environment", "kind", "relax"), CASES, ids=system)
populations = pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])


def start(environment: Environment, kind: str, population: bool) -> tuple[Simulator, RolloutNoise]:
    """A policy, or one for each batch, and the noise of three batches of five."""
    return simulator(environment, kind=kind, batches=BATCHES * population), noise(environment, samples=5).rollout


def by_graph(
    simulator: Simulator, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None, ends: list[int]
) -> Tensor:
    """The derivative of `rewards[t] + ... + rewards[ends[t] - 1]` by the policy's output at step t."""
    signals = []
    for t, end in enumerate(ends):
        trajectories = simulator.rollout(draws, differentiable=True, relax=relax)
        signals.append(trajectories.action_gradient(trajectories.rewards[..., t:end])[:, :, t])
    return torch.stack(signals, dim=2)


@populations
@cases
@pytest.mark.parametrize("window", [1, 2, 4, HORIZON])
def test_windows_credit_the_rewards_that_they_hold(
    environment: Environment, kind: str, relax: Callable[[Tensor], Tensor] | None, population: bool, window: int
) -> None:
    """A window as wide as the horizon is the whole derivative."""
    simulator, draws = start(environment, kind, population)
    _, (steps,) = linearise(simulator, draws, relax)
    horizon = environment.horizon
    blocks = [min(horizon, (t // window + 1) * window) for t in range(horizon)]
    sliding = [min(horizon, t + window) for t in range(horizon)]
    for found, ends in ((steps.pathwise(window), blocks), (steps.sliding(window), sliding)):
        torch.testing.assert_close(found, by_graph(simulator, draws, relax, ends), rtol=1e-9, atol=1e-11)


@populations
@cases
def test_some_batches_at_a_time(
    environment: Environment,
    kind: str,
    relax: Callable[[Tensor], Tensor] | None,
    population: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The derivatives of a batch do not depend on how many are formed together."""
    simulator, draws = start(torch_steps(environment), kind, population)
    trajectories, (whole,) = linearise(simulator, draws, relax)
    bridge = torch.stack(list(trajectories.states[::2]))
    monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", 1)
    parts = list(linearise(simulator, draws, relax)[1])
    assert [part.batches for part in parts] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    signals: tuple[Callable[[Derivatives], Tensor], ...] = (lambda part: part.pathwise(), lambda part: part.sliding(2))
    for signal in signals:
        torch.testing.assert_close(torch.cat([signal(part) for part in parts]), signal(whole), rtol=1e-9, atol=1e-11)
    bridged = torch.cat([part.pathwise(2, bridge) for part in parts])
    torch.testing.assert_close(bridged, whole.pathwise(2, bridge), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("window", "value"), [(None, None), (2, None), (2, torch.square), (HORIZON, torch.square)])
@populations
@cases
def test_both_ways_give_the_same_trajectories_and_signals(
    environment: Environment,
    kind: str,
    relax: Callable[[Tensor], Tensor] | None,
    population: bool,
    window: int | None,
    value: Callable[[Tensor], Tensor] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever the number of trajectories selects, with what takes the place of the rest; no graph is left behind."""
    simulator, draws = start(environment, kind, population)
    found = []
    for most in (0, 10**9):
        monkeypatch.setattr(adjoint, "MOST_DERIVATIVES", most)
        trajectories, signal = backpropagate(simulator, draws, window=window, value=value, relax=relax)
        assert not trajectories.returns.requires_grad
        assert not signal.requires_grad
        found.append((trajectories.returns, trajectories.actions, signal))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_a_window_cuts_credit_at_its_blocks() -> None:
    """With blocks of one step an action is credited with its own reward only; the last one also with the terminal."""
    environment = LQR(horizon=3, process_noise=0.0)
    start, draws = simulator(environment), noise(environment, 1, 2).rollout
    trajectories, found = backpropagate(start, draws, window=1)
    own_cost = -2 * environment.action_cost * trajectories.actions
    torch.testing.assert_close(found[:, :, :2], own_cost[:, :, :2])
    assert not torch.allclose(found[:, :, 2], own_cost[:, :, 2])


# --- where derivatives are not finite ---------------------------------------------------------------------------------

EVERYWHERE = 10**9
edges = pytest.mark.parametrize("name", EDGES)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
kinds = pytest.mark.parametrize("kind", ["linear", "open_loop"])


def at_edges(
    environment: Environment, dtype: torch.dtype, kind: str, samples: int = 20
) -> tuple[Simulator, RolloutNoise]:
    """A policy that pulls the state to 0 now and then, and two batches."""
    if environment is EDGES["explosion"]:  # where two ways of rounding have nothing in common
        environment = torch_steps(environment)
    policy = make_policy(environment, kind)
    parameters = torch.full((policy.parameter_count,), -0.15, dtype=torch.float64)
    draws = noise(environment, batches=2, samples=samples, dtype=dtype).rollout
    return Simulator(environment, policy, parameters, 0.5), draws


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
        simulator, draws = at_edges(torch_steps(environment), torch.float32, "linear")
        _, (steps,) = linearise(simulator, draws)
        fields = ("reward_by_state", "reward_by_mean", "next_by_state", "next_by_mean", "mean_by_state")
        finite = all(getattr(steps, field).isfinite().all() for field in fields)
        assert finite == (name in ("vector_norm", "atan2", "explosion")), name


@edges
@kinds
@dtypes
def test_backpropagation_at_edges(name: str, dtype: torch.dtype, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, draws = at_edges(EDGES[name], dtype, kind)
    trajectories = simulator.rollout(draws, differentiable=True)
    expected = trajectories.action_gradient(trajectories.returns)
    for found in both_ways(monkeypatch, lambda: backpropagate(simulator, draws)[1]):
        assert_same(found, expected)


@edges
@kinds
@dtypes
def test_windows_at_edges(name: str, dtype: torch.dtype, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed blocks and sliding windows."""
    environment, window = EDGES[name], 3
    simulator, draws = at_edges(environment, dtype, kind)
    horizon = environment.horizon
    blocks = of_rewards(simulator, draws, [min(horizon, (t // window + 1) * window) for t in range(horizon)])
    for found in both_ways(monkeypatch, lambda: backpropagate(simulator, draws, window=window)[1]):
        assert_same(found, blocks)
    _, parts = linearise(simulator, draws)
    sliding = of_rewards(simulator, draws, [min(horizon, t + window) for t in range(horizon)])
    assert_same(torch.cat([part.sliding(window) for part in parts]), sliding)


@edges
@dtypes
def test_values_at_the_cuts_of_edges(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways agree where a value takes the place of what is cut off."""
    simulator, draws = at_edges(EDGES[name], dtype, "linear")
    graph, steps = both_ways(
        monkeypatch, lambda: backpropagate(simulator, draws, window=3, value=lambda ends: ends.square())[1]
    )
    assert_same(steps, graph)


@edges
@dtypes
@pytest.mark.parametrize("at", ["action", "state"])
def test_total_propagation_at_edges(name: str, dtype: torch.dtype, at: str) -> None:
    """It is a graph of the rollout whose backward pass is met by a mixture at every step."""
    environment = EDGES[name]
    simulator, draws = at_edges(environment, dtype, "linear")
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


def test_populations_at_edges_some_batches_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch with its own policy, and its own decision which way is taken."""
    simulator, draws = at_edges(EDGES["guarded sqrt"], torch.float64, "linear")
    parameters = torch.stack([simulator.parameters, simulator.parameters + 2.0])  # the second stays off the edge
    simulator = Simulator(simulator.environment, simulator.policy, parameters, simulator.sigma)
    trajectories = simulator.rollout(draws, differentiable=True)
    expected = trajectories.action_gradient(trajectories.returns)
    monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", 1)
    assert_same(backpropagate(simulator, draws)[1], expected)


@dtypes
@pytest.mark.parametrize("name", ["guarded sqrt", "early end"])
def test_trajectories_have_the_same_signals_in_any_company(name: str, dtype: torch.dtype) -> None:
    """On either side of the number of trajectories that decides which way is taken."""
    environment = EDGES[name]
    many = adjoint.MOST_DERIVATIVES // environment.state_dim**2 // 2 + 1
    simulator, draws = at_edges(environment, dtype, "linear", many)
    few = RolloutNoise(*(each[:, :50] for each in draws))
    assert_same(backpropagate(simulator, few)[1], backpropagate(simulator, draws)[1][:, :50])
