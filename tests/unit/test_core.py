"""Noise, rollouts, pull-backs and estimators against slower ways to the same numbers.

Expectations are sums over Gauss-Hermite nodes, so nothing here has a false-alarm rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tests.helpers.layer_inputs import layer_inputs
from tests.helpers.problems import DIFFERENTIABLE, estimator, label, matrix_lqr, noise, randn, simulator, system
from tests.helpers.rules import as_rollout, gauss_hermite, normals, with_rollout
from tests.helpers.small_studies import small_plan
from torch import Tensor

from scorepath import pullback, registry
from scorepath.adjoint import backpropagate
from scorepath.conformance.problems import gradients
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment
from scorepath.environments.cartpole import CartPole
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.estimators.reinforce import Reinforce
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.policies import Network, OpenLoop, Policy
from scorepath.references.exact import exact_reference
from scorepath.stages.gradients import gradients as measure_cell
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import cell_path

POLICIES = {
    "open_loop": OpenLoop(4, 2),
    "linear": Network((3, 2), bias=False),
    "affine": Network((3, 2)),
    "mlp": Network((3, 7, 5, 2)),
}
METHODS = registry.names(registry.ESTIMATORS)


# --- the pull-back ----------------------------------------------------------------------------------------------


def signal_through_autograd(policy: Policy, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
    """`grad of sum_t <mu_theta(o_t), delta_t>` for every trajectory, by torch.func."""

    def objective(theta: Tensor, rows: Tensor, deltas: Tensor) -> Tensor:
        return sum((policy.mean(theta, rows[t][None], t)[0] * deltas[t]).sum() for t in range(len(rows)))

    of_samples = torch.func.vmap(torch.func.grad(objective), in_dims=(None, 0, 0))
    return torch.func.vmap(of_samples, in_dims=(None if parameters.dim() == 1 else 0, 0, 0))(
        parameters, observations, signal
    )


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("kind", POLICIES)
def test_pull_back_is_the_derivative_of_the_policy(kind: str, population: bool) -> None:
    policy, batches, samples, horizon = POLICIES[kind], 3, 5, 4
    shape = (batches, policy.parameter_count) if population else (policy.parameter_count,)
    parameters = randn(*shape, seed=1)
    observations, signal = randn(batches, samples, horizon, 3, seed=2), randn(batches, samples, horizon, 2, seed=3)
    expected = signal_through_autograd(policy, parameters, observations, signal)
    inputs = layer_inputs(policy, parameters, observations)
    signals = policy.layer_signals(parameters, inputs, signal)
    found = policy.pull_back(inputs, signals)
    assert found.shape == (batches, samples, policy.parameter_count)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    mean = policy.pull_back_mean(inputs, signals)
    torch.testing.assert_close(mean, expected.mean(1), rtol=1e-12, atol=1e-12)


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


@pytest.mark.parametrize(
    "environment", [matrix_lqr(horizon=3, discount=1.0), Pendulum(horizon=3), Chain(horizon=4)], ids=str
)
def test_reinforce_is_the_return_times_the_score_of_the_density(environment: Environment) -> None:
    """The score against autograd of log pi(a | o) at the actions taken, normal or softmax(logits / sigma)."""
    start, samples = simulator(environment, sigma=0.7), 4
    draws = noise(environment, 1, samples)
    trajectories = start.rollout(draws.rollout)
    expected = []
    for sample in range(samples):
        theta = start.parameters.clone().requires_grad_()
        log_density = torch.zeros((), dtype=torch.float64)
        for t in range(environment.horizon):
            mean = start.policy.mean(theta, trajectories.observations[0, sample, t][None], t)[0]
            action = trajectories.actions[0, sample, t]
            if environment.discrete_actions:
                log_density = log_density + torch.log_softmax(mean / start.sigma, -1) @ action
            else:
                log_density = log_density - ((action - mean) / start.sigma).square().sum() / 2
        (score,) = torch.autograd.grad(log_density, theta)
        expected.append(trajectories.returns[0, sample] * score)
    found = gradients(Reinforce(), start, draws)[0]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-9, atol=1e-11)


def applicable(environment: Environment) -> Iterator[str]:
    for method in METHODS:
        if not estimator(method).not_applicable(environment, 0.3):
            yield method


SMALL = [Quadratic(dimension=2), LQR(horizon=6), Pendulum(horizon=6), Chain(horizon=4)]


@pytest.mark.parametrize("method", ["pathwise", "leave_one_out", "evolution_strategies", "inverse_variance"])
def test_chunks_are_bounded_and_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = LQR(horizon=3)
    found, draws, batches, samples = estimator(method), noise(environment, 7, 4), 7, 4
    start = simulator(environment, kind="mlp", batches=batches)
    whole = list(found.gradients(start, draws))
    assert len(whole) == 1
    for limit in (1, 3 * samples * start.policy.parameter_count):
        monkeypatch.setattr(pullback, "CHUNK_ELEMENTS", limit)
        chunks = list(found.gradients(start, draws))
        assert len(chunks) > 1
        # within the limit, or a single batch, which is never divided
        assert all(chunk.numel() <= limit or len(chunk) == 1 for chunk in chunks)
        torch.testing.assert_close(torch.cat(chunks), whole[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("entries", [0, 1, 1999, 2_000_000, 2_000_001, 10**9])
@pytest.mark.parametrize("batches", [1, 5, 4097])
def test_chunks_cover_every_batch_once(batches: int, entries: int) -> None:
    slices = list(pullback.chunks_of_batches(batches, entries))
    assert [b for chunk in slices for b in range(batches)[chunk]] == list(range(batches))
    assert all(
        (chunk.stop - chunk.start) * entries <= pullback.CHUNK_ELEMENTS or chunk.stop - chunk.start == 1
        for chunk in slices
    )


def test_simulating_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics of many batches are those of each batch alone: a chunk is a matter of memory, not of numbers."""
    environment, stream = LQR(horizon=3), Stream(1, "test", "parts")
    start = simulator(environment)
    whole = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    monkeypatch.setattr("scorepath.measurement.TRAJECTORIES_AT_ONCE", 16)
    parts = sample_batches(estimator("state_value_baseline"), start, stream, range(6), 8, torch.float64)
    for field in ("means", "trace_variances", "squared_deviations"):
        torch.testing.assert_close(getattr(whole, field), getattr(parts, field), rtol=1e-11, atol=1e-12)


