"""Certified Monte Carlo: right where it certifies, and never certain of what is wrong. Seeds are fixed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from tests.helpers.advised import HeavyReward
from tests.helpers.problems import at
from tests.helpers.strangers import ramp
from torch import Tensor

from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.cosine import Cosine
from scorepath.environments.gymnasium import Gymnasium
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.noise import Stream
from scorepath.references import estimates, monte_carlo
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import MonteCarloReference, certified_reference
from scorepath.references.witnesses import ROUNDING, witness
from scorepath.rollout import Simulator

SYSTEM = LQR(horizon=4, initial_mean=1.0, initial_std=0.3, discount=0.9)
GAIN = torch.tensor([0.2], dtype=torch.float64)
BUDGET = 0.25


def certify(
    environment: Environment, parameters: torch.Tensor, sigma: float = 0.5, samples: int = 2**15
) -> MonteCarloReference:
    stream = Stream(3, "test", "reference/0")
    return certified_reference(at(environment, parameters, sigma), stream, samples, 64, BUDGET)


@pytest.mark.parametrize("sigma", [0.5, 0.0])
def test_a_certified_reference_agrees_with_the_exact_gradient(sigma: float) -> None:
    """LQR treated as if nothing exact were known: certified, and within 5 of its standard errors (6e-7)."""
    found = certify(SYSTEM, GAIN, sigma)
    exact = exact_reference(at(SYSTEM, GAIN, sigma)).gradient
    assert found.gradients.shape == (64, 1)
    assert found.gradients.dtype == torch.float64
    assert found.certified
    assert found.certified_by.startswith("agrees with")
    assert "finite differences" in found.certified_by
    assert ("score function" in found.certified_by) == (sigma > 0)
    assert (found.gradients.mean(0) - exact).norm().item() < 5 * found.standard_error
    assert found.standard_error < 0.01 * exact.norm().item()
    if sigma > 0:  # 64 batches of 2**15 // 64 // 24 branches: an event of 3 in so many is met by none in one of 20
        assert found.certified_by.endswith("if more than one trajectory in 448 makes it")
    # the stated error is that of the mean of independent blocks
    assert found.standard_error == pytest.approx(found.gradients.std().item() / 8, rel=1e-6)


def test_a_policy_with_hidden_layers_is_certified() -> None:
    policy = make_policy(Pendulum(horizon=5), hidden=(8,))
    parameters = policy.initial_parameters(np.random.default_rng(0))
    found = certified_reference(
        Simulator(Pendulum(horizon=5), policy, parameters, 0.3), Stream(3, "test", ""), 2**14, 64, BUDGET
    )
    assert found.certified


@pytest.mark.parametrize(("frequency", "rejected"), [(2.0, "score function"), (20.0, "reverse mode")])
def test_the_more_precise_estimate_is_the_reference(frequency: float, rejected: str) -> None:
    """Where ripples are finer than the noise, the derivative's variance k^2 / 2 exceeds the score's 1 / (2 sigma^2)."""
    found = certify(Cosine(frequency=frequency, phase=1.0), torch.zeros(1, dtype=torch.float64), 0.3, 2**13)
    assert rejected in found.certified_by
    assert 2**13 * found.standard_error**2 < min(frequency**2 / 2, 1 / (2 * 0.3**2)) * 1.5


def test_an_error_beyond_the_budget_is_not_certified() -> None:
    """Both estimates agree, but know too little."""
    found = certified_reference(at(SYSTEM, GAIN, 0.5), Stream(3, "test", "few"), 128, 64, 1e-3)
    assert not found.certified
    assert found.certified_by.startswith("not certified: its error exceeds 0.001 of its length; agrees with")


@pytest.mark.parametrize("wrong", ["reverse_mode", "finite_differences", "score_function"])
def test_a_wrong_estimate_is_not_certified(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 % off in any of the three is enough to refuse; the same samples certify what is right."""
    right = getattr(estimates, wrong)
    monkeypatch.setattr(estimates, wrong, lambda *arguments: 1.1 * right(*arguments))
    found = certify(SYSTEM, GAIN, samples=2**18)
    assert not found.certified
    assert found.certified_by.startswith("not certified: disagrees with")


