"""The pathwise family against slower ways to the same numbers; expectations are sums over nodes, not samples."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from tests.helpers.problems import at, earlier, label, matrix_lqr, noise, simulator, system
from torch import Tensor

from scorepath.conformance.problems import gradients
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment
from scorepath.environments.cartpole import CartPole
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.estimators.base import ActionSignalEstimator, Estimator
from scorepath.estimators.boundary_corrected import BoundaryCorrected
from scorepath.estimators.clipped_pathwise import ClippedPathwise
from scorepath.estimators.deterministic_policy_gradient import DeterministicPolicyGradient
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.short_horizon_value import ShortHorizonValue
from scorepath.estimators.smoothed_pathwise import SmoothedPathwise
from scorepath.estimators.truncated_pathwise import TruncatedPathwise
from scorepath.estimators.windowed_pathwise import WindowedPathwise
from scorepath.references.exact import exact_reference
from scorepath.references.quadrature import decision_return


def expectation(found: Estimator, environment: Environment, mean: float, sigma: float, nodes: int = 2**16) -> float:
    """Of the gradient of one decision, by the midpoint rule over the action noise; exact to about 1 / nodes."""
    edges = torch.linspace(-9, 9, nodes + 1, dtype=torch.float64)
    eps = (edges[1:] + edges[:-1]) / 2
    weights = torch.exp(-eps.square() / 2) * (18 / nodes) / math.sqrt(2 * math.pi)
    draws = noise(environment, 1, nodes)
    draws.__dict__["rollout"] = draws.rollout._replace(action=eps.reshape(1, nodes, 1, 1))
    start = at(environment, mean, sigma)
    return (weights @ gradients(found, start, draws)[0, :, 0]).item()


# --- sliding windows ----------------------------------------------------------------------------------------------

SEQUENTIAL = [
    (matrix_lqr(horizon=6), "linear"),
    (matrix_lqr(horizon=6), "open_loop"),
    (AngleDoubling(doublings=6), "open_loop"),
    (Pendulum(horizon=6, process_noise=0.1, reward_noise=0.5), "mlp"),
    (CartPole(horizon=6, discount=0.9), "mlp"),
]


@pytest.mark.parametrize("population", [False, True], ids=["shared", "population"])
@pytest.mark.parametrize("window", [1, 2, 5, 6, 9])
@pytest.mark.parametrize(("environment", "kind"), SEQUENTIAL, ids=system)
def test_a_sliding_window_is_the_derivative_of_its_rewards(
    environment: Environment, kind: str, window: int, population: bool
) -> None:
    """Against one backward pass through the whole graph per step."""
    start, draws = simulator(environment, kind=kind, batches=3 * population), noise(environment)
    expected = []
    for t in range(environment.horizon):
        trajectories = start.rollout(draws.rollout, differentiable=True)
        expected.append(trajectories.action_gradient(trajectories.rewards[..., t : t + window])[:, :, t])
    _, found = WindowedPathwise(window=window).signal(start, draws)
    torch.testing.assert_close(found, torch.stack(expected, dim=2), rtol=1e-10, atol=1e-12)


def test_a_sliding_window_is_not_a_block() -> None:
    """They agree where a block begins, and the block credits the others with less."""
    environment = LQR(horizon=6)
    start, draws = simulator(environment), noise(environment)
    _, sliding = WindowedPathwise(window=3).signal(start, draws)
    _, blocks = TruncatedPathwise(window=3).signal(start, draws)
    same = torch.isclose(sliding, blocks, rtol=1e-10).flatten(0, 1).all(0).squeeze(-1)
    # the last block ends with the trajectory, and so do the windows of its steps
    assert same.tolist() == [True, False, False, True, True, True]


# --- clipping -----------------------------------------------------------------------------------------------------


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


# --- boundary terms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("sigma", [0.01, 0.5])
@pytest.mark.parametrize("mean", [0.0, 0.1, 0.3])
def test_boundary_term_of_a_step_is_its_gradient(mean: float, sigma: float, dtype: torch.dtype) -> None:
    """phi(z) / sigma in every sample: it has no variance there."""
    environment = Step(edge=0.1)
    start = at(environment, mean, sigma)
    found = gradients(BoundaryCorrected(), start, replace(noise(environment), dtype=dtype))
    z = (mean - environment.edge) / sigma
    density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / sigma
    expected = torch.full_like(found, density)
    torch.testing.assert_close(found, expected, rtol=1e-6 if dtype == torch.float32 else 1e-12, atol=1e-15)


@pytest.mark.parametrize("sigma", [0.2, 1.0])
@pytest.mark.parametrize("knobs", [{}, {"stiffness": 50.0}, {"wall_height": 1.0, "wall_distance": 3.0}], ids=str)
def test_boundary_terms_complete_the_gradient_at_a_wall(knobs: dict[str, float], sigma: float) -> None:
    environment = BallWithWall(**knobs)
    gradient = exact_reference(at(environment, 0.05, sigma)).gradient.item()
    assert expectation(BoundaryCorrected(), environment, 0.05, sigma) == pytest.approx(gradient, rel=1e-3, abs=1e-3)
    assert abs(expectation(Pathwise(), environment, 0.05, sigma) - gradient) > 0.1


@pytest.mark.parametrize(
    "knobs", [{}, {"wall_height": 1.0, "wall_distance": 3.0}, {"wall_distance": 20.0}], ids=["default", "low", "far"]
)
def test_the_ball_jumps_where_it_says_and_nowhere_else(knobs: dict[str, float]) -> None:
    """Every jump above 1 cm on a fine grid over three turns."""
    environment, step = BallWithWall(**knobs), 1e-4
    angles = torch.arange(-3 * math.pi, 3 * math.pi, step, dtype=torch.float64)
    returns = decision_return(environment, angles - environment.nominal_angle)
    jumps = (returns.diff().abs() > 0.01).nonzero().flatten()
    seen = (angles[jumps] + angles[jumps + 1]) / 2 - environment.nominal_angle
    actions = torch.zeros(2, 1, 1, dtype=torch.float64)
    known = environment.jump_locations(actions, actions[..., :0])
    assert known.shape == (2, 1, 1, len(seen))
    torch.testing.assert_close(known[0, 0, 0].sort().values, seen, rtol=0, atol=step)


def test_boundary_terms_over_several_steps() -> None:
    """At one step of each trajectory: the density of the action that just reaches the strike, times 3 × the jump."""
    environment = RandomWalkDigital(horizon=3, strike=0.2, process_noise=0.1, discount=0.9)
    start, draws = simulator(environment, sigma=0.5), noise(environment, samples=200)
    trajectories, found = BoundaryCorrected().signal(start, draws)
    actions = trajectories.actions[..., 0]
    shocks = environment.process_noise * draws.rollout.process[..., 0].sum(-1)
    # the action that just reaches the strike, given the others
    needed = environment.strike - (actions.sum(-1) + shocks)[..., None] + actions
    z = (needed - start.parameters) / start.sigma
    terms = 0.9**3 * torch.exp(-z.square() / 2) / (math.sqrt(2 * math.pi) * start.sigma)
    branches = found[..., 0] != 0
    assert (branches.sum(-1) == 1).all()
    assert branches.flatten(0, 1).any(0).all()
    torch.testing.assert_close(found[..., 0][branches], 3 * terms[branches], rtol=1e-9, atol=0)


def test_boundary_terms_need_an_open_loop_policy() -> None:
    environment = RandomWalkDigital(horizon=3)
    with pytest.raises(ValueError, match="needs an open_loop policy over the 3 steps of RandomWalkDigital"):
        BoundaryCorrected().signal(simulator(environment, kind="linear"), noise(environment))


class UnknownJumps(Step):
    """A step that keeps the place of its jump to itself."""

    source: ClassVar[str] = "test"

    def jump_locations(self, actions: Tensor, process: Tensor) -> None:
        return None


def test_where_boundary_terms_exist() -> None:
    found = BoundaryCorrected()
    assert found.not_applicable(UnknownJumps(), 0.1) == "places of the jumps not known"
    assert not found.unbiased(UnknownJumps())
    assert found.not_applicable(Step(), 0.0) is not None
    assert found.unbiased(Step())
    assert found.identical_to(LQR(), 0.1) == "pathwise"
    assert found.environment_steps(LQR(horizon=7)) == 7
    # the nominal rollout, then two branches that are on average half as long
    assert found.environment_steps(RandomWalkDigital(horizon=7)) == 7 + 2 * 4


# --- smoothing ----------------------------------------------------------------------------------------------------

SMOOTHED = [(Step(edge=0.1), 0.2), (SoftStep(edge=0.1, width=0.05), 0.1), (BallWithWall(), 0.4)]


@pytest.mark.parametrize(("environment", "width"), SMOOTHED, ids=label)
def test_smoothed_pathwise_estimates_the_gradient_of_the_smoothed_environment(
    environment: Environment, width: float
) -> None:
    mean, sigma = 0.05, 0.1
    smooth = environment.smoothed(width)
    assert smooth is not None
    assert smooth.continuous
    found = expectation(SmoothedPathwise(width=width), environment, mean, sigma)
    assert found == pytest.approx(exact_reference(at(smooth, mean, sigma)).gradient.item(), rel=1e-3)
    assert found != pytest.approx(exact_reference(at(environment, mean, sigma)).gradient.item(), rel=0.01), (
        "the bias would go unnoticed"
    )


def test_smoothing_a_step_spreads_its_jump_over_the_width() -> None:
    """Smoothing twice adds the widths."""
    assert Step(edge=0.3, discount=0.9).smoothed(0.2) == SoftStep(edge=0.3, discount=0.9, width=0.2)
    for environment in (Step(edge=0.3), BallWithWall()):
        assert environment.smoothed(0.2).smoothed(0.1) == environment.smoothed(0.2 + 0.1)


def test_a_fuzzy_wall_is_the_wall_away_from_its_edge() -> None:
    environment, width = BallWithWall(), 0.1
    actions = torch.linspace(-7, 7, 20_001, dtype=torch.float64)
    sharp, fuzzy = (decision_return(e, actions) for e in (environment, environment.smoothed(width)))
    angle = environment.nominal_angle + actions
    time = environment.wall_distance / (environment.launch_speed * torch.cos(angle))
    height = environment.launch_height + environment.launch_speed * torch.sin(angle) * time
    height = height - environment.gravity / 2 * time.square()
    near = (torch.cos(angle) > 0) & ((height - environment.wall_height).abs() < width / 2)
    assert torch.equal(sharp[~near], fuzzy[~near])
    assert (sharp[near] != fuzzy[near]).all()
    assert near.sum() > 50


def test_without_a_smoothed_version_there_is_no_smoothed_pathwise() -> None:
    assert SmoothedPathwise().not_applicable(LQR(), 0.1) == "no smoothed version of these dynamics"


# --- fitted critics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 4])
def test_an_exact_value_bridges_every_cut(window: int) -> None:
    """Without any noise but the start's, G_t is quadratic in o_t: the fitted value is exact, and so is the signal."""
    environment = matrix_lqr(horizon=5, process_noise=0.0)
    start, draws = simulator(environment, sigma=0.0), noise(environment)
    past = earlier(start)
    _, expected = Pathwise().signal(start, draws)
    _, found = ShortHorizonValue(window=window, ridge=1e-13).signal(start, draws, past)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
    _, without = TruncatedPathwise(window=window).signal(start, draws)
    assert not torch.allclose(without, expected, rtol=0.1)
    _, first = ShortHorizonValue(window=window).signal(start, draws)
    assert torch.equal(first, without)


