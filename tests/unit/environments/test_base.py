"""What every family promises: shapes, derivatives, noise where it says, knobs with a meaning."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.comparisons import assert_close
from tests.helpers.problems import label, randn

from scorepath import registry
from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, SequentialEnvironment, make_policy
from scorepath.environments.bouncing_ball import BouncingBall
from scorepath.environments.bump import Bump
from scorepath.environments.cartpole import CartPole
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.coulomb_slide import CoulombSlide
from scorepath.environments.double_pendulum import DoublePendulum
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.hopper import Hopper
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.random_walk_call import RandomWalkCall
from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.stiff_push import StiffPush
from scorepath.environments.tanh_ridge import TanhRidge
from scorepath.noise import Noise, Stream
from scorepath.references.quadrature import decision_return
from scorepath.rollout import Simulator

# --- bodies with joints -----------------------------------------------------------------------------------------------

BODIES: list[SequentialEnvironment] = [
    DoublePendulum(),
    DoublePendulum(initial_angle=1.0, process_noise=0.1),
    Hopper(stiffness=500.0),
    Hopper(process_noise=0.1),
    Hopper(stiffness=20000.0),
]


@pytest.mark.parametrize("environment", BODIES, ids=label)
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


@pytest.mark.parametrize("environment", BODIES, ids=label)
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


@pytest.mark.parametrize("environment", BODIES, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_through_random_networks_are_finite(environment: Environment, dtype: torch.dtype) -> None:
    policy = make_policy(environment, "mlp", (16,))
    draws = np.random.default_rng(1).standard_normal(policy.parameter_count)
    simulator = Simulator(environment, policy, torch.from_numpy(0.5 * draws), 1.0)
    noise = Noise(environment, Stream(1, "multibody", "test"), ["a"], 64, dtype)
    trajectories = simulator.rollout(noise.rollout, differentiable=True)
    assert trajectories.returns.isfinite().all()
    assert trajectories.action_gradient(trajectories.returns).isfinite().all()


@pytest.mark.parametrize("environment", BODIES, ids=label)
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


@pytest.mark.parametrize("family", registry.names(registry.ENVIRONMENTS))
def test_additive_noise_is_added_as_it_is(family: str) -> None:
    kind = registry.load(registry.ENVIRONMENTS, family)
    for knobs in ({}, *kind.variants):
        environment = kind(**knobs)
        if (std := environment.additive_state_noise) == 0:
            continue
        state, action = randn(6, environment.state_dim), randn(6, environment.action_dim, seed=1)
        process = randn(6, environment.process_noise_dim, seed=2)
        moved, _ = environment.step(state, action, process)
        still, _ = environment.step(state, action, torch.zeros_like(process))
        assert_close(moved - still, std * process)


SEQUENTIAL = [
    name
    for name in registry.names(registry.ENVIRONMENTS)
    if name != "gymnasium" and registry.load(registry.ENVIRONMENTS, name)().horizon > 1
]


@pytest.mark.parametrize("family", SEQUENTIAL)
def test_every_sequential_environment_has_noise_on_state_and_reward(family: str) -> None:
    kind = registry.load(registry.ENVIRONMENTS, family)
    knobs = registry.knobs(kind)
    assert "reward_noise" in knobs
    noise = "slip" if "slip" in knobs else "process_noise"
    assert kind(**{noise: 0.1}).process_noise_dim > 0


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
        (DoublePendulum, {"time_step": 0.0}, "time_step"),
        (DoublePendulum, {"joint_damping": -0.1}, "joint_damping"),
        (DoublePendulum, {"horizon": 0}, "horizon"),
        (Hopper, {"stiffness": 0.0}, "stiffness"),
        (Hopper, {"stiffness": 1e6}, "stiffness"),
        (Hopper, {"spin_cost": -1.0}, "spin_cost"),
        (Hopper, {"process_noise": math.nan}, "process_noise"),
        (BouncingBall, {"restitution": 1.1}, "restitution"),
        (BouncingBall, {"restitution": math.nan}, "restitution"),
        (BouncingBall, {"launch_height": 0.0}, "launch_height"),
        (BouncingBall, {"time": -1.0}, "time"),
        (CoulombSlide, {"regularisation": -0.1}, "regularisation"),
        (CoulombSlide, {"friction": 0.0}, "friction"),
        (StiffPush, {"stiffness": 0.0}, "stiffness"),
        (StiffPush, {"damping": 0.0}, "damping"),
        (StiffPush, {"gap": -0.1}, "gap"),
        (Bump, {"steepness": 0.0}, "steepness"),
        (TanhRidge, {"dimension": 0}, "dimension"),
        (TanhRidge, {"lipschitz": -1.0}, "lipschitz"),
        (FourierField, {"dimension": 0}, "dimension"),
        (FourierField, {"waves": 0}, "waves"),
        (FourierField, {"correlation_length": 0.0}, "correlation_length"),
        (FourierField, {"field_seed": -1}, "field_seed"),
        (RandomWalkDigital, {"horizon": 0}, "horizon"),
        (RandomWalkCall, {"process_noise": -0.1}, "process_noise"),
        (AngleDoubling, {"process_noise": -0.1}, "process_noise"),
        (AngleDoubling, {"reward_noise": math.nan}, "reward_noise"),
    ],
)
def test_impossible_knobs_are_named(family: type[Environment], knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        family(**knobs)


# --- contact in one decision: kinks, but no jumps ---------------------------------------------------------------------

CONTACTS: list[Environment] = [
    BouncingBall(),
    BouncingBall(restitution=0.0, time=1.0),
    BouncingBall(restitution=0.6),
    BouncingBall(restitution=1.0, time=3.0),
    CoulombSlide(),
    CoulombSlide(regularisation=0.05),
    CoulombSlide(regularisation=0.5),
    StiffPush(stiffness=10.0),
    StiffPush(),
]


def contact(value: object) -> str | None:
    """Readable test names."""
    if not isinstance(value, Environment):
        return None
    knob = {"BouncingBall": "restitution", "CoulombSlide": "regularisation", "StiffPush": "stiffness"}
    return f"{type(value).__name__}-{getattr(value, knob[type(value).__name__]):g}"


@pytest.mark.parametrize("environment", CONTACTS, ids=contact)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_slopes_are_finite_up_to_extreme_actions(environment: Environment, dtype: torch.dtype) -> None:
    action = torch.linspace(-10, 10, 20_001, dtype=dtype, requires_grad=True)
    values = decision_return(environment, action)
    (slope,) = torch.autograd.grad(values.sum(), action)
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert slope.isfinite().all()
    torch.testing.assert_close(decision_return(environment, action[:6].reshape(6)), values[:6])


@pytest.mark.parametrize("environment", CONTACTS, ids=contact)
def test_the_return_is_continuous_as_declared(environment: Environment) -> None:
    """Its largest change between neighbours halves with their distance; a jump would stay."""
    assert environment.continuous
    largest = [
        decision_return(environment, torch.linspace(-3, 3, nodes + 1, dtype=torch.float64)).diff().abs().max().item()
        for nodes in (50_000, 100_000)
    ]
    assert 0 < largest[1] < 0.52 * largest[0]


@pytest.mark.parametrize("environment", CONTACTS, ids=contact)
def test_slopes_are_those_of_the_return(environment: Environment) -> None:
    """The integral of the derivative over any interval is the difference of the return: kinks included."""
    action = torch.linspace(-2, 2, 200_001, dtype=torch.float64)
    middle = ((action[1:] + action[:-1]) / 2).requires_grad_()
    (slope,) = torch.autograd.grad(decision_return(environment, middle).sum(), middle)
    expected = decision_return(environment, action)
    integral = expected[0] + (slope * action.diff()).cumsum(0)
    # the cell with a kink in it takes one of the two slopes for both
    kink = slope.abs().max().item() * action.diff().max().item()
    assert (integral - expected[1:]).abs().max().item() < 4 * kink
