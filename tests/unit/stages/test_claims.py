"""Every claim can fail: made-up tables that obey it to the last digit, and mutants that each break it in one way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.ledger import MUTANTS, Mutant, changed, default_cells, evidence, ledger, refuted, times, unmoved
from tests.helpers.small_studies import small_plan

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.policies import OpenLoop
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.stages._ledger import Evidence, average, log_ratio, row
from scorepath.stages.claims import (
    BREAK_EVEN,
    CLAIMS,
    MOST_BY_WEIGHTS,
    claims,
    doubling_crossing,
    reinforce_variance,
    seen_share,
)
from scorepath.store.paths import TABLES

SOFT_STEP = SoftStep(edge=0.1, width=0.05)


@pytest.fixture(scope="module")
def obeying() -> Evidence:
    return evidence()


@pytest.fixture(scope="module")
def made(obeying: Evidence) -> dict[str, pd.DataFrame]:
    """What every mutant makes of the ledger."""
    return {str(mutant): mutant.ledger(obeying) for mutant in MUTANTS}


def test_what_obeys_is_consistent_and_within(obeying: Evidence) -> None:
    found = ledger(obeying)
    assert (found["consistency"] == "consistent").all(), found
    assert (found["tolerance"] == "within").all(), found


def test_every_claim_has_rows_in_the_default_study(obeying: Evidence) -> None:
    for claim in CLAIMS:
        assert list(claim(obeying)), claim.__name__


def test_every_row_of_the_default_study_has_a_mutant_that_refutes_it(
    obeying: Evidence, made: dict[str, pd.DataFrame]
) -> None:
    assert not unmoved(ledger(obeying), made)


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_refutes_its_claim_and_no_other(mutant: Mutant, made: dict[str, pd.DataFrame]) -> None:
    found = made[str(mutant)]
    own = found["claim"] == mutant.claim
    assert refuted(found[own]).any(), found
    assert not refuted(found[~own]).any(), found


def test_a_bias_that_is_not_seen_has_no_slope_and_its_size_refutes(obeying: Evidence) -> None:
    """An unbiased estimator's squared bias comes out negative now and then: the row stays, and says so."""
    change = changed("cosine", "deterministic_pathwise", squared_bias=lambda rows, _: -1e-6 + 0 * rows["sigma"])
    found = ledger(change(obeying))
    of_slope, of_size = found[found["claim"] == "deterministic-limit"].to_dict("records")
    assert math.isnan(of_slope["measured"])
    assert (of_slope["consistency"], of_slope["tolerance"]) == ("consistent", "undecided")
    assert (of_size["consistency"], of_size["tolerance"]) == ("inconsistent", "outside")


# --- the two questions of a row ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "consistency", "tolerance"),
    [
        ((0.98, 1.02), "consistent", "within"),
        ((1.01, 1.02), "inconsistent", "within"),
        ((0.5, 1.5), "consistent", "undecided"),
        ((1.05, 1.5), "inconsistent", "undecided"),
        ((1.2, 1.5), "inconsistent", "outside"),
        ((0.5, 0.6), "inconsistent", "outside"),
        ((1.0005, 1.0005), "consistent", "within"),  # what float32 rounds off
        ((-math.inf, math.inf), "consistent", "undecided"),
    ],
)
def test_consistency_and_tolerance_are_two_questions(
    limits: tuple[float, float], consistency: str, tolerance: str
) -> None:
    judged = row("c", "s", "p", (sum(limits) / 2, *limits), 1.0, (0.9, 1.1), "f")
    assert (judged["consistency"], judged["tolerance"]) == (consistency, tolerance)


@pytest.mark.parametrize(
    ("limits", "consistency", "tolerance"),
    [
        ((0.1, 0.7), "consistent", "within"),
        ((-0.1, 0.7), "consistent", "undecided"),
        ((-0.7, -0.1), "inconsistent", "outside"),
    ],
)
def test_a_predicted_range_is_its_own_tolerance(limits: tuple[float, float], consistency: str, tolerance: str) -> None:
    judged = row("c", "s", "p", (0.0, *limits), None, (0.0, 1.0), "f")
    assert math.isnan(judged["predicted"])
    assert (judged["consistency"], judged["tolerance"]) == (consistency, tolerance)


# --- formulas and intervals -------------------------------------------------------------------------------------------


def at(environment: Any, parameters: list[float], sigma: float) -> Simulator:
    policy = OpenLoop(environment.horizon, environment.action_dim)
    return Simulator(environment, policy, torch.tensor(parameters, dtype=torch.float64), sigma)


@pytest.mark.parametrize(("dimension", "sigma"), [(1, 0.3), (1, 2.0), (5, 0.1)])
def test_the_formula_of_small_noise_is_that_of_the_references(dimension: int, sigma: float) -> None:
    simulator = at(Quadratic(dimension=dimension, offset=0.4), [0.0] * dimension, sigma)
    found = reinforce_variance(0.4 * math.sqrt(dimension), dimension, sigma)
    assert found == pytest.approx(exact_variance("reinforce", simulator, 1), rel=1e-9)


