"""Squashed actions are a part of the environment: the same physics for `bound * tanh(a)`, whatever the family."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from tests.helpers.agreement import compare
from tests.helpers.problems import randn

from scorepath import registry
from scorepath.conformance import check_environment
from scorepath.conformance.comparison import in_blocks
from scorepath.environments._squashed import OF_INNER, Squashed, squashed
from scorepath.environments.base import Environment
from scorepath.environments.bouncing_ball import BouncingBall
from scorepath.environments.cartpole import CartPole
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.boundary_corrected import BoundaryCorrected
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.reinforce import Reinforce
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator
from scorepath.unbiasedness import proved_of

FORMULAS = {
    "reference_class", "expected_return", "exact_second_moments", "crossing_noise", "flat_probability",
    "ridge_direction", "first_output", "first_mean", "open_loop_means", "differentiable_step", "discrete_actions",
    "moving_support", "relaxed_actions", "variants", "data_files",
}  # fmt: skip
"""What squashing leaves nothing of, what follows from the rest, or what it refuses."""


def test_every_member_of_the_protocol_is_decided_on() -> None:
    """A new one has to be the inner environment's, its own, or a formula that no longer holds."""
    protocol = {name for name in dir(Environment) if not name.startswith("_")} | {"source", "reference_class"}
    own = {name for name, member in vars(Squashed).items() if inspect.isfunction(member)} - set(OF_INNER)
    assert protocol == set(OF_INNER) | (own - {"squash", "__post_init__"}) & protocol | FORMULAS | {"discount"}


@pytest.mark.parametrize(
    "inner", [Pendulum(horizon=4), LQR(horizon=3, process_noise=0.1), CartPole(horizon=5), SoftStep(), BouncingBall()]
)
def test_it_conforms_and_is_the_inner_physics(inner: Environment) -> None:
    environment = squashed(inner, 0.7)
    assert check_environment(environment) == []
    state = environment.initial_state(randn(5, inner.initial_noise_dim, seed=1))
    action, noise = 3 * randn(5, inner.action_dim, seed=2), randn(5, inner.process_noise_dim, seed=3)
    for found, expected in zip(
        environment.step(state, action, noise), inner.step(state, 0.7 * torch.tanh(action), noise), strict=True
    ):
        assert torch.equal(found, expected)
    for name in OF_INNER:
        assert getattr(environment, name) == getattr(inner, name), name
    assert environment.discount == inner.discount


def test_jacobians_that_an_environment_brings_go_through_the_squashing() -> None:
    class Brings(LQR):
        def step_jacobians(self, *given: Any) -> Any:
            return Environment.step_jacobians(self, *given)

    ours, torchs = squashed(Brings(horizon=3)), squashed(LQR(horizon=3))
    assert (ours.brings_jacobians, torchs.brings_jacobians) == (True, False)
    given = randn(4, 1, seed=1), randn(4, 1, seed=2), randn(4, 1, seed=3)
    for found, expected in zip(ours.step_jacobians(*given), torchs.step_jacobians(*given), strict=True):
        torch.testing.assert_close(found, expected)
    noise = Noise(ours, Stream(0, "", ""), range(2), 4, torch.float64)
    found, expected = (Pathwise().estimate(Simulator(each, sigma=0.3), noise)[0] for each in (ours, torchs))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("inner", "estimator"),
    [
        (Cosine(frequency=2.0, phase=1.0), Reinforce()),
        (Cosine(frequency=2.0, phase=1.0), Pathwise()),
        (Step(edge=0.1), Reinforce()),
    ],
)
def test_estimators_see_it_as_part_of_the_environment(inner: Environment, estimator: Any) -> None:
    """Against the quadrature, with false alarms of at most 1e-6, and an error of 10 % is found."""
    simulator = Simulator(squashed(inner, 0.8), parameters=torch.tensor([0.3], dtype=torch.float64), sigma=0.5)
    exact = exact_reference(simulator)
    assert exact.error < 1e-3
    stream = Stream(2, "squashed", "")
    means = in_blocks(sample_batches(estimator, simulator, stream, range(2**11), 16, torch.float64).means, 128)
    assert compare(means, exact.gradient).agrees
    assert not compare(means, 1.1 * exact.gradient).agrees
    assert proved_of(estimator, simulator)


def test_a_jump_is_corrected_for_at_its_squashed_place() -> None:
    """`phi((atanh(edge / bound) - mu) / sigma) / sigma`, without any variance: the return is flat elsewhere."""
    simulator = Simulator(squashed(Step(edge=0.1), 0.8), parameters=torch.tensor([0.3]).double(), sigma=0.5)
    z = (math.atanh(0.125) - 0.3) / 0.5
    expected = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) / 0.5
    noise = Noise(simulator.environment, Stream(0, "", ""), range(2), 4, torch.float64)
    assert BoundaryCorrected().estimate(simulator, noise)[0].flatten().tolist() == pytest.approx([expected] * 2)
    assert exact_reference(simulator).gradient.item() == pytest.approx(expected, rel=1e-4)


def test_jumps_lie_where_their_squashed_actions_do() -> None:
    found = squashed(Step(edge=0.1), 0.8).jump_locations(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 0))
    assert found is not None
    assert found.flatten().tolist() == pytest.approx(
        [0.8**-1 * 0.1 + (0.125**3) / 3], rel=1e-3
    )  # atanh x ~ x + x^3 / 3
    beyond = squashed(Step(edge=0.9), 0.8).jump_locations(torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 0))
    assert beyond is not None
    assert beyond.isnan().all()


def test_smoothing_goes_inside() -> None:
    smooth = squashed(Step(edge=0.1), 0.8).smoothed(0.2)
    assert isinstance(smooth, Squashed)
    assert smooth.inner == Step(edge=0.1).smoothed(0.2)
    assert squashed(Pendulum()).smoothed(0.2) is None


@pytest.mark.parametrize("inner", [Chain(), UniformSupport()])
def test_what_has_no_real_valued_actions_is_refused(inner: Environment) -> None:
    with pytest.raises(ValueError, match=r"squash: .* has no real-valued actions with normal noise"):
        squashed(inner)
    with pytest.raises(ValueError, match="bound must be positive, got 0"):
        squashed(Cosine(), 0)


def test_every_family_can_be_squashed_or_says_why_not() -> None:
    for family in registry.names(registry.ENVIRONMENTS):
        kind = registry.load(registry.ENVIRONMENTS, family)
        if family in ("gymnasium", "mujoco"):
            continue
        if kind.discrete_actions or kind.moving_support:
            continue
        assert squashed(kind(), 0.5).action_dim == kind().action_dim
