"""Probes on environments whose variances, biases and roughness are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.helpers.advised import Numpy
from tests.helpers.strangers import ramp

import scorepath as sp
from scorepath import probes
from scorepath.environments.base import make_policy
from scorepath.noise import Stream

STREAM = Stream(0, "", "test")


def sampled(environment: sp.Environment, sigma: float, batches: int = 32) -> probes.Sampled:
    return probes.sample(sp.Simulator(environment, sigma=sigma), STREAM, range(batches))


def test_on_a_quadratic_the_variance_ratio_is_the_exact_one() -> None:
    """Within 20 %: 2048 samples give a variance to 3 %, six standard errors on either side."""
    simulator = sp.Simulator(sp.environments.Quadratic(dimension=1, offset=1.0), sigma=0.1)
    found = probes.compared(sampled(simulator.environment, 0.1), "leave_one_out")
    exact = [sp.exact_variance(method, simulator, 64) for method in ("leave_one_out", "pathwise")]
    assert None not in exact
    assert 10**found.variance_lead == pytest.approx(float(exact[0]) / float(exact[1]), rel=0.2)  # type: ignore[arg-type]
    assert found.lead == found.variance_lead
    assert found.agrees
    assert found.room < 1e-12, "branches see exactly that a quadratic misses nothing"
    assert found.witness == probes.MISSED
    assert found.raised == 1, "score function and pathwise agree in every batch: GI-PPO's alpha would rise"


def test_on_a_step_pathwise_is_blank_and_its_bias_is_the_whole_gradient() -> None:
    simulator = sp.Simulator(sp.environments.Step(edge=0.1), sigma=0.3)
    found = probes.compared(sampled(simulator.environment, 0.3, 128), "leave_one_out")
    assert found.blank
    assert not found.agrees
    square = float(sp.exact_reference(simulator).gradient.square())
    variance = float(sp.exact_variance("leave_one_out", simulator, 64) or math.nan)
    assert found.bias_share == pytest.approx(square / (variance / 64), rel=0.25)
    assert found.lead_high < 0


def test_a_jump_is_found_where_there_is_one() -> None:
    for name, jumps in (("Step", True), ("Quadratic", False), ("Cosine", False)):
        environment = getattr(sp.environments, name)()
        assert (probes.search_jump(sp.Simulator(environment, sigma=0.3), seed=0) is not None) == jumps


def test_a_ramp_too_narrow_for_a_probe_is_as_good_as_a_jump_until_enough_samples_meet_it() -> None:
    for width, far_too_few in ((1e-6, True), (5e-5, False), (0.1, None)):
        found = probes.search_jump(sp.Simulator(ramp(width, edge=0.02), sigma=0.03), seed=0)
        assert (None if found is None else not found.is_met(32_768)) == far_too_few


def test_variogram_slopes() -> None:
    """2 of a smooth return, 1 of a step's (its increments' squares count crossings), 0 of a fine cosine's."""

    def slope(environment: sp.Environment, sigma: float) -> float:
        return probes.variogram_slope(sp.Simulator(environment, sigma=sigma), STREAM, 4096)

    assert slope(sp.environments.LQR(), 0.1) == pytest.approx(2, abs=0.1)
    assert slope(sp.environments.Step(edge=0.0), 1.0) == pytest.approx(1, abs=0.3)
    assert abs(slope(sp.environments.Cosine(frequency=400.0), 1.0)) < 0.15


def test_at_other_prices_the_ratio_shifts_by_them() -> None:
    batches = sampled(sp.environments.Quadratic(), 0.1)
    equal, dear = (probes.compared(batches, "leave_one_out", prices) for prices in ((1.0, 1.0), (2.0, 1.0)))
    assert dear.lead == pytest.approx(equal.lead - math.log10(2))
    assert probes.best_rival(batches, {"leave_one_out": 1.0, "measure_valued": 1e9}) == ("leave_one_out")


def test_more_batches_are_as_good_as_all_at_once() -> None:
    environment = sp.environments.Cosine()
    simulator = sp.Simulator(environment, sigma=0.1)
    parts = [probes.sample(simulator, STREAM, part) for part in (range(3), range(3, 8))]
    both, whole = parts[0].and_more(parts[1]), sampled(environment, 0.1, 8)
    for name in whole.moments:
        assert torch.equal(both.moments[name].means, whole.moments[name].means)
    assert both.batches == 8


def test_a_simulator_of_another_system_is_probed_like_any_other() -> None:
    found = probes.compared(sampled(Numpy(), 0.1, 8), "leave_one_out")
    assert found.lead_low > 1
    assert found.agrees


def test_errors_of_batches_average_to_the_error() -> None:
    batches = sampled(sp.environments.Cosine(), 0.1)
    errors = probes.errors_of(batches, "leave_one_out")
    assert errors.shape == (2, 32)
    found = probes.compared(batches, "leave_one_out")
    assert np.log10(errors.mean(1)[1] / errors.mean(1)[0]) == pytest.approx(found.lead, abs=1e-9)


def test_a_policy_with_a_standard_deviation_of_its_own_has_no_measure_valued_rival() -> None:
    environment = sp.environments.Pendulum(horizon=3)
    own = sp.Simulator(environment, make_policy(environment, "linear", standard_deviation="learned"), sigma=0.1)
    plain = sp.Simulator(environment, make_policy(environment, "linear"), sigma=0.1)
    assert set(probes.contestants(plain)) - set(probes.contestants(own)) == {"measure_valued"}
    assert not probes.kept_out(plain)
    assert probes.kept_out(own) == {"measure_valued": "the policy has a standard deviation of its own"}
    found = probes.compared(probes.sample(own, STREAM, range(8)), "leave_one_out")
    assert found.lead_low > 0
    assert found.agrees
    assert probes.probe_steps(own) < probes.probe_steps(plain)
