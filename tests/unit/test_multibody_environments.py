"""The double pendulum and the hopper against independent mechanics: conservation laws, Lagrange, scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from tests.helpers.problems import label
from torch import Tensor

from scorepath.environments import double_pendulum, hopper
from scorepath.environments.base import Environment, SequentialEnvironment, make_policy
from scorepath.environments.double_pendulum import DoublePendulum
from scorepath.environments.hopper import Hopper
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator

NO_NOISE = torch.zeros(0)
INSTANCES: list[SequentialEnvironment] = [
    DoublePendulum(),
    DoublePendulum(initial_angle=1.0, process_noise=0.1),
    Hopper(stiffness=500.0),
    Hopper(process_noise=0.1),
    Hopper(stiffness=20000.0),
]


# --- both --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (2, 3)], ids=str)
def test_shapes_dtypes_and_batches(environment: Environment, dtype: torch.dtype, batch: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(7)
    sizes = (environment.initial_noise_dim, environment.action_dim, environment.process_noise_dim)
    initial, action, noise = (torch.randn(*batch, size, generator=generator, dtype=dtype) for size in sizes)
    state = environment.initial_state(initial)
    next_state, reward = environment.step(state, action, noise)
    assert state.shape == next_state.shape == (*batch, environment.state_dim)
    assert environment.observe(state).shape == (*batch, environment.observation_dim)
    assert reward.shape == batch
    assert {x.dtype for x in (state, next_state, reward, environment.observe(state))} == {dtype}
    if batch:
        alone = environment.step(state[-1, -1], action[-1, -1], noise[-1, -1])
        torch.testing.assert_close(alone[0], next_state[-1, -1])
        torch.testing.assert_close(alone[1], reward[-1, -1])


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
def test_step_derivatives_match_finite_differences(environment: Environment) -> None:
    generator = torch.Generator().manual_seed(3)
    start, action, noise = (
        torch.randn(4, size, generator=generator, dtype=torch.float64)
        for size in (environment.initial_noise_dim, environment.action_dim, environment.process_noise_dim)
    )
    state = environment.initial_state(start)
    for _ in range(6):  # the hopper is on the ground by then
        state, _ = environment.step(state, 0.5 * action, noise)
    inputs = (state.detach().requires_grad_(), action.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, a: environment.step(s, a, noise), inputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_through_random_networks_are_finite(environment: Environment, dtype: torch.dtype) -> None:
    policy = make_policy(environment, "mlp", (16,))
    draws = np.random.default_rng(1).standard_normal(policy.parameter_count)
    simulator = Simulator(environment, policy, torch.from_numpy(0.5 * draws), 1.0)
    noise = Noise(environment, Stream(1, "multibody", "test"), ["a"], 64, dtype)
    trajectories = simulator.rollout(noise.rollout, differentiable=True)
    assert trajectories.returns.isfinite().all()
    assert trajectories.action_gradient(trajectories.returns).isfinite().all()


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
def test_returns_are_bounded_under_extreme_actions(environment: SequentialEnvironment) -> None:
    """Constant, alternating and random actions of size 10: motors saturate, and nothing overflows."""
    constant = torch.tensor(list(itertools.product([-10.0, 0.0, 10.0], repeat=2)))
    count = len(constant)
    generator = torch.Generator().manual_seed(5)
    random = 10 * torch.randn(environment.horizon, count, 2, generator=generator).sign()
    signs = torch.ones(environment.horizon, 1, 1)
    signs[1::2] = -1
    plans = torch.cat([constant.expand(environment.horizon, count, 2), signs * constant, random], dim=1)
    start = torch.randn(3 * count, environment.initial_noise_dim, generator=generator)
    state, total = environment.initial_state(start), torch.zeros(3 * count)
    for action in plans:
        state, reward = environment.step(state, action, torch.zeros(3 * count, environment.process_noise_dim))
        total = total + reward
    assert state.isfinite().all()
    assert total.abs().max().item() < 40 * environment.horizon


@pytest.mark.parametrize(
    ("family", "knobs", "named"),
    [
        (DoublePendulum, {"time_step": 0.0}, "time_step"),
        (DoublePendulum, {"joint_damping": -0.1}, "joint_damping"),
        (DoublePendulum, {"horizon": 0}, "horizon"),
        (Hopper, {"stiffness": 0.0}, "stiffness"),
        (Hopper, {"stiffness": 1e6}, "stiffness"),
        (Hopper, {"spin_cost": -1.0}, "spin_cost"),
        (Hopper, {"process_noise": math.nan}, "process_noise"),
    ],
)
def test_impossible_knobs_are_named(family: type[Environment], knobs: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        family(**knobs)


# --- double pendulum ---------------------------------------------------------------------------------------


def kinetic_and_potential(angles: Tensor, velocities: Tensor) -> tuple[Tensor, Tensor]:
    """Of both masses from their places in the plane."""
    length = double_pendulum.LENGTH
    first = velocities[0] * length * torch.stack([angles[0].cos(), -angles[0].sin()])
    second = first + velocities[1] * length * torch.stack([angles[1].cos(), -angles[1].sin()])
    kinetic = double_pendulum.MASS / 2 * (first.square().sum() + second.square().sum())
    heights = 2 * length * angles[0].cos() + length * angles[1].cos()
    return kinetic, double_pendulum.MASS * double_pendulum.GRAVITY * heights


def energy(state: Tensor) -> float:
    kinetic, potential = kinetic_and_potential(state[:2], state[2:])
    return (kinetic + potential).item()


def test_double_pendulum_obeys_lagrange() -> None:
    """`d/dt dL/dw - dL/dangle = Q`, with L from the masses' places and derivatives by torch."""
    environment = DoublePendulum(time_step=0.02)
    effort = torch.tensor([0.8, -0.5], dtype=torch.float64)

    def lagrangian(angles: Tensor, velocities: Tensor) -> Tensor:
        kinetic, potential = kinetic_and_potential(angles, velocities)
        return kinetic - potential

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        angles, velocities = torch.tensor(s[:2]), torch.tensor(s[2:])
        slope = torch.func.grad(lagrangian, 0)(angles, velocities)
        (_, mixed), (_, inertia) = torch.func.hessian(lagrangian, (0, 1))(angles, velocities)
        motors = environment.max_torque * torch.tanh(effort)
        motors = motors - environment.joint_damping * torch.stack([velocities[0], velocities[1] - velocities[0]])
        generalised = torch.stack([motors[0] - motors[1], motors[1]])
        acceleration = torch.linalg.solve(inertia, generalised + slope - mixed.mT @ velocities)
        return torch.cat([velocities, acceleration]).numpy()

    state = torch.tensor([2.0, 1.0, 0.5, -1.0], dtype=torch.float64)
    expected = solve_ivp(rate, (0, 0.2), state.numpy(), rtol=1e-6, atol=1e-7).y[:, -1]
    for _ in range(10):
        state, _ = environment.step(state, effort, NO_NOISE)
    np.testing.assert_allclose(state.numpy(), expected, atol=1e-4)


