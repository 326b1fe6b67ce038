"""The advisor's scores: known probabilities have known scores, and a family's own places teach nothing about it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scorepath.forecast import CAP
from scorepath.stages._advisor import RULES, fitted, places_table, scores_table
from scorepath.store.tables import COLUMNS

FAMILIES = [f"family_{index}" for index in range(12)]


def probes(slope: float = 1.0, per_family: int = 12) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Places whose winner is the sign of the true lead, of which a probe sees a noisy interval; and their verdicts."""
    generator = np.random.default_rng(5)
    count = len(FAMILIES) * per_family
    truth = generator.normal(0, 1, count)
    seen = slope * truth + generator.normal(0, 0.2, count)
    place = {
        "environment": np.repeat(FAMILIES, per_family), "sigma": np.tile(np.arange(1.0, per_family + 1), len(FAMILIES)),
        "checkpoint": 0.0, "criterion": "equal_samples",
    }  # fmt: skip
    rows = pd.DataFrame({
        **place, "rival": "leave_one_out", "lead": seen, "lead_low": seen - 0.4, "lead_high": seen + 0.4,
        "cautious": seen, "cautious_low": seen - 0.4, "variance_lead": seen, "bias_share": 0.0, "room": 0.0,
        "agrees": True, "witness": "branches", "blank": False, "tail": 0.0, "rival_tail": 0.0, "trust": 0.5,
        "raised": 0.75, "reason": np.nan, "jump": 0.0, "jump_share": 0.0, "declared": 1.0, "probe_samples": 1000.0,
    })  # fmt: skip
    verdicts = pd.DataFrame({
        **place, "comparison": "pathwise_vs_best_derivative_free", "statistic": "log10_mse_ratio", "value": truth,
        "verdict": np.where(truth > 0, "pathwise", "derivative_free"),
    })  # fmt: skip
    return rows, verdicts


@pytest.fixture(scope="module")
def places() -> pd.DataFrame:
    return places_table(*probes(), {name: name for name in FAMILIES})


def score(table: pd.DataFrame, rule: str, quantity: str) -> pd.Series:
    return table[(table["rule"] == rule) & (table["quantity"] == quantity)].iloc[0]


def test_scores_are_those_of_the_definitions(places: pd.DataFrame) -> None:
    table = scores_table(places, 64, 200, 0)
    assert list(table) == COLUMNS["advisor"]
    assert set(table["rule"]) == set(RULES)
    wins = (places["verdict"] == "pathwise").to_numpy()
    found = places["probability"].to_numpy(float)
    assert score(table, "advisor", "brier")["value"] == pytest.approx(np.mean((found - wins) ** 2))
    assert score(table, "always pathwise", "brier")["value"] == pytest.approx(1 - wins.mean())
    assert score(table, "always pathwise", "regret")["value"] == pytest.approx(
        np.where(wins, 0, places["value"].abs()).mean()
    )
    assert score(table, "oracle", "regret")["value"] == 0
    cost = score(table, "advisor", "regret_with_probe")["value"] - score(table, "advisor", "regret")["value"]
    assert cost == pytest.approx(-np.log10(1 - 1000 / 64000))
    limits = score(table, "advisor", "brier")
    assert limits["value_low"] < limits["value"] < limits["value_high"]


def test_a_good_probe_gives_good_advice_and_abstains_at_the_edge(places: pd.DataFrame) -> None:
    table = scores_table(places, 64, 200, 0)
    assert score(table, "advisor", "brier")["value"] < 0.08
    assert score(table, "advisor", "accuracy_answered")["value"] > score(table, "advisor", "accuracy")["value"]
    assert 0.5 < score(table, "advisor", "coverage")["value"] < 1
    open_places = places[places["probability"].sub(0.5).abs() < 0.2]
    assert open_places["value"].abs().mean() < places["value"].abs().mean() / 3