def test_a_critic_learns_the_last_step_exactly() -> None:
    """After the last action nothing random is left: G is quadratic in (o, a), and dQ/da is the pathwise signal."""
    environment = matrix_lqr(horizon=3, process_noise=0.0)
    start, draws = simulator(environment), noise(environment)
    _, expected = Pathwise().signal(start, draws)
    _, found = DeterministicPolicyGradient(ridge=1e-13).signal(start, draws, earlier(start))
    torch.testing.assert_close(found[:, :, -1], expected[:, :, -1], rtol=1e-7, atol=1e-7)


def critic_at_quantiles(environment: Environment, past_mean: float, mean: float, sigma: float) -> float:
    """The mean slope of the critic of one decision, past and present noise at 2^14 quantiles of the normal."""
    nodes = 2**14
    eps = torch.special.ndtri((torch.arange(nodes, dtype=torch.float64) + 0.5) / nodes).reshape(1, nodes, 1, 1)
    draws = noise(environment, 1, nodes)
    draws.__dict__["rollout"] = draws.rollout._replace(action=eps)
    now, before = (at(environment, m, sigma) for m in (mean, past_mean))
    found = DeterministicPolicyGradient(ridge=1e-13)
    return gradients(found, now, draws, before.rollout(draws.rollout)).mean().item()


