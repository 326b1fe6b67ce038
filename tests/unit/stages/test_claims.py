"""Every claim can fail: made-up tables that obey it to the last digit, and mutants that each break it in one way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.small_studies import small_plan

from scorepath.environments.angle_doubling import AngleDoubling
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.soft_step import SoftStep
from scorepath.policies import OpenLoop
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.stages import claims as ledger_of_claims
from scorepath.stages._ledger import Evidence, average, log_ratio, row
from scorepath.stages.claims import BREAK_EVEN, CLAIMS, claims, doubling_crossing, reinforce_variance, seen_share
from scorepath.store.paths import TABLES

LEVELS = (0.01, 0.03, 0.1, 0.3, 1.0)
CHECKPOINTS = {0.0: 1.0, 0.5: 0.7}
"""Two policies, and their distances from the quadratic's optimum."""
EDGE, WIDTH, FREQUENCY, DOUBLINGS = 0.1, 0.05, 10.0, 3
ENVIRONMENTS: tuple[dict[str, Any], ...] = (
    {"name": "bowl", "family": "quadratic", "knobs": {"dimension": 1}},
    {"name": "wide", "family": "quadratic", "knobs": {"dimension": 32}},
    {"name": "wave", "family": "cosine", "knobs": {"frequency": FREQUENCY}},
    {"name": "edge", "family": "step", "knobs": {}},
    {"name": "ramp", "family": "soft_step", "knobs": {"edge": EDGE, "width": WIDTH}},
    {"name": "chaos", "family": "angle_doubling", "knobs": {"doublings": DOUBLINGS, "noise_at": "every_step"}},
)


def measured(sigma: float, distance: float) -> list[tuple[str, str, float, dict[str, float]]]:
    """What the field's formulas say that a study measures: environment, estimator, length of the gradient, columns."""
    hits = seen_share(EDGE, WIDTH, sigma)
    frequencies = [2.0 ** (DOUBLINGS + 1 - t) for t in range(DOUBLINGS)]
    mixing = sigma**2 * sum(k**2 for k in frequencies)
    left = math.exp(-2 * mixing) * math.cos(2 * 2 ** (DOUBLINGS + 1) * 2 * math.pi / 3)
    doubling = math.exp(-mixing / 2) * math.sqrt(3) / 2 * math.sqrt(sum(k**2 for k in frequencies))
    cosine = math.exp(-((FREQUENCY * sigma) ** 2) / 2)
    return [
        ("bowl", "reinforce", 2 * distance, {"variance": reinforce_variance(distance, 1, sigma)}),
        ("wide", "reinforce", 2 * distance, {"variance": reinforce_variance(distance, 32, sigma)}),
        ("bowl", "pathwise", 2 * distance, {"variance": 4 * sigma**2}),
        ("bowl", "measure_valued", 2 * distance, {"variance": distance**2 * (16 / math.pi - 4)}),
        ("wave", "deterministic_pathwise", cosine, {"squared_bias": (1 - cosine) ** 2}),
        ("edge", "pathwise", 1.0, {"squared_bias": 1.0}),
        ("edge", "inverse_variance", 1.0, {"squared_bias": 1.0}),
        ("ramp", "pathwise", hits / WIDTH,
         {"zero_fraction": 1 - hits, "projection": hits / WIDTH, "variance": hits * (1 - hits) / WIDTH**2}),
        ("chaos", "pathwise", doubling, {"variance": mixing / sigma**2 * (1 - left) / 2 - doubling**2}),
        ("chaos", "reinforce", doubling,
         {"variance": (DOUBLINGS + (DOUBLINGS - 4 * mixing) * left) / (2 * sigma**2) - doubling**2}),
    ]  # fmt: skip