# --- rollouts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Counter(Environment):
    """Rewards 1, 2, 4 whatever is done, and a terminal reward of 10."""

    source: ClassVar[str] = "test"
    reference_class: ClassVar[str] = "closed_form"

    @property
    def horizon(self) -> int:
        return 3

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state + 1, 2 ** state[..., 0] + 0 * action[..., 0]

    def terminal_reward(self, state: Tensor) -> Tensor:
        assert (state == 3).all()
        return 10 * torch.ones_like(state[..., 0])


def test_discounts_and_the_terminal_reward() -> None:
    trajectories = simulator(Counter(discount=0.8)).rollout(noise(Counter(), 1, 1).rollout)
    rewards = [1.0, 0.8 * 2, 0.64 * 4 + 0.512 * 10]
    torch.testing.assert_close(trajectories.rewards[0, 0], torch.tensor(rewards, dtype=torch.float64))
    assert trajectories.returns.item() == pytest.approx(sum(rewards), rel=1e-12)
    to_go = [sum(rewards[t:]) for t in range(3)]
    torch.testing.assert_close(trajectories.rewards_to_go[0, 0], torch.tensor(to_go, dtype=torch.float64))


@pytest.mark.parametrize("method", ["reinforce", "reward_to_go", "pathwise"])
@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_expectations_are_the_exact_gradient(method: str, discount: float) -> None:
    """Without any sampling: the rule integrates these polynomials exactly, discount and terminal reward included."""
    environment = LQR(horizon=2, discount=discount, initial_mean=0.4, terminal_cost=3.0)
    start = simulator(environment, sigma=0.5)
    points, weights = gauss_hermite(5, normals(environment))
    draws = with_rollout(environment, as_rollout(environment, points))
    found = weights @ gradients(estimator(method), start, draws).flatten(0, 1)
    exact = exact_reference(start).gradient
    torch.testing.assert_close(found, exact, rtol=1e-11, atol=1e-12)


