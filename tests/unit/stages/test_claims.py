"""The claims ledger judges what the tables hold: made-up tables that obey or break each claim."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages.claims import claims, crossing, row
from scorepath.store.paths import TABLES

ENVIRONMENTS = (
    {"name": "bowl", "family": "quadratic", "dimension": 1},
    {"name": "wave", "family": "cosine"},
    {"name": "edge", "family": "step"},
    {"name": "ramp", "family": "soft_step", "edge": 0.1, "width": 0.05},
    {"name": "chaos", "family": "angle_doubling", "doublings": 3, "noise_at": "every_step"},
)
LEVELS = (0.03, 0.1, 0.3)


def statistics(slope_of_variance: float) -> pd.DataFrame:
    """Every estimator of the ledger in every environment, with intervals of one per cent."""
    rows = []
    for sigma in LEVELS:
        for environment, estimator, variance, squared_bias in (
            ("bowl", "reinforce", sigma**slope_of_variance, 0.0),
            ("bowl", "pathwise", 4 * sigma**2, 0.0),
            ("bowl", "measure_valued", 4 * (0.5 / 1.913) ** 2, 0.0),  # equal at distance 0.5 = 1.913 sigma
            ("wave", "deterministic_pathwise", 0.0, sigma**4),
            ("edge", "pathwise", 0.0, 1.0),
            ("edge", "inverse_variance", 0.0, 1.0),
            ("ramp", "pathwise", 1.0, 0.0),
            ("chaos", "pathwise", 336.0, 0.0),
            ("chaos", "reinforce", 3 / sigma**2, 0.0),  # second moments: equal where sigma^2 336 = 3
        ):
            rows.append(
                {
                    "environment": environment, "estimator": estimator, "sigma": sigma, "checkpoint": 0.0,
                    "samples": 4096, "variance": variance, "variance_low": 0.99 * variance,
                    "variance_high": 1.01 * variance, "squared_bias": squared_bias,
                    "squared_bias_low": squared_bias, "squared_bias_high": squared_bias,
                    "zero_fraction": 0.934 if sigma == 0.3 else 1.0,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a study that runs here has its tables."""
    monkeypatch.chdir(tmp_path)
    TABLES.mkdir(parents=True)
    return TABLES


def ledger(tables: Path, slope_of_variance: float = -2.0, learning: float = 1.0) -> pd.DataFrame:
    table = statistics(slope_of_variance)
    table.to_csv(tables / "gradient_statistics.csv", index=False)
    places = table[["environment", "sigma", "checkpoint"]].drop_duplicates()
    places.assign(gradient_norm=1.0).to_csv(tables / "references.csv", index=False)
    verdicts = []
    for place in range(12):
        shared = {"environment": f"e{place}", "sigma": 0.1, "comparison": "pathwise_vs_best_score_function"}
        verdicts.append({**shared, "criterion": "equal_steps", "statistic": "log10_mse_ratio", "value": place})
        verdicts.append(
            {**shared, "criterion": "training", "statistic": "score_difference", "value": learning * place**2}
        )
    pd.DataFrame(verdicts).to_csv(tables / "verdicts.csv", index=False)
    claims(small_plan(ENVIRONMENTS))
    return pd.read_csv(tables / "claims.csv").set_index("claim")


def test_tables_that_obey_confirm(tables: Path) -> None:
    found = ledger(tables)
    assert set(found.index) == {
        "small-noise", "deterministic-limit", "step-bias", "ivw-blind", "empirical-bias", "chaos",
        "no-universal-ranking", "learning-follows-mse",
    }  # fmt: skip
    # three clear comparisons are too few for a binomial interval above 0.7
    assert found.loc["no-universal-ranking", "verdict"] == "undecided"
    assert found.loc["no-universal-ranking", "measured"] == 1.0
    others = found.drop(index="no-universal-ranking")
    assert (others["verdict"] == "confirmed").all(), others
    assert found.loc["chaos", "measured"] == pytest.approx(math.sqrt(3 / 336), rel=0.2)


def test_tables_that_break_a_claim_refute_it(tables: Path) -> None:
    assert ledger(tables, slope_of_variance=-1.0).loc["small-noise", "verdict"] == "refuted"
    assert ledger(tables, learning=-1.0).loc["learning-follows-mse", "verdict"] == "refuted"


def test_an_interval_across_the_tolerance_is_undecided() -> None:
    assert row("c", "s", "p", (1.0, 0.5, 1.5), (0.9, 1.1), "f")["verdict"] == "undecided"


def test_a_study_without_the_instances_has_an_empty_ledger(tables: Path) -> None:
    for name in ("gradient_statistics", "references", "verdicts"):
        (tables / f"{name}.csv").write_text("environment,sigma\n")
    claims(small_plan(["relu"]))
    assert pd.read_csv(tables / "claims.csv").empty


def test_crossing_is_exact_for_power_laws() -> None:
    sigma = np.array([0.01, 0.1, 1.0])
    assert crossing(pd.Series(sigma**2, sigma), pd.Series(0.04 + 0 * sigma, sigma)) == pytest.approx(0.2)
    assert math.isnan(crossing(pd.Series(sigma, sigma), pd.Series(2 * sigma, sigma)))
