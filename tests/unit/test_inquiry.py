"""Measuring and comparing by hand gives what the study gives, and results that a person and a notebook can read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.advised import Counting
from tests.helpers.strangers import JUMPING, ramp
from torch import Tensor

import scorepath as sp
from scorepath import inquiry
from scorepath.inquiry import Interval, Measurement
from scorepath.intervals import mean_estimates, positive_mean_estimates
from scorepath.judge import judge_of
from scorepath.measurement import batch_statistics

COSINE = sp.environments.Cosine(frequency=10.0, phase=1.0)


@dataclass(frozen=True, kw_only=True)
class Broken(sp.ActionSignalEstimator):
    """Gives nan for one trajectory in a batch."""

    source: ClassVar[str] = "this test"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "not finite"

    def signal(
        self, simulator: sp.Simulator, noise: sp.Noise, past: sp.Trajectories | None = None
    ) -> tuple[sp.Trajectories, Tensor]:
        trajectories = simulator.rollout(noise.rollout)
        signal = trajectories.returns[..., None, None] * trajectories.score
        signal[:, 0] = math.nan
        return trajectories, signal


@dataclass(frozen=True, kw_only=True)
class Jump(sp.Environment):
    """A step whose exact gradient nobody has worked out: without noise there is nothing to certify a reference by."""

    source: ClassVar[str] = "this test"
    reference_class: ClassVar[Literal["certified_monte_carlo"]] = "certified_monte_carlo"
    continuous: ClassVar[bool] = False

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, action[..., 0] * (action[..., 0] > 0.1)


@pytest.fixture(scope="module")
def simulator() -> sp.Simulator:
    return sp.Simulator(COSINE, sigma=0.1)


@pytest.fixture(scope="module")
def measured(simulator: sp.Simulator) -> Measurement:
    return sp.measure(sp.estimators.Pathwise(), simulator)


def test_a_simulator_has_the_environments_policy_and_first_parameters() -> None:
    pendulum = sp.environments.Pendulum(horizon=5)
    simulator = sp.Simulator(pendulum, sigma=0.3)
    assert simulator.policy == sp.make_policy(pendulum)
    expected = simulator.policy.initial_parameters(np.random.default_rng(0))
    assert torch.equal(simulator.parameters, expected)
    assert simulator == sp.Simulator(pendulum, sp.make_policy(pendulum), simulator.parameters, 0.3)
    assert simulator.with_sigma(0.0).sigma == 0


@pytest.mark.parametrize("sigma", [-0.1, math.nan])
def test_a_noise_level_is_needed(sigma: float) -> None:
    with pytest.raises(ValueError, match="sigma, the standard deviation of the action noise, must be given"):
        sp.Simulator(COSINE, sigma=sigma)
    with pytest.raises(ValueError, match="must be given"):
        sp.Simulator(COSINE)


def test_a_measurement_is_what_the_study_computes(simulator: sp.Simulator, measured: Measurement) -> None:
    reference = sp.exact_reference(simulator).gradient[None]
    stream = sp.Stream(0, "", "measure")
    found = batch_statistics(sp.estimators.Pathwise(), simulator, reference, stream, 64, 64)
    assert measured.variance == positive_mean_estimates(found.variance, found.tail.unseen, found.tail.luck)[:3]
    assert measured.projection == mean_estimates(found.projection)[:3]
    assert measured.squared_bias.value == max(0.0, found.squared_bias.mean())
    # unbiased by declaration: the error is the variance's share
    assert measured.error.value == pytest.approx(measured.variance.value / 64)
    assert np.array_equal(measured.mean.value, found.means.mean(0))


def test_intervals_hold_the_exact_gradient(simulator: sp.Simulator, measured: Measurement) -> None:
    exact = sp.exact_reference(simulator).gradient.item()
    for found in (measured, sp.measure(sp.estimators.Reinforce(), simulator)):
        # four times the half-width: one in 10^14
        half = (found.mean.high[0] - found.mean.low[0]) / 2
        assert abs(found.mean.value[0] - exact) < 4 * half


def test_a_biased_estimators_error_counts_its_bias(simulator: sp.Simulator) -> None:
    found = sp.measure(sp.estimators.DeterministicPathwise(), simulator)
    exact = sp.exact_reference(simulator).gradient.item()
    quiet = sp.exact_reference(simulator.with_sigma(0.0)).gradient.item()
    assert found.squared_bias.value == pytest.approx((exact - quiet) ** 2, rel=1e-5)
    assert found.error.value == pytest.approx(found.squared_bias.value, rel=1e-5)


def test_a_measurement_is_a_sentence_a_table_and_a_figure(measured: Measurement) -> None:
    text = str(measured)
    assert repr(measured) == text
    for words in (
        "Pathwise at sigma = 0.1",
        "mean -",
        "squared bias",
        "variance per sample",
        "95 % intervals",
        "exact",
    ):
        assert words in text
    frame = measured.to_frame()
    assert list(frame["quantity"]) == ["mean[0]", "projection", "squared_bias", "variance", "error"]
    assert (frame["low"] <= frame["value"]).all()
    assert (frame["value"] <= frame["high"]).all()
    _has_a_figure(measured._repr_html_())


def test_a_variance_that_cannot_be_measured_is_said_to_be_such() -> None:
    """An edge that one sample in hundreds passes: what it carries is all there is."""
    simulator = sp.Simulator(sp.environments.Step(edge=0.3), sigma=0.1)
    text = str(sp.measure(sp.estimators.Reinforce(), simulator, batches=16, batch_size=64))
    assert "variance and error not measurable (the variance rests on " in text
    assert "nan" not in text


def test_many_parameters_are_summed_up_along_the_reference() -> None:
    simulator = sp.Simulator(sp.environments.Quadratic(dimension=3, offset=1.0), sigma=0.1)
    found = sp.measure(sp.estimators.Pathwise(), simulator, batches=8, batch_size=8)
    assert "mean along the reference" in str(found)
    assert len(found.to_frame()) == 3 + 4


def test_options_are_part_of_a_name() -> None:
    simulator = sp.Simulator(sp.environments.LQR(horizon=4), sigma=0.1)
    found = sp.measure(sp.estimators.TruncatedPathwise(window=2), simulator, batches=8, batch_size=8)
    assert found.estimator == "TruncatedPathwise(window=2)"


def test_without_an_exact_gradient_the_reference_is_certified_monte_carlo() -> None:
    simulator = sp.Simulator(sp.environments.Pendulum(horizon=3), sigma=0.3)
    found = sp.measure(sp.estimators.Pathwise(), simulator, batches=16, batch_size=64)
    assert found.judge.gradients.shape == (16, simulator.policy.parameter_count)
    assert found.judge.certified
    assert "agrees with" in str(found)


def test_without_a_certified_reference_no_bias_is_judged() -> None:
    simulator = sp.Simulator(Jump(), sigma=0.0)
    found = sp.measure(sp.estimators.Pathwise(), simulator)
    assert not found.judge.certified
    assert math.isnan(found.squared_bias.value)
    assert "bias unknown" in str(found)
    compared = sp.compare(sp.estimators.Pathwise(), sp.estimators.DeterministicPathwise(), simulator)
    assert compared.verdict == "not_applicable"
    assert "the reference is not certified" in str(compared)


def test_a_comparison_is_decided_as_the_exact_ratio_says(simulator: sp.Simulator) -> None:
    found = sp.compare(sp.estimators.Pathwise(), sp.estimators.Reinforce(), simulator, batches=256)
    reinforce, pathwise = (sp.exact_variance(method, simulator, 64) for method in ("reinforce", "pathwise"))
    assert reinforce is not None
    assert pathwise is not None
    exact = math.log10(reinforce / pathwise)
    assert found.verdict == "Pathwise"
    assert found.log10_ratio.low < exact < found.log10_ratio.high
    other = sp.compare(sp.estimators.Reinforce(), sp.estimators.Pathwise(), simulator, batches=256)
    assert other.verdict == "Pathwise"
    assert other.log10_ratio.value == pytest.approx(-found.log10_ratio.value)
    assert "Pathwise has the smaller mean squared error: Reinforce's is" in str(other)


def test_an_estimator_is_equivalent_to_itself(simulator: sp.Simulator) -> None:
    found = sp.compare(sp.estimators.Pathwise(), sp.estimators.Pathwise(), simulator)
    assert found.verdict == "equivalent"
    assert "equivalent, the interval contains 0" in str(found)


def test_equal_steps_charge_for_a_second_rollout(simulator: sp.Simulator) -> None:
    both = sp.estimators.ZeroNoiseBaseline(), sp.estimators.Reinforce()
    samples, steps = (
        sp.compare(*both, simulator, criterion=criterion) for criterion in ("equal_samples", "equal_steps")
    )
    assert samples.log10_ratio.value - steps.log10_ratio.value == pytest.approx(math.log10(2))


def test_gradients_that_are_not_finite_lose(simulator: sp.Simulator) -> None:
    found = sp.compare(Broken(), sp.estimators.Reinforce(), simulator)
    assert found.verdict == "Reinforce"
    assert found.log10_ratio == (-math.inf, -math.inf, -math.inf)
    assert "Broken gave gradients that are not finite" in str(found)
    assert sp.compare(Broken(), Broken(), simulator).verdict == "not_applicable"
    assert found.first.error == (math.inf, math.inf, math.inf)


def test_a_comparison_is_a_sentence_a_table_and_a_figure(simulator: sp.Simulator) -> None:
    found = sp.compare(sp.estimators.Pathwise(), sp.estimators.LeaveOneOut(), simulator)
    assert repr(found) == str(found)
    assert "batches of 64" in str(found)
    (row,) = found.to_frame().to_dict("records")
    assert row["verdict"] == found.verdict == "Pathwise"
    assert row["value_low"] <= row["value"] <= row["value_high"]
    assert {"first", "second", "criterion", "budget", "flip_budget", "reason"} <= set(row)
    _has_a_figure(found._repr_html_())


def test_equal_seeds_give_equal_results(simulator: sp.Simulator, measured: Measurement) -> None:
    again = sp.measure(sp.estimators.Pathwise(), simulator, seed=0)
    pd.testing.assert_frame_equal(again.to_frame(), measured.to_frame(), check_exact=True)
    assert not sp.measure(sp.estimators.Pathwise(), simulator, seed=1).to_frame().equals(measured.to_frame())


def test_what_does_not_exist_is_refused_with_the_reason(simulator: sp.Simulator) -> None:
    with pytest.raises(ValueError, match="Reinforce does not exist here: without action noise"):
        sp.measure(sp.estimators.Reinforce(), simulator.with_sigma(0.0))
    with pytest.raises(ValueError, match="batches must be at least 3, got 2"):
        sp.measure(sp.estimators.Pathwise(), simulator, batches=2)


def test_an_interval_prints_itself() -> None:
    assert str(Interval(1.0, 0.51234, 1500.0)) == "1 [0.512, 1.5e+03]"


def _has_a_figure(html: str) -> None:
    """The last element is an SVG that a browser can read, with something drawn."""
    svg = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 5


def test_a_step_far_away_gives_no_signal() -> None:
    """And where both errors exceed the gradient's square, who has the smaller one is of no use."""
    both = sp.estimators.Pathwise(), sp.estimators.LeaveOneOut()
    step = sp.Simulator(sp.environments.Step(edge=0.1), sigma=0.1)
    found = sp.compare(*both, step)
    assert (found.verdict, found.reason) == ("no_signal", "every sample of Pathwise is exactly zero")
    flat = sp.Simulator(sp.environments.Cosine(frequency=10.0, phase=1.0), sigma=1.0)
    assert sp.compare(*both, flat).verdict == "neither_usable"


