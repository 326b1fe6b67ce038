"""Policies with a standard deviation of their own: both parts of every signal against exact gradients.

Exact are closed forms that the tests write down themselves, and where a state-dependent standard deviation leaves none,
autograd by the parameters through the whole simulation. Means of estimates are judged as in tests/statistical: a false
alarm rate of at most 1e-6 for each comparison, and an error of 10 % in either part is shown to be found.
"""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from tests.helpers.agreement import compare
from torch import Tensor, nn

from scorepath import registry
from scorepath.conformance.comparison import in_blocks
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.step import Step
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.antithetic import Antithetic
from scorepath.estimators.base import Estimator
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.measure_valued import MeasureValued
from scorepath.estimators.pathwise import Pathwise
from scorepath.estimators.per_step_inverse_variance import PerStepInverseVariance
from scorepath.estimators.quasi_monte_carlo import QuasiMonteCarlo
from scorepath.estimators.reward_to_go import RewardToGo
from scorepath.estimators.total_propagation import TotalPropagation
from scorepath.inquiry import measure
from scorepath.measurement import sample_batches
from scorepath.modules import ModulePolicy
from scorepath.noise import Noise, Stream
from scorepath.policies import LearnedStd, Network, OpenLoop, Policy
from scorepath.pullback import mean_gradients
from scorepath.references.estimates import measure_valued, score_function
from scorepath.references.exact import exact_reference, reference_class
from scorepath.rollout import Simulator
from scorepath.signals import signal_moments

SIGMA, MEAN, LOG_STD = 0.5, 0.3, -0.4
BLOCKS = 128
WRONG = 1.1
SAMPLES: dict[type[Estimator], int] = {Antithetic: 2**17, QuasiMonteCarlo: 2**16}
"""Of estimators whose blocks would be too skewed otherwise."""


def cosine(theta: Tensor) -> Tensor:
    """`E cos(k a + p) = exp(-(k s sigma)^2 / 2) cos(k mu + p)`."""
    return torch.exp(-((2.0 * SIGMA * theta[1].exp()) ** 2) / 2) * torch.cos(2.0 * theta[0] + 0.3)


def quadratic(theta: Tensor) -> Tensor:
    """`E -|a - c|^2 = -|mu - c|^2 - sigma^2 sum s_i^2`, in three dimensions with c = 1."""
    return -(theta[:3] - 1.0).square().sum() - SIGMA**2 * (2 * theta[3:]).exp().sum()


def step(theta: Tensor) -> Tensor:
    """`P(a >= edge)`."""
    return torch.special.ndtr((theta[0] - 0.1) / (SIGMA * theta[1].exp()))


LONG = LQR(horizon=4, dynamics=((0.8,),), initial_std=0.3, process_noise=0.3, discount=0.9)


def lqr(theta: Tensor) -> Tensor:
    """The recursion of the covariance at the noise level sigma s, which one action coordinate has."""
    gain = Network((1, 1), bias=False)
    return LONG.expected_return(gain, theta[:1], SIGMA * theta[1].exp())  # type: ignore[arg-type]


EXACT = {
    "cosine": (Cosine(frequency=2.0, phase=0.3), cosine, [MEAN, LOG_STD]),
    "quadratic": (Quadratic(dimension=3, offset=1.0), quadratic, [0.3, 0.5, -0.2, LOG_STD, 0.2, 0.0]),
    "step": (Step(edge=0.1), step, [MEAN, LOG_STD]),
    "lqr": (LONG, lqr, [-0.4, LOG_STD]),
}


def problem(name: str) -> tuple[Simulator, Tensor]:
    """A simulator with a learned standard deviation, and the exact gradient by both parts."""
    environment, objective, values = EXACT[name]
    theta = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective(theta), theta)
    policy = make_policy(environment, standard_deviation="learned")
    return Simulator(environment, policy, theta.detach(), SIGMA), gradient


def estimators(environment: Environment) -> dict[str, Estimator]:
    found = {name: registry.load(registry.ESTIMATORS, name)() for name in registry.names(registry.ESTIMATORS)}
    kinds = InverseVariance, PerStepInverseVariance, TotalPropagation
    found |= {f"{kind.__name__}, independent": kind(weights="independent_batch") for kind in kinds}
    policy = make_policy(environment, standard_deviation="learned")
    return {
        name: each
        for name, each in found.items()
        if each.unbiased(environment)
        and not (each.not_applicable(environment, SIGMA) or each.not_applicable_to(policy))
    }


UNBIASED = [
    pytest.param(name, each, id=f"{name}-{key}") for name in EXACT for key, each in estimators(EXACT[name][0]).items()
]