def test_double_pendulum_conserves_energy() -> None:
    """Over the default horizon at the default step to 1 % of what falls; at half the step to a tenth of that."""
    drifts = []
    for time_step, steps in ((0.05, 60), (0.025, 120)):
        environment = DoublePendulum(joint_damping=0.0, max_torque=0.0, time_step=time_step)
        state = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
        start, lowest, drift = energy(state), math.inf, 0.0
        for _ in range(steps):
            state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
            drift = max(drift, abs(energy(state) - start))
            lowest = min(lowest, kinetic_and_potential(state[:2], state[2:])[1].item())
        drifts.append(drift / (start - lowest))
    assert drifts[0] < 0.01
    assert drifts[1] < drifts[0] / 10


def sensitivity(initial_angle: float, steps: int) -> float:
    """Norm of the derivative of the state by the first one, from rest and without torque."""
    environment = DoublePendulum(joint_damping=0.0)

    def flow(state: Tensor) -> Tensor:
        for _ in range(steps):
            state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
        return state

    start = torch.tensor([initial_angle, initial_angle + 0.1, 0.0, 0.0], dtype=torch.float64)
    return torch.func.jacrev(flow)(start).norm().item()


def test_double_pendulum_is_chaotic_from_above_only() -> None:
    assert sensitivity(1.0, 120) > 30 * sensitivity(1.0, 30)
    assert sensitivity(math.pi, 120) < 5 * sensitivity(math.pi, 30)


