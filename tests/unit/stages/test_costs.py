"""Timings: one batch at a time and many, and the pilot of a fitted value by itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from tests.helpers.small_studies import small_plan

from scorepath.measurement import TRAJECTORIES_AT_ONCE
from scorepath.stages.cost_tables import cost_tables
from scorepath.stages.costs import costs
from scorepath.stages.reference_policies import reference_policies
from scorepath.store.paths import table_path


def test_seconds_are_measured_at_the_batch_and_at_saturation(folder: Path) -> None:
    plan = small_plan(["lqr"], noise_levels=[0.1], estimators=["reinforce", "state_value_baseline", "pathwise"])
    reference_policies(plan, "lqr")
    costs(plan, "lqr")
    cost_tables(plan)
    table = pd.read_csv(folder / table_path("costs"))
    batch = plan.study.gradients.batch_size
    assert set(table["samples_at_once"]) == {batch, plan.study.gradients.samples}, "as gradients are measured with"
    assert plan.study.gradients.samples < TRAJECTORIES_AT_ONCE
    assert len(table) == 6
    assert (table["seconds_per_sample"] > 0).all()
    fitted = table["estimator"] == "state_value_baseline"
    assert (table.loc[fitted, "pilot_seconds_per_sample"] > 0).all()
    assert (table.loc[~fitted, "pilot_seconds_per_sample"] == 0).all()
    # a call costs something whatever its size
    wide = table.pivot_table(index="estimator", columns="samples_at_once", values="seconds_per_sample")
    assert (wide[batch] > wide[wide.columns.max()]).all()
    verdicts = pd.read_csv(folder / table_path("verdicts_compute"))
    assert set(verdicts["criterion"]) == {"equal_compute", "equal_compute_saturated"}


def test_where_samples_are_dear_one_batch_at_a_time_is_timed(folder: Path) -> None:
    plan = small_plan([{"name": "lqr", "samples": {"gradients": 64}}], noise_levels=[0.1], estimators=["reinforce"])
    reference_policies(plan, "lqr")
    costs(plan, "lqr")
    cost_tables(plan)
    table = pd.read_csv(folder / table_path("costs"))
    assert table["samples_at_once"].tolist() == [plan.study.gradients.batch_size]