@pytest.mark.parametrize(("name", "estimator"), UNBIASED)
def test_both_parts_are_unbiased(name: str, estimator: Estimator) -> None:
    simulator, exact = problem(name)
    size = 64 if estimator.needs_past else 16
    batches = SAMPLES.get(type(estimator), 2**15) // size
    stream = Stream(3, name, "own standard deviation")
    means = in_blocks(sample_batches(estimator, simulator, stream, range(batches), size, torch.float64).means, BLOCKS)
    found = compare(means, exact)
    assert found.agrees, str(found)


def test_every_unbiased_kind_is_among_them() -> None:
    ids = {str(each.id) for each in UNBIASED}
    for method in ("reinforce", "reward_to_go", "leave_one_out", "state_value_baseline", "pathwise", "antithetic"):
        assert f"lqr-{method}" in ids
    assert {"lqr-InverseVariance, independent", "lqr-TotalPropagation, independent", "step-reinforce"} <= ids
    assert not {"step-pathwise", "lqr-measure_valued", "step-boundary_corrected"} & ids


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("part", ["mean", "log_std"])
def test_an_error_of_a_tenth_in_either_part_is_found(name: str, part: str) -> None:
    simulator, exact = problem(name)
    stream = Stream(3, name, "own standard deviation")
    method = registry.load(registry.ESTIMATORS, "leave_one_out" if name == "step" else "pathwise")()
    means = in_blocks(sample_batches(method, simulator, stream, range(2**13), 16, torch.float64).means, BLOCKS)
    half = len(exact) // 2
    wrong = exact.clone()
    wrong[slice(None, half) if part == "mean" else slice(half, None)] *= WRONG
    assert not compare(means, wrong).agrees
    assert compare(means, exact).agrees


@pytest.mark.parametrize("name", EXACT)
def test_mixtures_of_the_same_batch_are_off_by_less_than_their_error(name: str) -> None:
    """They are biased by O(1 / N), for the weight knows what it multiplies: with 512 samples that is not to be seen."""
    simulator, exact = problem(name)
    if not simulator.environment.continuous:
        pytest.skip("pathwise is blind to jumps, and so is a mixture with it")
    for estimator in (InverseVariance(), TotalPropagation()):
        stream = Stream(5, name, "same batch")
        means = sample_batches(estimator, simulator, stream, range(BLOCKS), 512, torch.float64).means
        found = compare(means, exact)
        assert found.agrees, str(found)


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


@pytest.mark.parametrize("name", EXACT)
def test_estimates_behind_references_agree(name: str) -> None:
    simulator, exact = problem(name)
    for estimate in (score_function, measure_valued):
        means = estimate(simulator, Stream(1, name, "reference"), BLOCKS, 512)
        found = compare(means, exact)
        assert found.agrees, f"{estimate.__name__}: {found}"


# --- several steps, and a standard deviation that answers the state ---------------------------------------------------


def actor(observations: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(observations, 8), nn.SiLU(), nn.Linear(8, outputs))


ONES_OWN: dict[str, tuple[Environment, Policy]] = {
    "module": (Pendulum(horizon=7), ModulePolicy(partial(actor, 3, 2), 3, 2, log_std=True)),
    "module, learned": (Pendulum(horizon=7), LearnedStd(ModulePolicy(partial(actor, 3, 1), 3, 1))),
    "network": (Pendulum(horizon=7), make_policy(Pendulum(), "mlp", (8,), "tanh", "state_dependent")),
    "elu": (Pendulum(horizon=7), make_policy(Pendulum(), "mlp", (8,), "elu", "state_dependent")),
    "linear": (LONG, make_policy(LONG, "linear", standard_deviation="state_dependent")),
    "one step": (Cosine(frequency=2.0), make_policy(Cosine(), "mlp", (4,), "gelu", "state_dependent")),
}


def own_simulator(name: str) -> Simulator:
    environment, policy = ONES_OWN[name]
    generator = torch.Generator().manual_seed(2)
    parameters = 0.4 * torch.randn(policy.parameter_count, generator=generator, dtype=torch.float64)
    return Simulator(environment, policy, parameters, SIGMA)


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


@pytest.mark.parametrize("name", ["module", "network", "linear"])
def test_the_score_function_agrees_with_pathwise(name: str) -> None:
    simulator = own_simulator(name)
    stream = Stream(0, name, "agreement")
    one, other = (
        sample_batches(each, simulator, stream, range(BLOCKS), 256, torch.float64).means
        for each in (RewardToGo(), Pathwise())
    )
    found = compare(one - other, torch.zeros(one.shape[1], dtype=torch.float64))
    assert found.agrees, str(found)


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
