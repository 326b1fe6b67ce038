"""Contact in one decision against independent integrations of the same mechanics; kinks, but no jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from tests.helpers.problems import at

from scorepath.environments.base import Environment
from scorepath.environments.bouncing_ball import BouncingBall
from scorepath.environments.coulomb_slide import CoulombSlide
from scorepath.environments.stiff_push import StiffPush
from scorepath.references.quadrature import decision_return
from scorepath.references.variances import exact_variance

INSTANCES: list[Environment] = [
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
ACTIONS = np.linspace(-2.0, 2.5, 10)


def label(value: object) -> str | None:
    """Readable test names."""
    if not isinstance(value, Environment):
        return None
    knob = {"BouncingBall": "restitution", "CoulombSlide": "regularisation", "StiffPush": "stiffness"}
    return f"{type(value).__name__}-{getattr(value, knob[type(value).__name__]):g}"


def returns(environment: Environment, actions: np.ndarray) -> np.ndarray:
    return decision_return(environment, torch.tensor(actions)).numpy()


# --- all of them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_slopes_are_finite_up_to_extreme_actions(environment: Environment, dtype: torch.dtype) -> None:
    action = torch.linspace(-10, 10, 20_001, dtype=dtype, requires_grad=True)
    values = decision_return(environment, action)
    (slope,) = torch.autograd.grad(values.sum(), action)
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert slope.isfinite().all()
    torch.testing.assert_close(decision_return(environment, action[:6].reshape(6)), values[:6])


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
def test_the_return_is_continuous_as_declared(environment: Environment) -> None:
    """Its largest change between neighbours halves with their distance; a jump would stay."""
    assert environment.continuous
    largest = [
        decision_return(environment, torch.linspace(-3, 3, nodes + 1, dtype=torch.float64)).diff().abs().max().item()
        for nodes in (50_000, 100_000)
    ]
    assert 0 < largest[1] < 0.52 * largest[0]


@pytest.mark.parametrize("environment", INSTANCES, ids=label)
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


@pytest.mark.parametrize(
    ("family", "knobs", "named"),
    [
        (BouncingBall, {"restitution": 1.1}, "restitution"),
        (BouncingBall, {"restitution": math.nan}, "restitution"),
        (BouncingBall, {"launch_height": 0.0}, "launch_height"),
        (BouncingBall, {"time": -1.0}, "time"),
        (CoulombSlide, {"regularisation": -0.1}, "regularisation"),
        (CoulombSlide, {"friction": 0.0}, "friction"),
        (StiffPush, {"stiffness": 0.0}, "stiffness"),
        (StiffPush, {"damping": 0.0}, "damping"),
        (StiffPush, {"gap": -0.1}, "gap"),
    ],
)
def test_impossible_knobs_are_named(family: type[Environment], knobs: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        family(**knobs)


# --- bouncing ball -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("restitution", [0.0, 0.6, 0.8, 1.0])
def test_ball_bounces_as_integrated_with_events(restitution: float) -> None:
    environment = BouncingBall(restitution=restitution, time=2.5, target=0.3)

    def ground(t: float, s: np.ndarray) -> float:
        return s[0]

    ground.terminal, ground.direction = True, -1.0

    def height(speed: float) -> float:
        t, s = 0.0, np.array([environment.launch_height, speed])
        while True:
            span = (t, environment.time)
            flight = solve_ivp(lambda _, s: [s[1], -environment.gravity], span, s, events=ground, rtol=1e-10)
            if flight.status == 0:
                return flight.y[0, -1]
            t, s = flight.t[-1], np.array([0.0, -restitution * flight.y[1, -1]])
            if s[1] < 1e-3:  # it will never again be higher than 1e-7 m
                return 0.0

    expected = [-((height(environment.nominal_speed + a) - environment.target) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment, ACTIONS), expected, atol=1e-6)


def test_a_ball_that_lies_still_has_no_slope() -> None:
    environment = BouncingBall(restitution=0.3, target=0.5)
    action = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
    values = decision_return(environment, action)
    assert values.tolist() == [-0.25] * 5
    assert torch.autograd.grad(values.sum(), action)[0].tolist() == [0.0] * 5


# --- stiff push --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stiffness", "tolerance"), [(10.0, 1e-3), (1000.0, 2e-2)])
def test_the_box_slides_as_integrated_to_small_errors(stiffness: float, tolerance: float) -> None:
    environment = StiffPush(stiffness=stiffness, mass=0.8)

    def displacement(speed: float) -> float:
        def rate(t: float, s: np.ndarray) -> list[float]:
            force = stiffness * max(speed * t - environment.gap - s[0], 0.0)
            return [s[1], (force - environment.damping * s[1]) / environment.mass]

        moved, velocity = solve_ivp(
            rate, (0, environment.push_time), [0.0, 0.0], rtol=1e-8, atol=1e-10, max_step=0.01
        ).y[:, -1]
        return moved + velocity * environment.mass / environment.damping

    expected = [-((displacement(environment.nominal_speed + a) - environment.goal) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment, ACTIONS), expected, atol=tolerance)


def test_a_pusher_that_does_not_arrive_moves_nothing() -> None:
    environment = StiffPush()
    action = torch.tensor([-5.0, -0.2, -0.11], dtype=torch.float64, requires_grad=True)
    values = decision_return(environment, action)
    assert values.tolist() == [-1.0] * 3
    assert torch.autograd.grad(values.sum(), action)[0].tolist() == [0.0] * 3


def test_stiffness_flips_the_winner() -> None:
    """At sigma = 0.1 pathwise has less variance than leave-one-out on the soft contact, and more on the stiff one."""

    def variances(stiffness: float) -> tuple[float, float]:
        start = at(StiffPush(stiffness=stiffness), 0.0, 0.1)
        pathwise, score_function = (
            exact_variance(method, start, 4096, tolerance=1e-3) for method in ("pathwise", "leave_one_out")
        )
        assert pathwise is not None
        assert score_function is not None
        return pathwise, score_function

    soft, below, above, stiff = (variances(stiffness) for stiffness in (10.0, 100.0, 150.0, 1000.0))
    assert soft[0] / soft[1] < 0.2
    assert below[0] < below[1]
    assert above[0] > above[1]
    assert stiff[0] / stiff[1] > 2
    assert stiff[0] > 40 * soft[0]


# --- Coulomb slide -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("regularisation", [0.05, 0.5])
def test_the_block_slides_as_integrated(regularisation: float) -> None:
    environment = CoulombSlide(regularisation=regularisation)

    def displacement(push: float) -> float:
        def rate(t: float, s: np.ndarray) -> list[float]:
            drive = push / environment.mass if t < environment.push_time else 0.0
            grip = environment.friction * environment.gravity * np.clip(s[1] / regularisation, -1, 1)
            return [s[1], drive - grip]

        s = np.zeros(2)
        for span in ((0.0, environment.push_time), (environment.push_time, 8.0)):
            # the drive belongs to the open interval
            s = solve_ivp(
                rate, (span[0], np.nextafter(span[1], 0)), s, rtol=1e-8, atol=1e-10, method="LSODA", max_step=0.05
            ).y[:, -1]
        return s[0]

    expected = [-((displacement(environment.nominal_push + a) - environment.goal) ** 2) for a in ACTIONS]
    np.testing.assert_allclose(returns(environment, ACTIONS), expected, atol=1e-4)


def test_coulombs_law_is_the_textbooks() -> None:
    """Uniform acceleration under the push, then `v^2 / (2 mu g)`; nothing moves inside the friction limit."""
    environment = CoulombSlide()
    grip = environment.friction * environment.gravity
    push = environment.nominal_push + ACTIONS
    acceleration = np.maximum(np.abs(push) / environment.mass - grip, 0)
    speed = acceleration * environment.push_time
    moved = np.sign(push) * (acceleration * environment.push_time**2 / 2 + speed**2 / (2 * grip))
    np.testing.assert_allclose(returns(environment, ACTIONS), -((moved - environment.goal) ** 2), rtol=1e-12)
    assert {bool(value) for value in moved == 0} == {True, False}

    stuck = torch.linspace(-1.8, 0.05, 9, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(decision_return(environment, stuck).sum(), stuck)
    assert slope.tolist() == [0.0] * 9


def test_smoothing_spreads_the_kink() -> None:
    environment = CoulombSlide()
    assert environment.smoothed(0.0) == environment
    assert environment.smoothed(0.2) == CoulombSlide(regularisation=0.2)
    stuck = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    slopes = []
    for width in (0.1, 0.01, 0.001):
        (slope,) = torch.autograd.grad(decision_return(environment.smoothed(width), stuck).sum(), stuck)
        slopes.append(slope.item())
    # the block creeps at a speed proportional to the width
    assert slopes[0] > 0.05
    np.testing.assert_allclose(np.array(slopes[:2]) / np.array(slopes[1:]), 10, rtol=0.1)