class Declared(sp.estimators.Pathwise):
    """Somebody's own, unbiased by their word."""


def test_a_bias_that_could_hide_is_left_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner's, where its unbiasedness is declared, not proved; against an exact reference nothing hides."""
    simulator = sp.Simulator(sp.environments.Quadratic(dimension=1, offset=1.0), sigma=0.1)
    both: tuple[sp.Estimator, sp.Estimator] = Declared(), sp.estimators.Reinforce()
    plain = sp.compare(both[0], both[1], simulator)
    assert plain.verdict == "Declared"
    judged = judge_of(simulator, 64, 64, 0)
    for noticeable, verdict in ((1e-3, "Declared"), (10.0, "undecided")):
        monkeypatch.setattr(inquiry, "judge_of", lambda *_, room=noticeable: replace(judged, noticeable=room))
        for pair in (both, both[::-1]):
            found = sp.compare(pair[0], pair[1], simulator)
            assert found.verdict == verdict
        assert ("a bias of" in str(found)) == (verdict == "undecided")
    proved = sp.compare(sp.estimators.Pathwise(), both[1], simulator)
    assert proved.verdict == "Pathwise"


@pytest.mark.parametrize(
    ("environment", "begins", "ends"),
    [
        (JUMPING["quantised actuator"], "declared continuous, but the return jumps", ": declare continuous = False"),
        (ramp(1e-6), "the return changes by ", " of 128 trajectories fall"),
    ],
    ids=["a jump", "a ramp"],
)
def test_what_pathwise_does_not_see_is_the_reason(environment: sp.Environment, begins: str, ends: str) -> None:
    """Of a ramp: to the trajectories that are compared; the environment is none the less continuous."""
    simulator = sp.Simulator(environment, sigma=0.3)
    found = sp.compare(sp.estimators.Pathwise(), sp.estimators.LeaveOneOut(), simulator, batches=4, batch_size=32)
    assert found.verdict == "not_applicable"
    assert found.reason.startswith(begins)
    assert found.reason.endswith(ends)


