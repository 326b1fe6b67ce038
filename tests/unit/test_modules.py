"""Modules, and a standard deviation of a policy's own: scores, pathwise signals and references, without chance."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.own_std import EXACT, LONG, MEAN, ONES_OWN, SIGMA, own_simulator, problem
from torch import Tensor

from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.measure_valued import MeasureValued
from scorepath.estimators.pathwise import Pathwise
from scorepath.inquiry import measure
from scorepath.noise import Noise, Stream
from scorepath.policies import LearnedStd, OpenLoop
from scorepath.pullback import mean_gradients
from scorepath.references.exact import exact_reference, reference_class
from scorepath.rollout import Simulator
from scorepath.signals import signal_moments


@pytest.mark.parametrize("name", ["cosine", "step"])
def test_a_quadrature_knows_both_parts(name: str) -> None:
    simulator, exact = problem(name)
    assert reference_class(simulator.environment, simulator.policy) == "quadrature"
    found = exact_reference(simulator)
    objective = EXACT[name][1](simulator.parameters)
    precision = 1e-9 if name == "cosine" else 1e-4  # of the midpoint rule across a jump
    torch.testing.assert_close(found.gradient, exact, rtol=precision, atol=precision)
    assert found.objective == pytest.approx(objective.item(), rel=precision)
    assert (found.gradient - exact).norm().item() <= 4 * found.error + 1e-9


def test_without_noise_the_policy_is_deterministic() -> None:
    simulator, _ = problem("cosine")
    still = simulator.with_sigma(0.0)
    found = exact_reference(still).gradient
    assert found.tolist() == pytest.approx([-2.0 * math.sin(2.0 * MEAN + 0.3), 0.0])
    noise = Noise(still.environment, Stream(0, "", ""), range(2), 8, torch.float64)
    assert still.returns(noise.rollout).std() == 0
    assert torch.allclose(Pathwise().estimate(still, noise)[0], found)


@pytest.mark.parametrize("name", ONES_OWN)
def test_pathwise_is_autograd_through_the_rollout(name: str) -> None:
    simulator = own_simulator(name)
    noise = Noise(simulator.environment, Stream(0, name, ""), range(3), 5, torch.float64)
    parameters = simulator.parameters.expand(3, -1).clone().requires_grad_()
    rollout = Simulator(simulator.environment, simulator.policy, parameters, SIGMA).rollout(
        noise.rollout, differentiable=True
    )
    (expected,) = torch.autograd.grad(rollout.returns.mean(1).sum(), parameters)
    trajectories, signal = Pathwise().signal(simulator, noise)
    assert signal.shape == (3, 5, simulator.environment.horizon, simulator.policy.output_dim)
    torch.testing.assert_close(mean_gradients(trajectories, signal), expected, rtol=1e-10, atol=1e-11)
    # the part of log s is what the part of mu is through the action
    own = trajectories.through_action(signal[..., : signal.shape[-1] // 2])
    torch.testing.assert_close(own, signal, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ONES_OWN)
def test_the_score_is_the_derivative_of_the_log_density(name: str) -> None:
    simulator = own_simulator(name)
    noise = Noise(simulator.environment, Stream(0, name, ""), range(2), 3, torch.float64)
    trajectories = simulator.rollout(noise.rollout)
    function = simulator.policy.function(simulator.parameters)
    outputs = torch.stack([function(each, t)[-1] for t, each in enumerate(trajectories.observations.unbind(2))], 2)
    outputs = outputs.detach().requires_grad_()
    mean, log_std = simulator.policy.split(outputs)
    assert log_std is not None
    density = torch.distributions.Normal(mean, SIGMA * log_std.exp()).log_prob(trajectories.actions)
    (expected,) = torch.autograd.grad(density.sum(), outputs)
    torch.testing.assert_close(trajectories.score, expected, rtol=1e-8, atol=1e-9)


def test_the_roughness_of_a_linear_return_is_zero_whatever_the_standard_deviation() -> None:
    """With returns that are linear in the noise the mean degree is 1: `slope = Var R`, in units of sigma eps."""

    class Linear(Quadratic):
        def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
            return state, action.sum(-1)

    policy = LearnedStd(OpenLoop(1, 2))
    simulator = Simulator(Linear(dimension=2), policy, torch.tensor([0.0, 0.0, 1.0, -2.0], dtype=torch.float64), SIGMA)
    found = signal_moments(simulator, Noise(simulator.environment, Stream(0, "", ""), range(8), 512, torch.float64))
    variance = SIGMA**2 * (math.exp(2) + math.exp(-4))
    assert found.slope == pytest.approx(variance)
    assert found.signal_variance == pytest.approx(0, abs=1e-12)
    assert found.return_variance == pytest.approx(variance, rel=0.15)  # 4096 samples: 2.2 % is one standard error


# --- what it is not for -----------------------------------------------------------------------------------------------


def test_what_knows_the_mean_alone_says_so() -> None:
    simulator, _ = problem("cosine")
    with pytest.raises(ValueError, match="does not exist here: the policy has a standard deviation of its own"):
        measure(MeasureValued(), simulator)
    with pytest.raises(ValueError, match="that of the noise level alone, but the policy has a standard deviation"):
        simulator.environment.expected_return(simulator.policy, simulator.parameters, SIGMA)
    with pytest.raises(ValueError, match="affine in the state: open_loop or linear, without a standard deviation"):
        LONG.expected_return(make_policy(LONG, "linear", standard_deviation="learned"), torch.zeros(2), SIGMA)
    noise = Noise(simulator.environment, Stream(0, "", ""), range(2), 3)
    trajectories = simulator.rollout(noise.rollout)
    with pytest.raises(
        ValueError, match=r"the signal is 1 wide, but the policy's output 2: Trajectories.through_action"
    ):
        mean_gradients(trajectories, trajectories.action_noise)


@pytest.mark.parametrize("environment", [Chain(), UniformSupport()])
def test_noise_without_a_standard_deviation_leaves_none_to_choose(environment: Environment) -> None:
    with pytest.raises(ValueError, match=r"standard_deviation is learned, but here .*: it must be fixed"):
        make_policy(environment, standard_deviation="learned")


def test_an_open_loop_policy_answers_no_state() -> None:
    with pytest.raises(
        ValueError, match="standard_deviation is state_dependent, but an open_loop policy sees no state"
    ):
        make_policy(BallWithWall(), "open_loop", standard_deviation="state_dependent")
