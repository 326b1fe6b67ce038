"""Theory beside the families: closed forms against quadrature, predicted crossings against exact variances."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.fourier_field import FourierField
from scorepath.environments.soft_step import SoftStep
from scorepath.references.exact import exact_reference
from scorepath.references.surfaces import exact_quantities
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator

TURNS = [0.0, 2 * math.pi / 3, 4 * math.pi / 3]


def at(environment: Environment, sigma: float) -> Simulator:
    policy = make_policy(environment)
    return Simulator(environment, policy, torch.zeros(policy.parameter_count, dtype=torch.float64), sigma)


def averaged(environments: Iterator[Environment], method: str, sigma: float) -> float:
    """The second moment by quadrature, averaged over instances."""
    values = []
    for environment in environments:
        simulator = at(environment, sigma)
        variance = exact_variance(method, simulator, 64)
        assert variance is not None
        values.append(variance + exact_reference(simulator).gradient.square().sum().item())
    return sum(values) / len(values)


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.3])
def test_three_phases_average_as_all_do(sigma: float) -> None:
    formula = Cosine(frequency=7.0).exact_second_moments(sigma, frozenset({"phase"}))
    assert formula is not None
    for method in ("pathwise", "reinforce"):
        found = averaged((Cosine(frequency=7.0, phase=turn) for turn in TURNS), method, sigma)
        assert formula[method] == pytest.approx(found, rel=1e-6)
    assert formula["optimal_constant"] <= formula["reinforce"]


@pytest.mark.parametrize("steps", [2, 5])
def test_starts_on_thirds_of_the_circle_stay_there(steps: int) -> None:
    chaos = [AngleDoubling(doublings=steps, noise_at="start", start=turn) for turn in TURNS]
    formula = chaos[0].exact_second_moments(0.05, frozenset({"start"}))
    assert formula is not None
    for method in ("pathwise", "reinforce"):
        assert formula[method] == pytest.approx(averaged(iter(chaos), method, 0.05), rel=1e-6)


def test_several_angles_are_measured_as_the_formula_says() -> None:
    """Second moments of 16 batches of 512 in two dimensions; 6 standard errors, so a false alarm in 1e9."""
    from scorepath.claims._lab import Lab, second_moments

    environment = AngleDoubling(doublings=2, dimension=3)
    formula = environment.exact_second_moments(0.1, frozenset())
    assert formula is not None
    lab = Lab("angles", 1)
    for method in ("pathwise", "reinforce"):
        found = second_moments(lab.sample(method, at(environment, 0.1), 32, 512), 512)
        error = found.std(ddof=1) / math.sqrt(len(found))
        assert abs(found.mean() - formula[method]) < 6 * error


@pytest.mark.parametrize(
    ("environment", "rival", "over"),
    [
        (Cosine(frequency=7.0), "optimal_constant", "phase"),
        (FourierField(dimension=2, correlation_length=0.3), "reinforce", "field_seed"),
        (FourierField(dimension=1, correlation_length=0.3), "optimal_constant", "field_seed"),
        (AngleDoubling(doublings=4, noise_at="start"), "reinforce", "start"),
    ],
)
def test_predicted_crossings_are_where_second_moments_are_equal(
    environment: Environment, rival: str, over: str
) -> None:
    levels = environment.crossing_noise(rival, frozenset({over}))
    assert levels is not None
    moments = environment.exact_second_moments(levels[0], frozenset({over}))
    assert moments is not None
    assert moments[rival] == pytest.approx(moments["pathwise"], rel=1e-6)


@pytest.mark.parametrize(("dimension", "share"), [(1, 0.72), (2, 0.88), (5, 0.98), (10, 1.00)])
def test_the_best_constant_moves_the_crossing(dimension: int, share: float) -> None:
    field = FourierField(dimension=dimension, correlation_length=2.0)
    assert field.crossing_noise("optimal_constant", frozenset({"field_seed"})) == pytest.approx((2 * share,), abs=0.01)


@pytest.mark.parametrize("rival", ["reinforce", "optimal_constant"])
def test_a_ramps_crossing_is_where_exact_variances_are_equal(rival: str) -> None:
    environment = SoftStep(edge=0.0, width=0.2)
    levels = environment.crossing_noise(rival, frozenset())
    assert levels is not None
    simulator = at(environment, levels[0])
    ours, theirs = (exact_variance(method, simulator, 64, 1e-6) for method in ("pathwise", rival))
    assert theirs == pytest.approx(ours, rel=1e-3)


def test_flat_batches_are_a_power_of_flat_samples() -> None:
    found = exact_quantities(
        [at(SoftStep(edge=0.0, width=0.001), 0.1)], frozenset(), ["pathwise"], [0.1], "flat_batches", 100
    )
    assert found is not None
    assert found["pathwise"][0] == pytest.approx(0.67, abs=0.005)


def test_draws_without_a_formula_have_no_exact_values() -> None:
    members = [at(FourierField(field_seed=seed), 0.1) for seed in range(2)]
    assert (
        exact_quantities(members, frozenset({"field_seed"}), ["pathwise", "pgpe"], [0.1], "variance", 64, True) is None
    )
