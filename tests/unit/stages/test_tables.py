"""What cannot be measured, and what single precision spoils, as the tables say it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.reporting.rows import health_rows
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES
from scorepath.store.tables import Tables


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """At the start an action in a hundred, or one in two hundred, crosses the edge: two or three of 512."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("rare")
        patch.chdir(folder)
        plan = small_plan(
            [
                {"name": "far", "family": "step", "edge": 0.26},
                {"name": "near", "family": "step", "edge": 0.05},
                {"name": "soft", "family": "soft_step", "edge": 0.26, "width": 0.05},
            ],
            estimators=["reinforce", "pathwise"], noise_levels=[0.1], gradients={"samples": 512, "batch_size": 16},
            references={"return_gaps": [0.0]},
        )  # fmt: skip
        for name in plan.study.environments:
            reference_policies(plan, name)
            reference(plan, name, 0.1)
            for estimator in plan.study.estimators:
                gradients(plan, name, estimator, 0.1)
        tables(plan)
        return Tables(Path(folder, TABLES))


def row(frame: pd.DataFrame, **chosen: str) -> pd.Series:
    for column, value in chosen.items():
        frame = frame[frame[column] == value]
    return frame.iloc[0]


def test_a_variance_that_rests_on_a_handful_of_samples_is_not_given(found: Tables) -> None:
    statistics = found.read("gradient_statistics")
    far, near = (row(statistics, environment=name, estimator="reinforce") for name in ("far", "near"))
    assert far["not_measurable"].startswith("the variance rests on ")
    assert far[["variance", "variance_high", "nsr", "mse_equal_samples", "mse_equal_steps"]].isna().all()
    assert near["not_measurable"] == ""
    assert near["variance_low"] < near["variance"] < near["variance_high"]
    for each in (far, near):
        assert 0 <= each["squared_error_median_low"] <= each["squared_error_median"] <= each["squared_error_90"]
        assert each["dtype"] == "float32"


def test_its_comparison_has_no_verdict_and_no_value(found: Tables) -> None:
    verdicts = found.read("verdicts")
    verdict = row(verdicts, environment="soft", criterion="equal_samples")
    assert verdict["verdict"] == "not_measurable"
    assert verdict["rival"] == "reinforce"
    assert "reinforce: the variance rests on " in verdict["reason"]
    assert row(verdicts, environment="far", criterion="equal_samples")["verdict"] == "no_signal", "pathwise has none"
    assert verdict[["value", "value_low", "value_high", "flip_budget"]].isna().all()
    assert row(verdicts, environment="near", criterion="equal_samples")["verdict"] != "not_measurable"


def test_the_report_counts_it(found: Tables) -> None:
    counted = {
        each["environment"]: (each["not_measurable"], each["of"], each["doubled"]) for each in health_rows(found)
    }
    assert counted == {"far": (1, 2, 0), "near": (0, 2, 0), "soft": (2, 2, 0)}


def test_no_squared_bias_and_no_limit_is_negative(found: Tables) -> None:
    statistics = found.read("gradient_statistics")
    assert (statistics[["squared_bias", "squared_bias_low", "squared_bias_high"]] >= 0).all(axis=None)
    pathwise = row(statistics, environment="near", estimator="pathwise")
    assert pathwise["squared_bias_low"] == pytest.approx(pathwise["squared_bias"])