SMOOTH = [
    Quadratic(dimension=2),
    Cosine(),
    Ripple(),
    SoftStep(width=2.0),
    matrix_lqr(),
    AngleDoubling(doublings=3),
    Pendulum(horizon=5),
    CartPole(horizon=5),
    BallWithWall(stiffness=50.0),
]


@pytest.mark.parametrize("environment", SMOOTH, ids=label)
def test_action_gradients_are_finite_differences(environment: Environment) -> None:
    """Total derivatives: a pushed action changes later observations, and the policy answers them."""
    start, draws, step = simulator(environment, sigma=0.3), noise(environment, 1, 4).rollout, 1e-6
    trajectories = start.rollout(draws, differentiable=True)
    found = trajectories.action_gradient(trajectories.returns)
    expected = torch.zeros_like(found)
    for t, coordinate in itertools.product(range(environment.horizon), range(environment.action_dim)):
        ends = []
        for sign in (1, -1):
            action = draws.action.clone()
            action[..., t, coordinate] += sign * step / start.sigma
            ends.append(start.rollout(draws._replace(action=action)).returns)
        expected[..., t, coordinate] = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_window_cuts_credit_at_its_blocks() -> None:
    """With blocks of one step an action is credited with its own reward only; the last one also with the terminal."""
    environment = LQR(horizon=3, process_noise=0.0)
    start, draws = simulator(environment), noise(environment, 1, 2).rollout
    trajectories, found = backpropagate(start, draws, window=1)
    own_cost = -2 * environment.action_cost * trajectories.actions
    torch.testing.assert_close(found[:, :, :2], own_cost[:, :, :2])
    assert not torch.allclose(found[:, :, 2], own_cost[:, :, 2])


def test_without_noise_there_is_no_score() -> None:
    environment = LQR(horizon=2)
    with pytest.raises(ValueError, match="sigma = 0"):
        _ = simulator(environment, sigma=0.0).rollout(noise(environment).rollout).score


# --- common random numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", SMALL, ids=label)
def test_every_estimator_and_noise_level_sees_the_same_noise(environment: Environment) -> None:
    seen = []
    for method, sigma in itertools.product(applicable(environment), (0.1, 1.0)):
        found = estimator(method)
        if hasattr(found, "signal") and not isinstance(found, QuasiMonteCarlo):  # whose point is another noise
            start, draws = simulator(environment, sigma=sigma), noise(environment)
            trajectories, _ = found.signal(start, draws, start.rollout(noise(environment).rollout))
            seen.append((trajectories.action_noise, trajectories.observations[..., 0, :]))
    assert len(seen) >= 8
    for action, first in seen[1:]:
        assert torch.equal(action, seen[0][0])
        assert torch.equal(first, seen[0][1])


@dataclass(frozen=True, kw_only=True)
class Ending(LQR):
    """LQR that is over once the state is positive."""

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0] <= 0


def test_after_an_episodes_end_there_is_no_reward_noise_and_no_signal() -> None:
    environment = Ending(horizon=4, state_cost=0.0, action_cost=0.0, terminal_cost=0.0, reward_noise=1.0)
    start, draws = simulator(environment, sigma=0.5), noise(environment)
    trajectories = start.rollout(draws.rollout)
    active = trajectories.active
    assert active is not None
    assert active.any()
    assert not active.all()
    assert torch.equal(trajectories.rewards != 0, active)
    signal = torch.ones_like(trajectories.action_noise)
    masked = torch.cat(list(pullback.per_trajectory_gradients(trajectories, signal)))
    expected = torch.cat(list(pullback.per_trajectory_gradients(trajectories, signal * active[..., None])))
    assert torch.equal(masked, expected)
    assert not torch.equal(
        masked, torch.cat(list(pullback.per_trajectory_gradients(replace(trajectories, active=None), signal)))
    )