def evidence() -> Evidence:
    """Tables that obey every claim, with intervals of two per cent."""
    rows, places, verdicts = [], {}, []
    for sigma in LEVELS:
        for checkpoint, distance in CHECKPOINTS.items():
            for environment, estimator, length, columns in measured(sigma, distance):
                shared = {"environment": environment, "sigma": sigma, "checkpoint": checkpoint}
                places[tuple(shared.values())] = {**shared, "gradient_norm": length}
                numbers = {"squared_bias": 0.0, "projection": 0.0, "variance": 0.0, "zero_fraction": 0.0, **columns}
                limits = {
                    f"{name}{end}": factor * numbers[name]
                    for name in ("squared_bias", "projection", "variance")
                    for end, factor in (("_low", 0.98), ("_high", 1.02))
                    if estimator not in ("deterministic_pathwise",) and environment != "edge"
                } or {f"squared_bias{end}": numbers["squared_bias"] for end in ("_low", "_high")}
                rows.append({**shared, "estimator": estimator, "samples": 4096, **numbers, **limits})
    for place in range(24):
        shared = {"environment": f"e{place // 2}", "sigma": 0.1 * (place % 2 + 1)}
        shared["comparison"] = "pathwise_vs_best_score_function"
        verdicts.append({**shared, "criterion": "equal_steps", "statistic": "log10_mse_ratio", "value": place})
        verdicts.append(
            {**shared, "criterion": "training", "statistic": "score_difference", "value": float(place) ** 2}
        )
    regrets = [
        {
            "comparison": comparison, "criterion": "equal_steps", "rule": rule, "environments": 12,
            "regret": 1.4, "regret_low": 1.2, "regret_high": 1.6,
            "over_simple": 0.8, "over_simple_low": 0.7, "over_simple_high": 0.9,
        }
        for comparison in ("pathwise_vs_best_score_function", "pathwise_vs_best_derivative_free")
        for rule in ("always_pathwise", "inverse_variance")
    ]  # fmt: skip
    return Evidence(
        pd.DataFrame(rows),
        pd.DataFrame(places.values()),
        pd.DataFrame(verdicts),
        pd.DataFrame(regrets),
        {"inverse_variance": "inverse_variance"},
        ENVIRONMENTS,
        1,
        100,
        lambda method: method,
    )


def ledger(found: Evidence) -> pd.DataFrame:
    return pd.DataFrame([judged for claim in CLAIMS for judged in claim(found)])


def test_what_obeys_is_consistent_and_within() -> None:
    found = ledger(evidence())
    assert set(found["claim"]) == set(MUTANTS)
    assert (found["consistency"] == "consistent").all(), found
    assert (found["tolerance"] == "within").all(), found


# --- mutants ----------------------------------------------------------------------------------------------------------


def changed(
    environment: str, estimator: str, **columns: Callable[[pd.DataFrame], Any]
) -> Callable[[Evidence], Evidence]:
    """An estimator that does something else: its columns, limits included, as functions of what they were."""

    def mutate(found: Evidence) -> Evidence:
        table = found.statistics.copy()
        chosen = (table["environment"] == environment) & (table["estimator"] == estimator)
        for name, function in columns.items():
            values = function(table[chosen])
            for end, factor in (("", 1.0), ("_low", 0.98), ("_high", 1.02)):
                if f"{name}{end}" in table:
                    table.loc[chosen, f"{name}{end}"] = factor * values
        return replace(found, statistics=table)

    return mutate


def renumbered(statistic: str, function: Callable[[pd.Series], Any]) -> Callable[[Evidence], Evidence]:
    """Verdicts with other values."""

    def mutate(found: Evidence) -> Evidence:
        table = found.verdicts.copy()
        chosen = table["statistic"] == statistic
        table.loc[chosen, "value"] = function(table.loc[chosen, "value"])
        return replace(found, verdicts=table)

    return mutate


def with_regrets(column: str, value: float) -> Callable[[Evidence], Evidence]:
    """Rules of thumb that cost something else."""

    def mutate(found: Evidence) -> Evidence:
        ends = {f"{column}{end}": factor * value for end, factor in (("", 1.0), ("_low", 0.95), ("_high", 1.05))}
        return replace(found, regrets=found.regrets.assign(**ends))

    return mutate