def test_the_break_even_is_that_of_the_references() -> None:
    simulator = at(Quadratic(dimension=1, offset=BREAK_EVEN * 0.2), [0.0], 0.2)
    ours, theirs = (exact_variance(method, simulator, 1) for method in ("pathwise", "measure_valued"))
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_second_moments_of_the_doubling_cross_where_the_formula_says() -> None:
    """By quadrature, with noise at the start only: there k_0 = 2^(T + 1) alone, and T = 1 is the one-step case."""
    sigma = doubling_crossing(1)
    simulator = at(AngleDoubling(doublings=1, noise_at="start"), [0.0], sigma)
    ours, theirs = (exact_variance(method, simulator, 1) for method in ("pathwise", "reinforce"))
    assert ours is not None
    assert theirs is not None
    square = 0.75 * 16 * math.exp(-((4 * sigma) ** 2))  # of the gradient
    # not all of the start is forgotten at kappa sigma = 1
    left = math.exp(-2) * math.cos(2 * 4 * 2 * math.pi / 3)
    assert (ours + square) / (theirs + square) == pytest.approx((1 - left) / (1 - 3 * left), rel=1e-6)


def test_the_seen_share_is_the_variance_of_the_ramp() -> None:
    for sigma in (0.1, 1.0):
        share = seen_share(SOFT_STEP.edge, SOFT_STEP.width, sigma)
        variance = exact_variance("pathwise", at(SOFT_STEP, [0.0], sigma), 1)
        assert share * (1 - share) / SOFT_STEP.width**2 == pytest.approx(variance, rel=1e-3)  # over two jumps


def test_no_correlation_of_parents_makes_inverse_variance_weights_cost_more_than_the_bound() -> None:
    """Of parents with variances 1 and v <= 1 and any correlation: on a grid the dearest is the bound."""
    v, correlation = np.meshgrid(np.linspace(0.001, 1, 2000), np.linspace(-1, 1, 201))
    weight = v / (1 + v)  # of the parent with variance 1
    covariance = correlation * np.sqrt(v)
    mixed = weight**2 + (1 - weight) ** 2 * v + 2 * weight * (1 - weight) * covariance
    assert (mixed / v).max() == pytest.approx(MOST_BY_WEIGHTS, rel=1e-5)


def test_independent_checkpoints_are_averaged_in_quadrature_and_levels_are_not() -> None:
    index = pd.MultiIndex.from_product([[0.1, 0.3], [0.0, 0.5]], names=["sigma", "checkpoint"])
    values = pd.DataFrame({"": [0.0, 1.0, 2.0, 3.0], "_low": [-3.0, -3.0, -1.0, -1.0], "_high": [3, 4, 5, 6]}, index)
    middle, low, high = average(values)
    assert middle == pytest.approx(1.5)
    assert middle - low == pytest.approx(math.hypot(3.0, 4.0) / 2)
    assert high - middle == pytest.approx(math.hypot(3.0, 3.0) / 2)


@pytest.mark.parametrize("estimator", ["pathwise", "reinforce"])
def test_a_variance_that_is_not_known_decides_nothing(estimator: str, obeying: Evidence) -> None:
    change = changed("angle_doubling", estimator, variance=times(math.nan))
    (own,) = [judged for judged in ledger(change(obeying)).to_dict("records") if judged["claim"] == "chaos"]
    assert math.isnan(own["measured"])
    assert (own["consistency"], own["tolerance"]) == ("consistent", "undecided")


def test_a_ratio_has_the_limits_of_the_worst_corners() -> None:
    ours = pd.DataFrame({"": [4.0], "_low": [2.0], "_high": [8.0]})
    theirs = pd.DataFrame({"": [1.0], "_low": [0.5], "_high": [2.0]})
    assert np.exp(log_ratio(ours, theirs).iloc[0]).tolist() == pytest.approx([4.0, 1.0, 16.0])
    assert log_ratio(ours, 0 * theirs).iloc[0].tolist() == [math.inf] * 3


# --- the stage --------------------------------------------------------------------------------------------------------


def test_a_study_without_the_instances_has_an_empty_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    TABLES.mkdir(parents=True)
    for name in ("gradient_statistics", "references", "training", "regrets"):
        (TABLES / f"{name}.csv").write_text("environment,sigma\n")
    claims(small_plan(["relu"]))
    assert pd.read_csv(TABLES / "claims.csv").empty


def test_the_stage_writes_what_the_claims_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obeying: Evidence
) -> None:
    monkeypatch.chdir(tmp_path)
    TABLES.mkdir(parents=True)
    for name in ("statistics", "references", "training", "regrets"):
        table = TABLES / f"{'gradient_statistics' if name == 'statistics' else name}.csv"
        getattr(obeying, name).to_csv(table, index=False)
    claims(default_cells())
    written = pd.read_csv(TABLES / "claims.csv")
    assert written["prediction"].tolist() == ledger(obeying)["prediction"].tolist()
    assert (written["tolerance"] == "within").all()