def test_a_misleading_probe_is_seen_to_be_worthless() -> None:
    """Turned round, sureties have no weight: the forecast is the base rate."""
    misled = places_table(*probes(slope=-1.0), {name: name for name in FAMILIES})
    model = fitted(misled)
    assert model.weights == (0.0, 0.0)
    assert score(scores_table(misled, 64, 50, 0), "advisor", "brier")["value"] == pytest.approx(0.25, abs=0.02)
    assert score(scores_table(misled, 64, 50, 0), "advisor", "coverage")["value"] == 0


def test_pathwise_is_not_counted_as_said_where_a_bias_could_hide(places: pd.DataFrame) -> None:
    table = scores_table(places.assign(cautious_low=-1.0), 64, 50, 0)
    said = score(table, "advisor", "coverage")["value"]
    losses = (places["probability"] < 0.5) & (1 - places["probability"] >= places["threshold"])
    assert said == pytest.approx(losses.mean())


def test_no_model_is_fitted_to_mujoco_which_is_scored_all_the_same() -> None:
    rows, verdicts = probes()
    families = {name: "mujoco" if name == FAMILIES[0] else name for name in FAMILIES}
    turned = verdicts["environment"] == FAMILIES[0]
    flipped = verdicts.assign(verdict=np.where(
        turned, np.where(verdicts["verdict"] == "pathwise", "derivative_free", "pathwise"), verdicts["verdict"],
    ))  # fmt: skip
    found, other = (places_table(rows, each, families) for each in (verdicts, flipped))
    assert fitted(found) == fitted(other)
    assert "mujoco" not in fitted(found).families
    assert len(fitted(found).families) == len(FAMILIES) - 1
    pd.testing.assert_series_equal(found["probability"], other["probability"])
    assert found.loc[found["family"] == "mujoco", "probability"].notna().all()
    assert (scores_table(found, 64, 50, 0)["families"] == len(FAMILIES)).all()


def test_where_jumps_are_declared_or_found_no_probability_is_high(places: pd.DataFrame) -> None:
    """Declared: though no probe met one, training may. A ramp found at one place counts there only."""
    rows, verdicts = probes()
    families = {name: name for name in FAMILIES}
    sure = places.index[places["probability"] > 0.95]
    assert len(sure) > 10
    declared = places_table(rows.assign(declared=0.0), verdicts, families)
    assert declared["probability"].max() == CAP
    table = scores_table(declared, 64, 50, 0)
    assert score(table, "advisor", "largest_where_it_jumps")["value"] == CAP
    first = rows.index == sure[0]
    ramp = places_table(rows.assign(jump=1.0 * first, jump_share=0.001 * first), verdicts, families)
    assert ramp.loc[sure[0], "probability"] == CAP
    assert (ramp.loc[sure[1:], "probability"] > 0.95).all()


def test_gi_ppos_rule_is_the_share_of_batches_that_raise_its_alpha(places: pd.DataFrame) -> None:
    wins = (places["verdict"] == "pathwise").to_numpy()
    found = score(scores_table(places, 64, 50, 0), "GI-PPO's test of bias (Son et al. 2023)", "brier")
    assert found["value"] == pytest.approx(np.mean((0.75 - wins) ** 2))


def test_few_families_or_one_winner_have_no_scores() -> None:
    rows, verdicts = probes()
    few = rows[rows["environment"].isin(FAMILIES[:2])]
    found = places_table(few, verdicts, {name: name for name in FAMILIES})
    assert scores_table(found, 64, 50, 0).empty
    one = places_table(rows, verdicts.assign(verdict="pathwise"), {name: name for name in FAMILIES})
    assert fitted(one).threshold == 1.0
    assert scores_table(one, 64, 50, 0).empty
    nothing = places_table(rows.iloc[:0], verdicts, {})
    assert list(nothing) == COLUMNS["probes"]
    assert scores_table(nothing, 64, 50, 0).empty
    assert fitted(nothing).threshold == 1.0