class CalledContinuous(Step):
    """A step that claims to have none."""

    continuous = True


@pytest.mark.parametrize("environment", [CalledContinuous(), Step()], ids=["undeclared", "declared"])
def test_at_a_jump_no_derivative_is_taken(environment: Environment) -> None:
    """Whether it is declared or found: then that is said. Within 5 standard errors (6e-7)."""
    found = certify(environment, torch.zeros(1, dtype=torch.float64), sigma=0.1)
    assert found.certified
    assert (found.jump is not None) == environment.continuous
    exact = exact_reference(at(environment, 0.0, 0.1))
    assert (found.gradients.mean(0) - exact.gradient).norm().item() < 5 * found.standard_error


def test_a_gradient_blind_to_jumps_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reverse mode is wrong at a jump that escaped the search, and all witnesses say so."""
    monkeypatch.setattr(monte_carlo, "found_jump", lambda *_: None)
    found = certify(CalledContinuous(), torch.zeros(1, dtype=torch.float64), sigma=0.1)
    assert not found.certified
    for name in ("score function", "measure-valued derivative", "finite differences"):
        assert name in found.certified_by


def test_the_estimates_share_no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of their own, none of them that of the measurement, so that agreement is evidence."""
    purposes = []
    for name in ("reverse_mode", "finite_differences", "score_function"):
        original = getattr(estimates, name)

        def record(simulator: Simulator, stream: Stream, *rest: Any, original: Any = original) -> Tensor:
            purposes.append(stream.purpose)
            found: Tensor = original(simulator, stream, *rest)
            return found

        monkeypatch.setattr(estimates, name, record)
    certify(SYSTEM, GAIN, samples=256)
    for own in ("reverse mode", "reverse mode, pilot", "score function, pilot"):
        assert purposes.count(f"reference/0/{own}") == 1
    assert all(purpose.startswith("reference/0/") for purpose in purposes)


STREAM = Stream(5, "test", "gymnasium")
SMALL_CHAIN = Chain(states=3, horizon=3, discount=0.8)
DISCONTINUOUS = [(Step(edge=0.3), 0.3), (SMALL_CHAIN, 0.7)]


def reference(environment: Environment, sigma: float, samples: int = 2**15) -> monte_carlo.MonteCarloReference:
    return certified_reference(at(environment, 0.1, sigma), STREAM, samples, 64, error_budget=0.25)


@pytest.mark.parametrize(
    ("environment", "sigma", "check"),
    [(*DISCONTINUOUS[0], "score function"), (*DISCONTINUOUS[1], "measure-valued derivative")],
    ids=["step", "chain"],
)
def test_a_reference_without_derivatives_is_certified_and_right(
    environment: Environment, sigma: float, check: str
) -> None:
    """Within 5 of its standard errors (6e-7 for one parameter, less for more)."""
    found = reference(environment, sigma)
    assert found.certified_by.startswith(f"agrees with {check}")
    assert (
        found.gradients.mean(0) - exact_reference(at(environment, 0.1, sigma)).gradient
    ).norm() < 5 * found.standard_error


