"""Environments against what they claim to be, and exact references against each other.

Nothing here is random beyond fixed seeds: expectations are taken with Gauss-Hermite rules that are exact for the
polynomials at hand, so no test has a false-alarm rate.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import scipy.linalg
import torch
import yaml
from tests.helpers.problems import at, label, matrix_lqr, randn, system
from tests.helpers.rules import central_differences, gauss_hermite, normals, plain_returns
from torch import Tensor

from scorepath import registry
from scorepath.environments import cartpole
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cartpole import CartPole
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.policies import OpenLoop
from scorepath.references import quadrature, tabular
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

LANDSCAPES = [
    Quadratic(offset=0.3),
    Cosine(frequency=4.0, phase=1.0),
    Ripple(frequency=8.0),
    Step(),
    SoftStep(),
    SoftStep(edge=-0.2, width=1.5),
    AngleDoubling(doublings=2, noise_at="start", discount=0.9),
]


# --- knobs ------------------------------------------------------------------------------------------------


def test_the_default_study_names_existing_knobs() -> None:
    config = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
    for entry in config["environments"]:
        kind = registry.load(registry.ENVIRONMENTS, entry["family"])
        knobs = {key: value for key, value in entry.items() if key not in ("name", "family", "policy")}
        environment = kind(**knobs)
        for knob in knobs:
            assert knob in {field.name for field in dataclasses.fields(environment)}


@pytest.mark.parametrize(
    ("family", "knobs", "named"),
    [
        (Quadratic, {"dimension": 0}, "dimension"),
        (Quadratic, {"discount": 0.0}, "discount"),
        (Cosine, {"frequency": 0.0}, "frequency"),
        (Ripple, {"amplitude": -1.0}, "amplitude"),
        (SoftStep, {"width": 0.0}, "width"),
        (LQR, {"horizon": 0}, "horizon"),
        (LQR, {"dynamics": 0.9}, "dynamics"),
        (LQR, {"dynamics": [[1.0, 2.0]]}, "dynamics"),
        (LQR, {"dynamics": [[1.0, 2.0], [3.0]]}, "dynamics"),
        (LQR, {"control": [[1.0], [2.0]]}, "control"),
        (LQR, {"process_noise": -0.1}, "process_noise"),
        (AngleDoubling, {"doublings": 0}, "doublings"),
        (AngleDoubling, {"noise_at": "end"}, "noise_at"),
        (Pendulum, {"process_noise": math.nan}, "process_noise"),
        (CartPole, {"initial_std": -1.0}, "initial_std"),
        (BallWithWall, {"stiffness": 0.0}, "stiffness"),
        (Chain, {"states": 1}, "states"),
        (Chain, {"slip": 1.5}, "slip"),
        (Chain, {"start": 6}, "start"),
    ],
)
def test_impossible_knobs_are_named(family: type[Environment], knobs: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        family(**knobs)


# --- landscapes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", LANDSCAPES, ids=label)
@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.115])
def test_closed_forms_match_quadrature(environment: Environment, sigma: float, mean: float) -> None:
    start = at(environment, mean, sigma)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, sigma)
    tolerance = 1e-7 if environment.continuous else 1e-4  # the midpoint rule is of first order at a jump
    assert objective == pytest.approx(exact.objective, rel=tolerance, abs=tolerance)
    torch.testing.assert_close(gradient, exact.gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("environment", LANDSCAPES, ids=label)
def test_without_noise_the_objective_is_the_return(environment: Environment) -> None:
    start = at(environment, 0.115, 0.0)
    exact = exact_reference(start)
    objective, gradient, _ = quadrature.objective_and_gradient(environment, start.policy, start.parameters, 0.0)
    assert exact.objective == pytest.approx(objective, abs=1e-13)
    torch.testing.assert_close(exact.gradient, gradient, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 0.4])
def test_quadratic_objective_in_several_dimensions(sigma: float) -> None:
    start = at(Quadratic(dimension=3, offset=0.2), [0.5, -0.4, 0.1], sigma)
    z, weights = gauss_hermite(3, 3)
    exact = exact_reference(start)
    assert exact.objective == pytest.approx((weights @ plain_returns(start, z)).item(), rel=1e-12)
    torch.testing.assert_close(exact.gradient, -2 * (start.parameters - 0.2))


def test_a_step_has_no_derivative_but_stays_in_the_graph() -> None:
    action = torch.tensor([[0.0], [0.2]], requires_grad=True)
    _, reward = Step(edge=0.1).step(torch.zeros(2, 1), action, torch.zeros(2, 0))
    assert reward.tolist() == [0.0, 1.0]
    (gradient,) = torch.autograd.grad(reward.sum(), action)
    assert gradient.tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize(("width", "sigma"), [(0.05, 0.01), (0.05, 1.0), (1e-4, 1.0), (2.0, 0.01)])
def test_soft_step_slope_at_its_centre(width: float, sigma: float) -> None:
    exact = exact_reference(at(SoftStep(edge=0.1, width=width), 0.1, sigma))
    assert exact.objective == pytest.approx(0.5, abs=1e-11)
    assert exact.gradient.item() == pytest.approx(math.erf(width / (2 * sigma) / math.sqrt(2)) / width, rel=1e-11)


def test_quadrature_reports_an_honest_error_at_a_jump() -> None:
    start = at(Step(), 0.03, 0.1)
    exact = exact_reference(start)
    _, gradient, error = quadrature.objective_and_gradient(Step(), start.policy, start.parameters, 0.1)
    distance = (gradient - exact.gradient).norm().item()
    assert 0 < distance <= 4 * error < 1e-2


# --- angle doubling ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [1.0, 0.8])
def test_angle_doubling_with_noise_at_every_step(discount: float) -> None:
    environment = AngleDoubling(doublings=3, start=0.4, discount=discount)
    start = at(environment, [0.1, -0.3, 0.2], 0.05)
    z, weights = gauss_hermite(24, 3)

    def objective(parameters: Tensor) -> Tensor:
        return weights @ plain_returns(replace(start, parameters=parameters), z)

    exact = exact_reference(start)
    assert environment.frequencies == (16.0, 8.0, 4.0)
    assert exact.objective == pytest.approx(objective(start.parameters).item(), rel=1e-10)
    torch.testing.assert_close(exact.gradient, central_differences(objective, start.parameters), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("doublings", [1, 2, 6, 9])
@pytest.mark.parametrize("noise_at", ["every_step", "start"])
def test_angle_doubling_starts_equally_steep_at_every_depth(doublings: int, noise_at: str) -> None:
    environment = AngleDoubling(doublings=doublings, noise_at=noise_at)
    exact = exact_reference(at(environment, 0.0, 0.0))
    assert exact.objective == pytest.approx(-0.5, abs=1e-9)
    assert abs(exact.gradient[0].item()) == pytest.approx(2 ** (doublings + 1) * math.sqrt(3) / 2, rel=1e-9)


def test_angle_doubling_refuses_feedback() -> None:
    with pytest.raises(ValueError, match="open_loop"):
        exact_reference(at(AngleDoubling(), 0.0, 0.1, "linear"))


# --- linear-quadratic regulator ----------------------------------------------------------------------------

LQR_CASES = [
    (matrix_lqr(horizon=2, initial_mean=0.7, discount=0.9, terminal_cost=2.0), "linear"),
    (matrix_lqr(horizon=2, initial_mean=0.7, discount=0.9, process_noise=0.3), "open_loop"),
    (LQR(horizon=3, process_noise=0.2, dynamics=[[1.2]]), "linear"),
]


@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize(("environment", "kind"), LQR_CASES, ids=system)
def test_lqr_recursion_is_the_expectation_of_the_return(environment: LQR, kind: str, sigma: float) -> None:
    policy = make_policy(environment, kind)
    theta = torch.linspace(-0.8, 0.5, policy.parameter_count, dtype=torch.float64)
    start = Simulator(environment, policy, theta, sigma)
    z, weights = gauss_hermite(2, normals(environment))  # R is quadratic

    def objective(parameters: Tensor) -> Tensor:
        return weights @ plain_returns(replace(start, parameters=parameters), z)

    exact = exact_reference(start)
    assert exact.objective == pytest.approx(objective(start.parameters).item(), rel=1e-11)
    torch.testing.assert_close(exact.gradient, central_differences(objective, start.parameters), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("gain", [0.0, 0.4, 1.7])
def test_scalar_lqr_matches_the_published_recursion(gain: float) -> None:
    """m' = alpha² m + b² sigma² + sigma_w², dm' = alpha² dm - 2 b alpha m, with a = -K x and alpha = a - b K."""
    sigma, environment = 0.3, LQR(horizon=12, terminal_cost=3.0)
    a, b, q, r = 0.9, 0.5, environment.state_cost, environment.action_cost
    alpha, m, dm, cost, slope = a - b * gain, environment.initial_std**2, 0.0, 0.0, 0.0
    for _ in range(environment.horizon):
        cost += (q + r * gain**2) * m + r * sigma**2
        slope += 2 * r * gain * m + (q + r * gain**2) * dm
        m, dm = alpha**2 * m + b**2 * sigma**2 + environment.process_noise**2, alpha**2 * dm - 2 * b * alpha * m
    cost, slope = cost + environment.terminal_cost * m, slope + environment.terminal_cost * dm
    exact = exact_reference(at(environment, -gain, sigma))
    assert exact.objective == pytest.approx(-cost, rel=1e-13)
    assert exact.gradient.item() == pytest.approx(slope, rel=1e-13)  # R = -cost and W = -K: two signs cancel


def test_scalar_lqr_is_stationary_at_the_riccati_gain() -> None:
    a, b, q, r = 1.2, 0.5, 1.0, 0.1
    value = scipy.linalg.solve_discrete_are([[a]], [[b]], [[q]], [[r]]).item()
    gain = a * b * value / (r + b**2 * value)
    environment = LQR(horizon=50, dynamics=[[a]], control=[[b]], terminal_cost=value)
    below, best, above = (exact_reference(at(environment, -k, 0.1)) for k in (gain - 0.1, gain, gain + 0.1))
    assert best.objective > max(below.objective, above.objective)
    slopes = [abs(each.gradient.item()) for each in (below, best, above)]
    assert slopes[1] < 1e-9 < 1e-2 < min(slopes[0], slopes[2])


def test_matrix_lqr_is_stationary_at_the_riccati_gain_per_step() -> None:
    """The difference of two long horizons leaves the average cost, without the effects of start and end."""
    a, b = np.array([[1.0, 0.1], [0.1, 1.0]]), np.array([[0.0], [0.1]])
    value = scipy.linalg.solve_discrete_are(a, b, np.eye(2), 0.1 * np.eye(1))
    gain = np.linalg.solve(0.1 * np.eye(1) + b.T @ value @ b, b.T @ value @ a)

    def average_gradient(weights: np.ndarray) -> float:
        theta = torch.tensor(weights.T.reshape(-1))
        gradients = []
        for horizon in (200, 400):
            environment = LQR(horizon=horizon, dynamics=a.tolist(), control=b.tolist(), process_noise=0.05)
            gradients.append(exact_reference(at(environment, theta, 0.0)).gradient)
        return (gradients[1] - gradients[0]).norm().item() / 200

    assert average_gradient(-gain) < 1e-8
    assert average_gradient(-gain * 1.05) > 1e-4


def test_lqr_refuses_hidden_layers() -> None:
    policy = make_policy(LQR(), "mlp", (4,))
    with pytest.raises(ValueError, match="affine"):
        exact_reference(Simulator(LQR(), policy, torch.zeros(policy.parameter_count, dtype=torch.float64), 0.1))


# --- mechanics ---------------------------------------------------------------------------------------------


def test_pendulum_is_gymnasiums() -> None:
    generator = np.random.default_rng(3)
    reference = gymnasium.make("Pendulum-v1").unwrapped
    environment, clipped = Pendulum(), 0
    for episode in range(5):
        reference.reset(seed=episode)
        state = torch.tensor(reference.state)
        for _ in range(100):
            torque = generator.uniform(-4, 4) + 2 * np.sign(state[1].item())  # pumps energy: speed reaches its limit
            clipped += abs(torque) > 2
            observation, reward, *_ = reference.step(np.array([torque]))
            state, own_reward = environment.step(state, torch.tensor([torque]), torch.zeros(0))
            np.testing.assert_allclose(state.numpy(), reference.state, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(own_reward.item(), reward, rtol=1e-10)
            np.testing.assert_allclose(environment.observe(state).numpy(), observation, rtol=1e-6, atol=1e-6)
        assert abs(state[0].item()) > math.pi or episode  # the angle is not kept in one turn
    assert 100 < clipped < 500


def test_pendulum_starts_uniformly() -> None:
    uniform = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    start = Pendulum().initial_state(torch.special.ndtri(uniform).unsqueeze(-1).expand(19, 2))
    torch.testing.assert_close(start[:, 0], math.pi * (2 * uniform - 1))
    torch.testing.assert_close(start[:, 1], 2 * uniform - 1)


def test_pendulum_noise_moves_the_velocity() -> None:
    state, action = torch.tensor([0.3, 0.5], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    quiet, _ = Pendulum().step(state, action, torch.zeros(0))
    noisy, _ = Pendulum(process_noise=0.2).step(state, action, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(noisy - quiet, torch.tensor([0.2 * 0.05, 0.2], dtype=torch.float64))


def test_cartpole_moves_like_gymnasiums(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = gymnasium.make("CartPole-v1").unwrapped
    reference.kinematics_integrator = "semi-implicit euler"
    monkeypatch.setattr(cartpole, "TIME_STEP", reference.tau)
    reference.reset(seed=0)
    environment = CartPole(position_cost=0.5, speed_cost=0.25, action_cost=0.125)
    state = torch.tensor([0.1, -0.2, 0.05, 0.3], dtype=torch.float64)
    reference.state = state.numpy()
    for t in range(8):  # Gymnasium ends an episode once the pole has fallen
        right = t % 3 == 0
        reference.step(int(right))
        action = torch.tensor([1.0 if right else -1.0], dtype=torch.float64)
        state, reward = environment.step(state, action, torch.zeros(0))
        np.testing.assert_allclose(state.numpy(), reference.state, rtol=1e-12)
        x, speed, angle, spin = reference.state
        assert reward.item() == pytest.approx(math.cos(angle) - 0.5 * x**2 - 0.25 * (speed**2 + spin**2) - 0.125)


def test_cartpole_conserves_energy_through_a_full_swing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cartpole, "TIME_STEP", 1e-3)

    def energy(state: Tensor) -> float:
        _, speed, angle, spin = state.tolist()
        m, length = cartpole.POLE_MASS, cartpole.HALF_LENGTH
        kinetic = (cartpole.CART_MASS + m) * speed**2 / 2 + m * length * speed * spin * math.cos(angle)
        return kinetic + 2 / 3 * m * length**2 * spin**2 + m * cartpole.GRAVITY * length * math.cos(angle)

    state = torch.tensor([0.0, 0.1, 0.2, 0.0], dtype=torch.float64)
    start, lowest = energy(state), math.inf
    for _ in range(1500):
        state, _ = CartPole().step(state, torch.zeros(1, dtype=torch.float64), torch.zeros(0))
        assert energy(state) == pytest.approx(start, abs=0.01)
        lowest = min(lowest, math.cos(state[2].item()))
    assert lowest < -0.9  # potential and kinetic energy, 0.98 J apart, did change places


# --- ball with wall ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [10.0, 1000.0, 10000.0])
def test_ball_flies_as_in_a_time_stepping_simulation(stiffness: float) -> None:
    environment = BallWithWall(stiffness=stiffness, mass=0.8)
    action = np.linspace(-1.5, 2.5, 41)
    angle, dt = environment.nominal_angle + action, 2e-4
    vx, vy = environment.launch_speed * np.cos(angle), environment.launch_speed * np.sin(angle)
    x, y = np.zeros_like(angle), np.full_like(angle, environment.launch_height)
    pushing, landed = np.zeros_like(angle, dtype=bool), np.full_like(angle, np.nan)
    for _ in range(12_000):
        vx = vx - dt * pushing * environment.stiffness / environment.mass * (x - environment.wall_distance)
        vy = vy - dt * environment.gravity
        before, x, y = x, x + dt * vx, y + dt * vy
        crossing = (before <= environment.wall_distance) & (x > environment.wall_distance) & (vx > 0)
        pushing = (pushing | (crossing & (y < environment.wall_height))) & (x > environment.wall_distance)
        landed = np.where((y <= 0) & np.isnan(landed), x, landed)
    tensor = torch.tensor(action)
    _, reward = environment.step(tensor.unsqueeze(-1), tensor.unsqueeze(-1), torch.zeros(len(action), 0))
    np.testing.assert_allclose(reward.numpy(), landed, atol=0.02)


@pytest.mark.parametrize("stiffness", [10.0, 10000.0])
def test_ball_jumps_only_at_the_top_edge(stiffness: float) -> None:
    environment = BallWithWall(stiffness=stiffness)
    action = torch.linspace(-math.pi, math.pi, 400_001, dtype=torch.float64)
    returns = quadrature.decision_return(environment, action)
    angle = environment.nominal_angle + action[:-1][returns.diff().abs() > 0.02]
    time = environment.wall_distance / (environment.launch_speed * torch.cos(angle))
    height = environment.launch_height + environment.launch_speed * torch.sin(angle) * time - 9.81 / 2 * time**2
    assert len(angle) == 2  # a flat throw and a lob
    torch.testing.assert_close(height, torch.full_like(height, environment.wall_height), rtol=0, atol=1e-3)
    assert not environment.continuous


def test_a_stiffer_wall_makes_a_larger_jump() -> None:
    def jump(stiffness: float) -> float:
        action = torch.tensor([0.0, 0.1], dtype=torch.float64)
        below, above = quadrature.decision_return(BallWithWall(stiffness=stiffness), action).tolist()
        return above - below

    assert 1 < jump(10.0) < jump(100.0) < jump(1000.0) < jump(10000.0) < 12


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
def test_ball_starts_near_the_edge(sigma: float) -> None:
    eps = torch.special.ndtri(torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64))
    clears = quadrature.decision_return(BallWithWall(), sigma * eps) > 6.5
    assert 0.1 < clears.double().mean().item() < 0.6


def test_ball_gradients_are_finite_everywhere() -> None:
    for dtype in (torch.float32, torch.float64):
        action = torch.linspace(-20, 20, 100_001, dtype=dtype, requires_grad=True)
        returns = quadrature.decision_return(BallWithWall(), action)
        (slope,) = torch.autograd.grad(returns.sum(), action)
        assert returns.isfinite().all()
        assert slope.isfinite().all()


# --- chain -------------------------------------------------------------------------------------------------


def test_chain_tables_describe_the_step() -> None:
    environment = Chain(states=4, slip=0.2)
    noise = torch.special.ndtri((torch.arange(100, dtype=torch.float64) + 0.5) / 100).unsqueeze(-1)
    identity = torch.eye(4, dtype=torch.float64)
    transitions, rewards = environment.transition_matrix(), environment.reward_table()
    for s, a in itertools.product(range(4), range(2)):
        action = torch.eye(2, dtype=torch.float64)[a].expand(100, 2)
        next_state, reward = environment.step(identity[s].expand(100, 4), action, noise)
        assert set(next_state.unique().tolist()) <= {0.0, 1.0}
        torch.testing.assert_close(next_state.mean(0), transitions[s, a])
        torch.testing.assert_close(reward.mean(), rewards[s, a])
    assert transitions[1, 1].tolist() == pytest.approx([0.2, 0, 0.8, 0])
    assert rewards[2, 1].item() == pytest.approx(0.8 * environment.right_reward)
    start = environment.initial_state(torch.zeros(3, 0, dtype=torch.float64))
    assert torch.equal(start, environment.initial_distribution().expand(3, 4))


@pytest.mark.parametrize("kind", ["linear", "open_loop", "mlp"])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_chain_gradients_agree_three_ways(kind: str, discount: float) -> None:
    environment, sigma = Chain(horizon=7, discount=discount), 0.5
    policy = make_policy(environment, kind, (3,))
    theta = randn(policy.parameter_count, seed=1)
    solved = exact_reference(Simulator(environment, policy, theta, sigma))
    theorem = tabular.policy_gradient_theorem(environment, policy, theta, sigma)
    differences = central_differences(lambda x: tabular.expected_return(environment, policy, x, sigma), theta)
    assert solved.gradient.norm() > 0.01
    torch.testing.assert_close(theorem, solved.gradient, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(differences, solved.gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_chain_value_matches_every_possible_history(sigma: float) -> None:
    environment = Chain(states=3, horizon=3, slip=0.3, discount=0.8)
    policy = make_policy(environment)
    theta = torch.tensor([0.3, -0.2, 0.1, 0.9, -1.0, 0.4], dtype=torch.float64)
    logits = theta.reshape(3, 2)
    greedy = torch.eye(2, dtype=torch.float64)[logits.argmax(-1)]
    choices = torch.softmax(logits / sigma, -1) if sigma else greedy
    transitions, pay, total = environment.transition_matrix(), (0.1, 0.0, 1.0), 0.0
    for actions in itertools.product(range(2), repeat=3):
        for states in itertools.product(range(3), repeat=3):
            probability, discounted, s = 1.0, 0.0, 1
            for t, (a, following) in enumerate(zip(actions, states, strict=True)):
                probability *= choices[s, a].item() * transitions[s, a, following].item()
                discounted += 0.8**t * pay[following]
                s = following
            total += probability * discounted
    exact = exact_reference(Simulator(environment, policy, theta, sigma))
    assert exact.objective == pytest.approx(total, rel=1e-13)
    assert (exact.gradient.norm().item() > 0.01) == (sigma > 0)


# --- the door to the references ----------------------------------------------------------------------------


def test_certified_monte_carlo_has_no_exact_reference() -> None:
    with pytest.raises(ValueError, match="Pendulum has no exact gradient"):
        exact_reference(at(Pendulum(), 0.0, 0.1))


def test_single_precision_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        exact_reference(Simulator(Quadratic(), OpenLoop(1, 1), torch.zeros(1), 0.1))


def test_quadrature_names_what_it_does_not_cover() -> None:
    with pytest.raises(ValueError, match="LQR has horizon 20"):
        quadrature.objective_and_gradient(LQR(), make_policy(LQR()), torch.zeros(1, dtype=torch.float64), 0.1)