def test_double_pendulum_noise_moves_the_velocities() -> None:
    state, action = torch.tensor([2.0, 1.0, 0.0, 0.0], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    quiet, _ = DoublePendulum().step(state, action, NO_NOISE)
    noisy, _ = DoublePendulum(process_noise=0.2).step(state, action, torch.tensor([1.0, -2.0], dtype=torch.float64))
    torch.testing.assert_close(noisy - quiet, torch.tensor([0.0, 0.0, 0.2, -0.4], dtype=torch.float64))


# --- hopper ------------------------------------------------------------------------------------------------

POINTS = [0, 1, 3, 4]  # x, z of hip and foot
SPEEDS = [5, 6, 8, 9]
MASSES = np.repeat([hopper.BODY_MASS, hopper.FOOT_MASS], 2)


def forces(s: np.ndarray, environment: Hopper, effort: np.ndarray) -> np.ndarray:
    """On x and z of hip and foot, written with unit vectors."""
    place, speed = s[:4].reshape(2, 2), s[4:].reshape(2, 2)
    leg = place[1] - place[0]
    length = np.hypot(np.linalg.norm(leg), hopper.LEG_SHORTEST)
    direction, normal = leg / length, np.array([-leg[1], leg[0]]) / length
    rest = hopper.LEG_LENGTH + hopper.STROKE * effort[0]
    along = hopper.LEG_STIFFNESS * (rest - length) - hopper.LEG_DAMPING * direction @ (speed[1] - speed[0])
    on_foot = along * direction + hopper.HIP_TORQUE * effort[1] / length * normal
    total = np.stack([-on_foot, on_foot]) - np.array([0, hopper.GRAVITY]) * MASSES.reshape(2, 2)
    spring = environment.stiffness * np.maximum(-place[:, 1], 0)
    load = spring * (1 + hopper.GROUND_DAMPING * np.maximum(-speed[:, 1], 0))
    # the step's friction follows the spring's force alone
    grip = -hopper.FRICTION * spring * speed[:, 0] / np.hypot(speed[:, 0], hopper.SLIP_SPEED)
    return (total + np.stack([grip, load], axis=-1)).reshape(-1)


def refine(monkeypatch: pytest.MonkeyPatch, factor: int) -> None:
    monkeypatch.setattr(hopper, "TIME_STEP", hopper.TIME_STEP / factor)
    monkeypatch.setattr(hopper, "SUBSTEPS", hopper.SUBSTEPS * factor)


@pytest.mark.parametrize("stiffness", [500.0, 5000.0])
def test_hopper_moves_as_integrated(stiffness: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop, impact and push-off with slip, in twelve decisions."""
    refine(monkeypatch, 30)
    environment = Hopper(stiffness=stiffness)
    action = torch.tensor([0.8, -0.3], dtype=torch.float64)
    state = environment.initial_state(torch.tensor([2.0, 4.0, 0.0, 0.0], dtype=torch.float64))
    effort = torch.tanh(action).numpy()

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        return np.concatenate([s[4:], forces(s, environment, effort) / MASSES])

    duration = 12 * hopper.SUBSTEPS * hopper.TIME_STEP
    start = state[POINTS + SPEEDS].numpy()
    path = solve_ivp(rate, (0, duration), start, rtol=1e-7, atol=1e-9, max_step=2e-3)
    assert path.y[3].min() < -0.003
    for _ in range(12):
        state, _ = environment.step(state, action, NO_NOISE)
    np.testing.assert_allclose(state[POINTS].numpy(), path.y[:4, -1], atol=5e-3)
    np.testing.assert_allclose(state[SPEEDS].numpy(), path.y[4:, -1], atol=5e-2)


def angular_momentum(state: Tensor) -> float:
    """About the origin, positive where the foot swings forward under the hip."""
    x, z, _, foot_x, foot_z, vx, vz, spin, foot_vx, foot_vz = state.tolist()
    hip = hopper.BODY_MASS * (x * vz - z * vx)
    foot = hopper.FOOT_MASS * (foot_x * foot_vz - foot_z * foot_vx)
    return hip + foot + hopper.BODY_INERTIA * spin


def test_hopper_conserves_momenta_in_flight() -> None:
    environment = Hopper()
    state = environment.initial_state(torch.tensor([1.0, 3.0, 1.0, 2.0], dtype=torch.float64))
    state[[1, 4]] += 1.0
    for _ in range(8):
        before = state
        state, _ = environment.step(state, torch.tensor([1.0, 0.7], dtype=torch.float64), NO_NOISE)
        assert state[4] > 0
        duration = hopper.SUBSTEPS * hopper.TIME_STEP
        change = (state - before).numpy()[SPEEDS] * MASSES
        total = hopper.BODY_MASS + hopper.FOOT_MASS
        np.testing.assert_allclose(change[0] + change[2], 0, atol=1e-12)
        np.testing.assert_allclose(change[1] + change[3], -total * hopper.GRAVITY * duration, rtol=1e-12)
        # gravity pulls at the centre of mass, which moves uniformly sideways: the mean lever, at half steps
        lever = (hopper.BODY_MASS * (before[0] + state[0]) + hopper.FOOT_MASS * (before[3] + state[3])).item() / 2
        turned = angular_momentum(state) - angular_momentum(before) + hopper.GRAVITY * duration * lever
        # the motor's torque alone would change it by 0.09: what is left is the fading lever and the time step
        assert abs(turned) < 2e-3


def test_hopper_loses_energy_without_motors(monkeypatch: pytest.MonkeyPatch) -> None:
    refine(monkeypatch, 10)
    environment = Hopper()
    state = environment.initial_state(torch.tensor([1.0, 5.0, 0.0, 0.0], dtype=torch.float64))

    def stored(state: Tensor) -> float:
        place, speed = state[POINTS].numpy(), state[SPEEDS].numpy()
        length = np.hypot(np.hypot(place[2] - place[0], place[3] - place[1]), hopper.LEG_SHORTEST)
        ground = environment.stiffness / 2 * (np.minimum(place[[1, 3]], 0) ** 2).sum()
        leg = hopper.LEG_STIFFNESS / 2 * (length - hopper.LEG_LENGTH) ** 2
        return (MASSES * speed**2).sum() / 2 + hopper.GRAVITY * (MASSES * place)[[1, 3]].sum() + ground + leg

    energies = [stored(state)]
    for _ in range(40):
        state, _ = environment.step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
        energies.append(stored(state))
    assert np.diff(energies).max() < 0.02
    assert energies[-1] < 0.6 * energies[0]


@pytest.mark.parametrize("stiffness", [500.0, 20000.0])
def test_hopper_is_continuous_at_touchdown(stiffness: float) -> None:
    """Foot and hip above or below the ground at the start: changes between neighbours halve with their distance."""
    environment = Hopper(stiffness=stiffness)
    largest = []
    for nodes in (20_000, 40_000):
        start = environment.initial_state(torch.zeros(nodes + 1, 4, dtype=torch.float64))
        sink = torch.linspace(0.05, 0.15, nodes + 1, dtype=torch.float64)
        state = start - sink[:, None] * torch.eye(10, dtype=torch.float64)[[1, 4]].sum(0)
        state = state + torch.eye(10, dtype=torch.float64)[5] * 0.4
        state, reward = environment.step(state, torch.zeros(nodes + 1, 2, dtype=torch.float64), NO_NOISE)
        largest.append(torch.cat([state, reward[:, None]], -1).diff(dim=0).abs().max().item())
    assert 0 < largest[1] < 0.52 * largest[0]


def test_hopper_sees_no_absolute_place() -> None:
    state = Hopper().initial_state(torch.ones(4, dtype=torch.float64))
    moved = state + torch.tensor([3.0, 0, 0, 3.0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(Hopper().observe(state), Hopper().observe(moved))
    action = torch.tensor([0.5, -0.5], dtype=torch.float64)
    torch.testing.assert_close(
        Hopper().step(state, action, NO_NOISE)[1], Hopper().step(moved, action, NO_NOISE)[1], rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("stiffness", [500.0, 2000.0, 20000.0])
def test_hopper_stands_where_forces_balance(stiffness: float) -> None:
    """The ground is pressed in by the weight of all, the leg's spring by that of the body."""
    depth = (hopper.BODY_MASS + hopper.FOOT_MASS) * hopper.GRAVITY / stiffness

    def surplus(leg: float) -> float:
        length = math.hypot(leg, hopper.LEG_SHORTEST)
        return hopper.LEG_STIFFNESS * (hopper.LEG_LENGTH - length) * leg / length - hopper.BODY_MASS * hopper.GRAVITY

    state = torch.zeros(10, dtype=torch.float64)
    state[1], state[4] = brentq(surplus, 0.4, 0.5) - depth, -depth
    still, _ = Hopper(stiffness=stiffness).step(state, torch.zeros(2, dtype=torch.float64), NO_NOISE)
    torch.testing.assert_close(still, state, rtol=0, atol=1e-10)