@pytest.mark.parametrize("wrong", ["score_function", "measure_valued"])
@pytest.mark.parametrize(("environment", "sigma"), DISCONTINUOUS, ids=["step", "chain"])
def test_a_wrong_one_is_not_certified(
    environment: Environment, sigma: float, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 % off in either is enough to refuse."""
    right = getattr(estimates, wrong)
    monkeypatch.setattr(estimates, wrong, lambda *arguments: 1.1 * right(*arguments))
    found = reference(environment, sigma, samples=2**17)
    assert not found.certified
    assert found.certified_by.startswith("not certified: disagrees with")


def test_measure_valued_branches_in_every_coordinate() -> None:
    """Two actions, three steps, discounting: within 5 standard errors of the exact gradient."""
    system = LQR(
        horizon=3, dynamics=((1.0, 0.3), (0.0, 0.9)), control=((0.3, 0.1), (1.0, 0.2)), initial_mean=1.0, discount=0.9
    )
    found = estimates.measure_valued(at(system, 0.1, 0.5), STREAM, 64, 512)
    error = (found.mean(0) - exact_reference(at(system, 0.1, 0.5)).gradient).norm()
    assert error < 5 * (found.var(0).sum() / 64).sqrt()
    assert error < 0.05 * exact_reference(at(system, 0.1, 0.5)).gradient.norm()


def test_without_noise_nothing_certifies() -> None:
    """The estimate itself is right where the return is smooth: a LQR that says its steps cannot be differentiated."""

    class Opaque(LQR):
        differentiable: ClassVar[bool] = False

    system = Opaque(horizon=4, initial_mean=1.0, initial_std=0.3)
    found = reference(system, 0.0)
    assert not found.certified
    assert "no second estimate" in found.certified_by
    assert found.gradients.shape == (64, 1)
    # averaging over perturbations of 0.01 moves this gradient by far less than the error of the estimate
    assert (found.gradients.mean(0) - exact_reference(at(system, 0.1, 0.0)).gradient).norm() < 5 * found.standard_error
    assert found.standard_error < 0.05 * exact_reference(at(system, 0.1, 0.0)).gradient.norm()


@pytest.mark.slow
def test_gymnasiums_pendulum_has_the_gradient_of_ours() -> None:
    """Measure-valued in Gymnasium against reverse mode in torch: start distribution and dynamics are the same."""
    both = (at(environment(horizon=4), [0.5, 0.5, -0.3], 0.5, "linear") for environment in (Gymnasium, Pendulum))
    theirs = estimates.measure_valued(next(both), STREAM, 64, 32)
    ours = estimates.reverse_mode(next(both), STREAM, 64, 512)
    assert witness("", theirs - ours).agrees
    assert not witness("", theirs - 1.2 * ours).agrees, "an error of 20 % would go unnoticed"


class SlowFall(Environment):
    """A bonus per step until a fall after twenty steps or more; that it jumps is not declared."""

    horizon = 40
    state_dim = 2
    initial_noise_dim = 1
    reference_class = "certified_monte_carlo"
    default_policy = "linear"

    def initial_state(self, noise: Tensor) -> Tensor:
        return torch.cat([0.05 * noise, torch.zeros_like(noise)], -1)

    def active(self, state: Tensor) -> Tensor:
        return state[..., 0].abs() <= 1.0

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        angle, speed = state.unbind(-1)
        speed = speed + 0.1 * (angle + 0.2 * action[..., 0])
        going = self.active(state)
        moved = torch.stack([angle + 0.1 * speed, speed], -1)
        return torch.where(going[..., None], moved, state), going * (1.0 - 0.1 * angle * angle)


FALLING = torch.tensor([-1.66, -1.10], dtype=torch.float64)
"""Its gradient at zero gain and sigma = 0.1, by differences over 200,000 trajectories: ± 0.01."""


def test_a_jump_that_is_not_declared_is_found_and_not_differentiated() -> None:
    """The reference is then the measure-valued derivative, within 5 of its standard errors, and says what is wrong."""
    found = certify(SlowFall(), torch.zeros(2, dtype=torch.float64), 0.1)
    assert found.jump is not None
    assert found.jump.share == 0
    assert (found.gradients.mean(0) - FALLING).norm() < 5 * (found.standard_error + 0.01)
    assert found.certified == (found.noticeable <= monte_carlo.UNNOTICED)


def test_a_ramp_that_no_sample_falls_on_is_a_jump_to_a_reference() -> None:
    """It is not differentiated: the gradient is that of the same jump, within 5 standard errors of both (6e-7)."""
    origin = torch.zeros(3, dtype=torch.float64)
    steep = certify(ramp(1e-6, height=1.0, edge=0.02), origin, 0.3, 2**14)
    assert steep.jump is not None
    assert steep.jump.size == pytest.approx(1.0, rel=0.01)
    assert not steep.jump.is_met(4096)
    assert steep.estimated_by == "score function"
    jump = certify(ramp(1e-12, height=1.0, edge=0.02), origin, 0.3, 2**14)
    difference = steep.gradients.mean(0) - jump.gradients.mean(0)
    assert difference.norm() < 5 * (steep.standard_error + jump.standard_error)


def test_a_jump_that_escapes_the_search_is_seen_by_the_witnesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure-valued derivative and long differences see it; the score function is too noisy to."""
    monkeypatch.setattr(monte_carlo, "found_jump", lambda *_: None)
    found = certify(SlowFall(), torch.zeros(2, dtype=torch.float64), 0.1)
    assert not found.certified
    assert found.certified_by.startswith("not certified: disagrees with measure-valued derivative")
    assert "finite differences" in found.certified_by


def test_witnesses_that_would_see_nothing_certify_nothing() -> None:
    """A step at low noise and few samples: both agree, but a bias of the gradient's own size would go unnoticed."""
    found = certify(Step(edge=0.3), torch.zeros(1, dtype=torch.float64), 0.3, samples=256)
    assert not found.certified
    assert "would go unnoticed; agrees with" in found.certified_by
    assert found.noticeable > monte_carlo.UNNOTICED


class Walk(Environment):
    """A wholly deterministic simulator at sigma = 0, with rewards in some unit."""

    horizon = 10
    reference_class = "certified_monte_carlo"
    default_policy = "linear"
    unit = 1.0
    salary = 0.0

    def initial_state(self, noise: Tensor) -> Tensor:
        return noise.new_ones(*noise.shape[:-1], 1)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state + 0.1 * action, self.salary - self.unit * state.square().sum(-1)


def test_a_reward_that_hides_its_differences_in_single_precision_refuses_nothing() -> None:
    """1e6 at every step: the measure-valued derivative loses all of a difference, the derivative nothing."""
    plain, paid = (
        certify(type("Paid", (Walk,), {"salary": salary})(), torch.zeros(1, dtype=torch.float64), 0.3, 2**14)
        for salary in (0.0, 1e6)
    )
    assert (plain.estimated_by, paid.estimated_by) == ("reverse mode", "reverse mode")
    assert paid.certified, paid.certified_by
    assert paid.gradients.mean().item() == pytest.approx(plain.gradients.mean().item(), rel=1e-6)
    assert plain.noticeable < 1e-3
    assert paid.noticeable < 0.01, "what rounding leaves of a nudge"


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_a_reference_has_the_unit_of_the_reward_and_nothing_else_of_it(sigma: float) -> None:
    """Bit for bit, by a power of two; and what is deterministic is certified, rounding and all."""
    small = type("Small", (Walk,), {"unit": 2.0**-40})()
    one, other = (certify(each, torch.zeros(1, dtype=torch.float64), sigma) for each in (Walk(), small))
    assert one.certified
    assert torch.equal(one.gradients * 2.0**-40, other.gradients)
    assert (one.certified, one.certified_by, one.noticeable) == (other.certified, other.certified_by, other.noticeable)
    if sigma == 0:
        assert one.gradients.mean().item() == pytest.approx(-9.0, rel=1e-9)
        assert one.noticeable < 1e-3


def in_single(kind: type[Environment], factor: float) -> type[Environment]:
    """The same environment, with rewards that are off by a factor in single precision alone."""

    class Faulty(kind):  # type: ignore[valid-type, misc]
        def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
            state, reward = super().step(state, action, process_noise)
            return state, reward * (factor if reward.dtype == torch.float32 else 1.0)

    return Faulty


@pytest.mark.parametrize(("kind", "factor"), [(Walk, 1.005), (Step, 1.2)], ids=["derivative", "score function"])
def test_where_single_precision_is_wrong_the_reference_is_in_double(kind: type[Environment], factor: float) -> None:
    """But for rounding what it is without the fault, which would move it by more than twice its standard error."""
    origin = torch.zeros(1, dtype=torch.float64)
    faulty, right = (certify(each(), origin, 0.3) for each in (in_single(kind, factor), kind))
    assert faulty.certified
    assert right.certified
    assert "double precision" in right.certified_by
    assert "double precision" not in faulty.certified_by
    difference = (faulty.gradients - right.gradients).mean(0).norm().item()
    assert difference < 1e-4 * right.gradients.mean(0).norm().item()
    assert (factor - 1) * right.gradients.mean(0).norm().item() > 2 * right.standard_error


def test_a_certificate_promises_no_more_than_what_ties_it_to_single_precision() -> None:
    """Branches and differences of a smooth return would see a billionth, but only of what is in double precision."""
    found = certify(Walk(), torch.zeros(1, dtype=torch.float64), 0.3)
    assert found.certified
    assert ROUNDING[torch.float32] <= found.noticeable < 1e-3
    assert f"a bias of {100 * found.noticeable:.2g} % would show" in found.certified_by


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_branches_show_what_a_derivative_misses_in_any_direction(sigma: float) -> None:
    """A hidden jump, and nothing of a smooth return: far more sharply than an estimate without derivatives would."""
    smooth = estimates.missed(at(SYSTEM, GAIN, sigma), STREAM, 64, 16)
    assert witness("", smooth, 1e-9).agrees
    size = exact_reference(at(SYSTEM, GAIN, sigma)).gradient.norm()
    assert witness("", smooth, 1e-9 * size).noticeable < 0.1 * size
    jump = estimates.missed(at(CalledContinuous(edge=0.0), 0.0, sigma), STREAM, 64, 64)
    assert not witness("", jump).agrees


def test_nothing_is_missed_but_the_boundary_term() -> None:
    """Of a step its derivative misses everything: within 5 standard errors the exact gradient."""
    found = estimates.missed(at(Step(edge=0.1), 0.0, 0.3), STREAM, 64, 256)
    exact = exact_reference(at(Step(edge=0.1), 0.0, 0.3)).gradient
    assert (found.mean(0) - exact).norm() < 5 * (found.var(0).sum() / 64).sqrt()
    assert (found.var(0).sum() / 64).sqrt() < 0.1 * exact.norm()


def test_differences_are_means_of_derivatives_however_long_the_step() -> None:
    """On a return that is far from linear along the step: they agree, and with a wrong derivative they don't."""
    simulator = at(Cosine(frequency=3.0, phase=1.0), 0.0, 0.3)
    arguments = simulator, STREAM, torch.ones(1, 1).double(), torch.tensor([0.3]).double(), 64, 256
    differences, derivatives = estimates.finite_differences(*arguments), estimates.mean_derivatives(*arguments)
    assert witness("", differences - derivatives).agrees
    assert not witness("", differences - 1.5 * derivatives).agrees


def test_an_error_that_rests_on_a_few_batches_certifies_nothing() -> None:
    """exp(s N) has all moments, but at s = sqrt(10) no sample of this size shows the second."""
    for sigma, certified in ((0.3, True), (1.0, False)):
        simulator = Simulator(HeavyReward(steepness=1.0), sigma=sigma)
        found = certified_reference(simulator, Stream(0, "heavy", "reference"), 10240, 64, 0.25)
        assert found.certified == certified
        assert ("not certified: its error rests on" in found.certified_by) != certified