@pytest.mark.parametrize("environment", [Cosine(frequency=2.0, phase=1.5), Step()], ids=["cosine", "step"])
def test_quadratic_features_are_compatible_with_an_open_loop_policy(environment: Environment) -> None:
    """Least squares over all actions gives the mean slope of any return, jumps included; over other actions it errs."""
    gradient = exact_reference(at(environment, 0.25, 0.5)).gradient.item()
    assert critic_at_quantiles(environment, 0.25, 0.25, 0.5) == pytest.approx(gradient, rel=1e-3)
    assert critic_at_quantiles(environment, -0.5, 0.25, 0.5) != pytest.approx(gradient, rel=0.05)


def test_without_earlier_trajectories_there_is_no_critic() -> None:
    environment = LQR(horizon=3)
    _, signal = DeterministicPolicyGradient().signal(simulator(environment), noise(environment))
    assert (signal == 0).all()


class Undifferentiable(LQR):
    """An LQR from a simulator without derivatives."""

    source: ClassVar[str] = "test"
    differentiable: ClassVar[bool] = False

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = super().step(state.detach(), action.detach(), process_noise)
        return next_state.detach(), reward.detach()


def test_a_critic_needs_no_derivative_of_the_simulator() -> None:
    found, signals = DeterministicPolicyGradient(), []
    for environment in (LQR(horizon=3), Undifferentiable(horizon=3)):
        assert found.not_applicable(environment, 0.3) is None
        start = simulator(environment)
        signals.append(found.signal(start, noise(environment), earlier(start))[1])
    assert torch.equal(*signals)
    assert Pathwise().not_applicable(Undifferentiable(), 0.3) is not None
    assert found.not_applicable(LQR(), 0.0) == "without action noise no critic learns what actions do"


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        (WindowedPathwise, {"window": 0}, "window must be at least 1 step, got 0"),
        (ShortHorizonValue, {"window": 0}, "window must be at least 1 step, got 0"),
        (ShortHorizonValue, {"ridge": 0.0}, r"ridge must be positive, got 0\.0"),
        (DeterministicPolicyGradient, {"ridge": -1.0}, r"ridge must be positive, got -1\.0"),
        (ClippedPathwise, {"limit": 0.0}, r"limit must be positive, got 0\.0"),
        (SmoothedPathwise, {"width": 0.0}, r"width must be positive, got 0\.0"),
    ],
)
def test_options_out_of_range_are_refused(
    made: type[ActionSignalEstimator], options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)