@pytest.mark.parametrize("horizon", [1, 10])
def test_the_derivative_of_a_return_without_a_graph_is_zero(horizon: int) -> None:
    """By one graph and by steps; what needs no derivative is measured as ever."""
    simulator = sp.Simulator(Counting(horizon=horizon), sigma=1.0)
    pathwise, score = sp.estimators.Pathwise(), sp.estimators.LeaveOneOut()
    assert sp.measure(pathwise, simulator, batches=4).mean == (0, 0, 0)
    assert sp.measure(score, simulator, batches=4).mean.value.item() != 0
    assert sp.compare(pathwise, score, simulator, batches=4).verdict != "Pathwise"


def test_what_is_no_argument_is_named() -> None:
    anything: Any = sp  # calls that a type checker would refuse
    environment, estimators = anything.environments.Quadratic(), anything.estimators
    simulator = sp.Simulator(environment, sigma=0.1)
    lost = sp.Simulator(environment, None, simulator.parameters * math.nan, 0.1)
    pair = estimators.Pathwise(), estimators.LeaveOneOut()
    wrong = {
        "environment must be an Environment, got the class itself; write Quadratic(...)": lambda: anything.Simulator(
            type(environment), sigma=0.1
        ),
        "sigma must be a Real, got '0.1'": lambda: anything.Simulator(environment, sigma="0.1"),
        "parameters must be a Tensor, got [0.0]": lambda: anything.Simulator(environment, None, [0.0], 0.1),
        "the class itself; write Pathwise(...)": lambda: anything.measure(estimators.Pathwise, simulator),
        "simulator must be a Simulator, got Quadratic(": lambda: anything.measure(pair[0], environment),
        "'equal_samples' or 'equal_steps', got 'seconds'": lambda: anything.compare(
            *pair, simulator, criterion="seconds"
        ),
        "the simulator's parameters are not finite": lambda: sp.measure(pair[0], lost),
    }
    for sentence, call in wrong.items():
        with pytest.raises((TypeError, ValueError), match=re.escape(sentence)):
            call()


def test_an_interval_of_each_entry_prints_in_rows() -> None:
    simulator = sp.Simulator(sp.environments.Quadratic(dimension=2), sigma=0.1)
    found = sp.measure(sp.estimators.Pathwise(), simulator, batches=8)
    assert str(found.mean).count("\n") == 1
    assert re.fullmatch(r"(\S+ \[\S+, \S+\]\n?){2}", str(found.mean))