def unchanged(found: Evidence) -> Evidence:
    return found


Mutant = tuple[Callable[[Evidence], Evidence], Mapping[str, object]]
"""What is done to the evidence, and formulas that a claim is given instead of its own."""

MUTANTS: dict[str, dict[str, Mutant]] = {
    "small-noise": {
        "a baseline leaves the variance finite": (
            changed("bowl", "reinforce", variance=lambda rows: 10 + rows["sigma"]), {}),
        "an exponent of -1.8": (changed("wide", "reinforce", variance=lambda rows: rows["sigma"] ** -1.8), {}),
        "a formula of the wrong dimension": (
            unchanged, {"reinforce_variance": lambda distance, dimension, sigma:
                        reinforce_variance(distance, 8 * dimension, sigma)}),
    },
    "deterministic-limit": {
        "a bias that grows like sigma": (
            changed("wave", "deterministic_pathwise", squared_bias=lambda rows: rows["sigma"] ** 2), {}),
        "a bias that does not vanish": (
            changed("wave", "deterministic_pathwise", squared_bias=lambda rows: 0.01 + 0 * rows["sigma"]), {}),
        "no bias": (changed("wave", "deterministic_pathwise", squared_bias=lambda rows: 0 * rows["sigma"]), {}),
        "a tenth too much of it": (
            changed("wave", "deterministic_pathwise", squared_bias=lambda rows: 1.21 * rows["squared_bias"]), {}),
    },
    "step-bias": {
        "the boundary term is there": (changed("edge", "pathwise", squared_bias=lambda rows: 0 * rows["sigma"]), {}),
        "a twentieth of the gradient is seen": (
            changed("edge", "pathwise", squared_bias=lambda rows: 0.95**2 + 0 * rows["sigma"]), {}),
    },
    "ivw-blind": {
        "the mixture keeps to the score function": (
            changed("edge", "inverse_variance", squared_bias=lambda rows: 0 * rows["sigma"]), {}),
        "the mixture gives it a tenth": (
            changed("edge", "inverse_variance", squared_bias=lambda rows: 0.81 + 0 * rows["sigma"]), {}),
    },
    "no-universal-ranking": {
        "both branches with noise of their own": (
            changed("bowl", "measure_valued", variance=lambda rows: rows["variance"] + 8 * rows["sigma"] ** 2), {}),
        "the break-even per evaluation": (unchanged, {"BREAK_EVEN": 1.353}),
        "a formula 13 % off": (unchanged, {"BREAK_EVEN": 1.13 * BREAK_EVEN}),
    },
    "empirical-bias": {
        "an estimator that is always zero": (
            changed("ramp", "pathwise", zero_fraction=lambda rows: 1 + 0 * rows["sigma"],
                    projection=lambda rows: 0 * rows["sigma"]), {}),
        "zeros that are right and a mean that is not": (
            changed("ramp", "pathwise", projection=lambda rows: 0.5 * rows["projection"]), {}),
        "half the zeros": (changed("ramp", "pathwise", zero_fraction=lambda rows: 0.5 * rows["zero_fraction"]), {}),
        "a ramp of twice the width": (
            unchanged, {"seen_share": lambda edge, width, sigma: seen_share(edge, 2 * width, sigma)}),
    },
    "chaos": {
        "a formula 13 % too high": (
            unchanged, {"doubling_crossing": lambda doublings: 1.13 * doubling_crossing(doublings)}),
        "a formula 13 % too low": (
            unchanged, {"doubling_crossing": lambda doublings: doubling_crossing(doublings) / 1.13}),
        "one step less of it": (unchanged, {"doubling_crossing": lambda doublings: doubling_crossing(doublings - 1)}),
        "derivatives that forget the last doubling": (
            changed("chaos", "pathwise", variance=lambda rows: rows["variance"] / 4), {}),
        "clipped derivatives": (
            changed("chaos", "pathwise", variance=lambda rows: np.minimum(rows["variance"], 30.0)), {}),
    },
    "mix-when-in-doubt": {
        "mixtures that cost a tenth more": (with_regrets("over_simple", 1.1), {}),
    },
    "mixing-arena": {
        "mixtures better than knowing the winner": (with_regrets("regret", 0.9), {}),
    },
    "learning-follows-mse": {
        "the larger error learns faster": (renumbered("score_difference", lambda values: -values), {}),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "mutant"), [(claim, mutant) for claim, mutants in MUTANTS.items() for mutant in mutants]
)
def test_a_mutant_refutes_its_claim(claim: str, mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate, formulas = MUTANTS[claim][mutant]
    for name, formula in formulas.items():
        monkeypatch.setattr(ledger_of_claims, name, formula)
    found = ledger(mutate(evidence()))
    own = found[found["claim"] == claim]
    assert ((own["consistency"] == "inconsistent") & (own["tolerance"] == "outside")).any(), own
    if not formulas:
        others = found[found["claim"] != claim]
        assert (others["tolerance"] == "within").all(), others


def test_every_claim_has_a_mutant() -> None:
    """And every function of the ledger a row in the made-up study."""
    found = evidence()
    for claim in CLAIMS:
        assert {judged["claim"] for judged in claim(found)} & set(MUTANTS), claim.__name__


def test_a_bias_that_is_not_seen_has_no_slope_and_its_size_refutes() -> None:
    """An unbiased estimator's squared bias comes out negative now and then: the row stays, and says so."""
    mutate = changed("wave", "deterministic_pathwise", squared_bias=lambda rows: -1e-6 + 0 * rows["sigma"])
    found = ledger(mutate(evidence()))
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
        share = seen_share(EDGE, WIDTH, sigma)
        variance = exact_variance("pathwise", at(SoftStep(edge=EDGE, width=WIDTH), [0.0], sigma), 1)
        assert share * (1 - share) / WIDTH**2 == pytest.approx(variance, rel=1e-3)  # a quadrature over two jumps


def test_independent_checkpoints_are_averaged_in_quadrature_and_levels_are_not() -> None:
    index = pd.MultiIndex.from_product([[0.1, 0.3], [0.0, 0.5]], names=["sigma", "checkpoint"])
    values = pd.DataFrame({"": [0.0, 1.0, 2.0, 3.0], "_low": [-3.0, -3.0, -1.0, -1.0], "_high": [3, 4, 5, 6]}, index)
    middle, low, high = average(values)
    assert middle == pytest.approx(1.5)
    assert middle - low == pytest.approx(math.hypot(3.0, 4.0) / 2)
    assert high - middle == pytest.approx(math.hypot(3.0, 3.0) / 2)


@pytest.mark.parametrize("estimator", ["pathwise", "reinforce"])
def test_a_variance_that_is_not_known_decides_nothing(estimator: str) -> None:
    mutate = changed("chaos", estimator, variance=lambda rows: math.nan * rows["variance"])
    (own,) = [judged for judged in ledger(mutate(evidence())).to_dict("records") if judged["claim"] == "chaos"]
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
    for name in ("gradient_statistics", "references", "verdicts", "regrets"):
        (TABLES / f"{name}.csv").write_text("environment,sigma\n")
    claims(small_plan(["relu"]))
    assert pd.read_csv(TABLES / "claims.csv").empty


def test_the_stage_writes_what_the_claims_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    TABLES.mkdir(parents=True)
    found = evidence()
    for name in ("statistics", "references", "verdicts", "regrets"):
        table = TABLES / f"{'gradient_statistics' if name == 'statistics' else name}.csv"
        getattr(found, name).to_csv(table, index=False)
    knobs = [{key: value for key, value in entry.items() if key != "knobs"} | entry["knobs"] for entry in ENVIRONMENTS]
    claims(small_plan(knobs, estimators=["reinforce", "pathwise", "inverse_variance"]))
    written = pd.read_csv(TABLES / "claims.csv")
    assert written["prediction"].tolist() == ledger(found)["prediction"].tolist()
    assert (written["tolerance"] == "within").all()
