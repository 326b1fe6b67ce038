"""Stages of studies that lack something: a side, noise, a reference that judges, a policy with an exact objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.helpers.small_studies import small_plan

from scorepath.figures import FIGURES
from scorepath.references.checkpoints import ReferencePolicies
from scorepath.stages._ledger import slope
from scorepath.stages._references import save_policies
from scorepath.stages._verdicts import AGAINST_REINFORCE, BEST, UNJUDGED, why_absent
from scorepath.stages.advisor import advisor
from scorepath.stages.claims import claims
from scorepath.stages.cost_tables import cost_tables
from scorepath.stages.costs import costs
from scorepath.stages.exact_curves import exact_curves
from scorepath.stages.figure import figure
from scorepath.stages.gradients import gradients
from scorepath.stages.mechanisms import mechanisms
from scorepath.stages.plan import make_plan
from scorepath.stages.probes import probes
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.signals import signals
from scorepath.stages.sweep_tables import sweep_tables
from scorepath.stages.tables import tables
from scorepath.store.paths import TABLES, cell_path, costs_path, policies_path, reference_path
from scorepath.store.tables import COLUMNS, Tables
from scorepath.study.wording import ConfigError

ZERO = 0 * torch.ones(2, 1, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# --- timings ----------------------------------------------------------------------------------------------------------


def test_an_environment_in_which_nothing_can_be_timed_has_a_table_without_rows() -> None:
    plan = small_plan(["step", "relu"], noise_levels=[0.0], estimators=["reinforce", "pathwise"])
    for name in plan.study.environments:
        save_policies(name, ReferencePolicies(ZERO, ZERO[:, 0], 0.0, 0.0))
        costs(plan, name)
        assert costs_path(name).read_text() == ",".join(COLUMNS["costs"]) + "\n"
    cost_tables(plan)
    assert Tables(TABLES).read("costs").empty
    assert set(Tables(TABLES).read("verdicts_compute")["verdict"]) == {"not_applicable"}


def test_the_others_are_timed_all_the_same() -> None:
    """And their numbers are written as ever."""
    entries = ["relu", {"name": "uniform", "family": "uniform_support"}]
    plan = small_plan(entries, noise_levels=[0.1], estimators=["boundary_corrected"])
    for name in plan.study.environments:
        save_policies(name, ReferencePolicies(ZERO, ZERO[:, 0], 0.0, 0.0))
        costs(plan, name)
    timed = [name for name in plan.study.environments if costs_path(name).read_text().count("\n") > 1]
    cost_tables(plan)
    table = Tables(TABLES).read("costs")
    assert table["environment"].tolist() == timed * 2  # a batch at a time, and many
    assert len(timed) == 1
    assert table["seconds_per_sample"].notna().all()
    cell, _ = (line.split(",")[5] for line in (TABLES / "costs.csv").read_text().splitlines()[1:])
    assert len(cell) <= 14  # nine significant digits


# --- environments that are measured in part --------------------------------------------------------------------------


def test_environments_may_be_measured_at_other_noise_levels_by_other_estimators() -> None:
    few = {"name": "few", "family": "cosine", "noise_levels": [0.3], "estimators": ["pathwise", "leave_one_out"]}
    plan = small_plan(
        ["cosine", few, "step"], noise_levels=[0.1, 0.3], estimators=["reinforce", "leave_one_out", "pathwise"],
        training={"environments": []},
    )  # fmt: skip
    for name in plan.study.environments:
        reference_policies(plan, name)
        for sigma in plan.study.noise_levels_of(name):
            reference(plan, name, sigma)
        for stage in (costs, exact_curves, signals, probes):
            stage(plan, name)
    for cell in plan.running("gradients"):
        gradients(plan, cell.environment, cell.estimator, cell.sigma)
    for gather in (tables, cost_tables, mechanisms, advisor, claims, sweep_tables):
        gather(plan)
    found = Tables(TABLES, plan.methods)
    levels = {
        name: {
            key: set(own["sigma"]) for key, own in found.read(name).groupby("environment") if key in ("cosine", "few")
        }
        for name in ("cells", "references", "gradient_statistics", "signals", "probes")
    }
    assert all(own == {"cosine": {0.1, 0.3}, "few": {0.3}} for own in levels.values()), levels
    own = found.read("verdicts")
    own = own[(own["environment"] == "few") & (own["criterion"] == "equal_samples") & (own["sigma"] == 0.3)]
    assert set(own.loc[own["comparison"] == AGAINST_REINFORCE, "reason"]) == {"no reinforce is measured here"}
    assert (own.loc[own["comparison"] == BEST, "rival"] == "leave_one_out").all()
    for name in FIGURES:
        figure(plan, name)


# --- why there is no comparison ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimators", "absent", "reason"),
    [
        (["reinforce"], "pathwise", "no pathwise in this study"),
        (["pathwise"], BEST, "no score-function estimator in this study"),
        (["leave_one_out", "pathwise"], AGAINST_REINFORCE, "no reinforce in this study"),
        (["leave_one_out", "pathwise"], BEST, "no result of leave_one_out"),
        (["reinforce", "pathwise"], AGAINST_REINFORCE, "no result of reinforce"),
        (["reinforce", "pathwise"], "pathwise", "no result of pathwise"),
    ],
)
def test_a_side_that_is_absent_is_named(estimators: Sequence[str], absent: str, reason: str) -> None:
    plan = small_plan(["relu"], noise_levels=[0.1], estimators=list(estimators))
    assert why_absent(plan, ("relu", "0.1"), absent) == reason


def test_a_side_that_cannot_exist_says_why() -> None:
    plan = small_plan(["chain"], estimators=["reinforce", "pathwise"])
    assert why_absent(plan, ("chain", "0.1"), "pathwise") == "actions are discrete"
    assert why_absent(plan, ("chain", "0"), BEST) == "without action noise the policy has no score function"


def test_a_side_that_nothing_can_judge_is_not_called_absent() -> None:
    plan = small_plan(["relu"], noise_levels=[0.1], estimators=["generalised_advantage", "pathwise"])
    for path in (
        policies_path("relu"),
        reference_path("relu", 0.1),
        cell_path("gradients", "relu", "generalised_advantage", 0.1),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert why_absent(plan, ("relu", "0.1"), BEST) == UNJUDGED


# --- claims -----------------------------------------------------------------------------------------------------------


def levels(values: Sequence[float], low: Sequence[float] | None = None) -> pd.DataFrame:
    columns = {"value": values, "value_low": low or values, "value_high": values}
    return pd.DataFrame({"sigma": np.geomspace(0.1, 10, len(values)), **columns})


def test_a_slope_has_limits() -> None:
    assert slope(levels([1.0, 100.0, 7.0]), "value") == pytest.approx((2.0, 2.0, 2.0))


@pytest.mark.parametrize("values", [[1.0], []])
def test_a_slope_needs_two_levels(values: list[float]) -> None:
    assert slope(levels(values), "value") is None


@pytest.mark.parametrize("values", [[1.0, 0.0], [-1.0, 1.0], [math.inf, 1.0], [1.0, math.nan]])
def test_nothing_is_known_of_a_slope_of_what_has_no_logarithm(values: list[float]) -> None:
    found = slope(levels(values), "value")
    assert found is not None
    assert math.isnan(found[0])
    assert found[1:] == (-math.inf, math.inf)


def test_limits_that_have_no_logarithm_are_infinite() -> None:
    found = slope(levels([1.0, 100.0], low=[-1.0, 0.0]), "value")
    assert found is not None
    assert found[0] == pytest.approx(1.0)
    assert found[1:] == (-math.inf, math.inf)


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"name": "lqr"}, "mlp"),
        ({"name": "random_walk_call"}, "linear"),
        ({"name": "angle_doubling"}, "mlp"),
    ],
)
def test_a_policy_without_an_exact_objective_is_refused_by_the_plan(entry: dict[str, Any], kind: str) -> None:
    with pytest.raises(
        ConfigError, match=r"environments\[0\]\.policy\.kind .*the exact objective .* needs a.* open_loop"
    ):
        small_plan([entry | {"policy": {"kind": kind}}])


@pytest.mark.parametrize("kind", ["open_loop", "linear", "mlp"])
@pytest.mark.parametrize("family", ["quadratic", "chain", "tanh_ridge", "pendulum", "fourier_field"])
def test_other_policies_are_welcome(family: str, kind: str) -> None:
    assert small_plan([{"name": family, "policy": {"kind": kind}}]).running("gradients")


def test_a_batch_of_one_has_no_variance() -> None:
    with pytest.raises(ConfigError, match=r"gradients\.batch_size is 1, but must be at least 2\."):
        make_plan(
            {
                "noise_levels": [1],
                "environments": ["relu"],
                "estimators": ["pathwise"],
                "gradients": {"samples": 8, "batch_size": 1},
            }
        )