def test_noise_is_a_function_of_its_key_alone() -> None:
    environment = LQR(horizon=3, reward_noise=0.1)

    def draw(seed: int = 1, name: str = "lqr", purpose: str = "gradients/0", replicate: str | int = 0) -> RolloutNoise:
        return Noise(environment, Stream(seed, name, purpose), [replicate], 50).rollout

    base = draw()
    for one, two in zip(base, draw(), strict=True):
        assert torch.equal(one, two)
    others = [
        draw(seed=2),
        draw(seed=11),
        draw(name="lqr_unstable"),
        draw(purpose="gradients/1"),
        draw(purpose="training"),
        draw(replicate=1),
        draw(replicate=10),
        draw(replicate="0/past"),
        draw(seed=1, name="lqr\x1fgradients", purpose="0"),
    ]
    fields = [base, *others]
    for one, two in itertools.combinations(fields, 2):
        for left, right in zip(one, two, strict=True):
            assert not torch.equal(left, right)
            # not a shift, a sign or a scale of each other either: |r| > 0.56 has probability 1e-5 at 50 draws
            rows = torch.stack([left.flatten()[:50], right.flatten()[:50]])
            assert abs(torch.corrcoef(rows)[0, 1].item()) < 0.65
    # the three quantities of one key differ too
    assert not torch.equal(base.initial[0, :, 0], base.process[0, :, 0, 0])
    assert not torch.equal(base.action, base.process)


def test_a_batch_does_not_depend_on_the_others() -> None:
    environment, stream = LQR(horizon=3), Stream(1, "test", "core")
    together = Noise(environment, stream, range(5), 8)
    alone = Noise(environment, stream, [3], 8)
    other_order = Noise(environment, stream, [3, 1, 3], 8)
    for one, two, three in zip(together.rollout, alone.rollout, other_order.rollout, strict=True):
        assert torch.equal(one[3], two[0])
        assert torch.equal(three[0], three[2])
        assert torch.equal(three[1], one[1])
    selected = together.select(slice(2, 4))
    branches = together.draw("branch step", (1,), "uniform")
    assert torch.equal(selected.draw("branch step", (1,), "uniform"), branches[2:4])
    # fewer samples are the first ones of more
    assert torch.equal(Noise(environment, stream, [3], 4).rollout.initial[0], together.rollout.initial[3, :4])


def test_draws_have_their_distributions() -> None:
    """Means and variances of a million draws, within 6 standard errors (false alarms: 2e-9 each)."""
    made = Noise(Chain(horizon=1), Stream(1, "test", "distributions"), [0], 10**6, torch.float64)
    gumbel = made.rollout.action[..., 0, 0]
    for values, mean, variance, fourth in [
        (made.draw("n", ()), 0.0, 1.0, 3.0),
        (made.draw("e", (), "exponential"), 1.0, 1.0, 9.0),
        (made.draw("u", (), "uniform"), 0.5, 1 / 12, 1 / 80),
        (gumbel, 0.5772156649, math.pi**2 / 6, 5.4 * math.pi**4 / 36),
    ]:
        assert abs(values.mean().item() - mean) < 6e-3 * variance**0.5
        assert abs(values.var().item() - variance) < 6e-3 * (fourth - variance**2) ** 0.5
        assert values.isfinite().all()


# --- cells ------------------------------------------------------------------------------------------------------------


def test_other_cells_change_no_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a cell are the same alone and in a larger study, whatever ran before it."""
    results = []
    for number, (estimators, levels) in enumerate(
        [
            (("state_value_baseline",), (0.3,)),
            (("reinforce", "pathwise", "state_value_baseline"), (0.1, 0.3)),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        plan = small_plan(
            [{"name": "lqr", "horizon": 4}],
            estimators=list(estimators),
            noise_levels=list(levels),
            gradients={"samples": 64, "batch_size": 8},
        )
        reference_policies(plan, "lqr")
        for sigma in levels:
            reference(plan, "lqr", sigma)
            for method in estimators:
                measure_cell(plan, "lqr", method, sigma)
        results.append((folder / cell_path("gradients", "lqr", "state_value_baseline", 0.3)).read_bytes())
    assert results[0] == results[1]
    assert results[0].count(b"\n") == 1 + 2 * 8


# --- precision --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", SMALL, ids=label)
def test_both_precisions_see_the_same_noise(environment: Environment) -> None:
    single, double = noise(environment, dtype=torch.float32), noise(environment)
    for one, two in zip(single.rollout, double.rollout, strict=True):
        torch.testing.assert_close(one.double(), two, rtol=1e-6, atol=1e-6)
