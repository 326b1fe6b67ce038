"""Protagonists are found by method, whatever a configuration calls them: in verdicts, figures, claims and traces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.helpers.small_studies import default_plan, small_plan

from scorepath.provenance.trace import trace
from scorepath.reporting.rows import declared_facts, identity_rows
from scorepath.stages._measurements import Measurements
from scorepath.stages._summaries import wins_table
from scorepath.stages._verdicts import AGAINST_REINFORCE, BEST, gradient_verdicts, with_spread
from scorepath.stages.claims import claims
from scorepath.stages.cost_tables import cost_tables
from scorepath.stages.costs import costs
from scorepath.stages.exact_curves import exact_curves
from scorepath.stages.figure import figure
from scorepath.stages.gradients import gradients
from scorepath.stages.reference import reference
from scorepath.stages.reference_policies import reference_policies
from scorepath.stages.tables import tables
from scorepath.stages.train import train
from scorepath.store.paths import TABLES, table_path
from scorepath.store.tables import Tables
from scorepath.study.cells import Plan

OWN_NAMES = [
    {"name": "williams", "method": "reinforce"},
    "leave_one_out",
    {"name": "bptt", "method": "pathwise"},
    {"name": "mixed", "method": "inverse_variance"},
]
METHODS = ["reinforce", "leave_one_out", "pathwise", "inverse_variance"]


def compute(plan: Plan) -> None:
    """Every job of a study but its report, in this process."""
    for environment in plan.study.environments:
        reference_policies(plan, environment)
        for sigma in plan.study.noise_levels:
            reference(plan, environment, sigma)
        costs(plan, environment)
        exact_curves(plan, environment)
    for cell in plan.cells:
        if cell.status == "run":
            stage = gradients if cell.stage == "gradients" else train
            stage(plan, cell.environment, cell.estimator, cell.sigma)
    tables(plan)
    cost_tables(plan)
    claims(plan)


def study(estimators: list[object]) -> Plan:
    names = [entry["name"] if isinstance(entry, dict) else str(entry) for entry in estimators]
    training = {
        "environments": ["cosine"], "estimators": names[:3], "noise_levels": [0.1], "learning_rates": [0.1],
        "extension": 0, "seeds": 3, "iterations": 4,
    }  # fmt: skip
    return small_plan(["cosine", "step"], estimators=estimators, training=training)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plan]:
    """A study under names of its own, computed in a folder that is the current one during the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("names"))
        plan = study(list(OWN_NAMES))
        compute(plan)
        yield plan


def test_a_cell_carries_its_method(plan: Plan) -> None:
    assert {cell.estimator: cell.method for cell in plan.cells} == {
        "williams": "reinforce", "leave_one_out": "leave_one_out", "bptt": "pathwise", "mixed": "inverse_variance",
    }  # fmt: skip


def test_other_names_change_no_number(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = {name: pd.read_csv(table_path(name)) for name in ("verdicts", "claims", "gradient_statistics")}
    monkeypatch.chdir(tmp_path)
    compute(study(list(METHODS)))
    back = {"williams": "reinforce", "bptt": "pathwise", "mixed": "inverse_variance"}
    for name, table in renamed.items():
        if "reason" in table:  # what is said in words may name an estimator, too
            table["reason"] = table["reason"].replace(back, regex=True)
        pd.testing.assert_frame_equal(table.replace(back), pd.read_csv(table_path(name)), check_exact=True)


@pytest.mark.parametrize("criterion", ["equal_samples", "equal_steps", "training", "training_equal_steps"])
def test_verdicts_compare_by_method(plan: Plan, criterion: str) -> None:
    verdicts = pd.read_csv(table_path("verdicts"))
    own = verdicts[(verdicts["criterion"] == criterion) & (verdicts["sigma"] > 0)]
    own = own[own["environment"] == "cosine"]
    assert set(own.loc[own["comparison"] == "pathwise_vs_reinforce", "rival"]) == {"williams"}
    if criterion.startswith("training"):  # no derivative-free estimator but score functions is trained
        wider = own[own["comparison"] == "pathwise_vs_best_derivative_free"]
        assert set(wider["verdict"]) == {"not_applicable"}
        assert wider["reason"].str.contains("only score functions are trained here").all()
        own = own.drop(wider.index)
    assert (own["verdict"] != "not_applicable").all()


def test_equal_seconds_are_those_of_the_method(plan: Plan) -> None:
    verdicts = pd.read_csv(table_path("verdicts_compute"))
    own = verdicts[(verdicts["sigma"] > 0) & (verdicts["environment"] == "cosine")]
    assert (own["verdict"] != "not_applicable").all()


@pytest.mark.parametrize(("own", "winner"), [("leave_one_out", "pathwise"), ("williams", "score_function")])
def test_no_side_may_win_by_a_bias_that_it_could_hide(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, own: str, winner: str
) -> None:
    """Leave-one-out has the smaller variance, in pathwise's place or in its rival's."""

    def verdict() -> tuple[str, str]:
        table = gradient_verdicts(Measurements(plan), "equal_samples")
        table = table[(table["environment"] == "step") & (table["sigma"] == 0.1) & (table["checkpoint"] == 0.5)]
        row = table[table["comparison"] == (AGAINST_REINFORCE if own == "leave_one_out" else BEST)].iloc[0]
        return row["verdict"], row["reason"]

    monkeypatch.setattr(Measurements, "pathwise", lambda all_, place: all_.standing_for(place, own))
    every = np.arange(plan.study.gradients.batches)
    monkeypatch.setattr("scorepath.stages._verdicts.halves", lambda _: (every, every))  # few as they are
    assert verdict() == (winner, "")
    monkeypatch.setattr(Measurements, "room", lambda _, measured: 100.0 * (measured.cell.estimator == "williams"))
    assert verdict() == (winner, ""), "the loser may have as much bias as it likes"
    monkeypatch.setattr(Measurements, "room", lambda _, measured: 100.0 * (measured.cell.estimator == "leave_one_out"))
    word, reason = verdict()
    assert word == "undecided"
    assert "could hide and turn it round" in reason


def test_the_report_speaks_of_methods(plan: Plan) -> None:
    found = Tables(TABLES, plan.methods)
    assert (found.called("pathwise"), found.called("reinforce")) == ("bptt", "williams")
    assert found.called("measure_valued") == "measure_valued"  # the study has none
    rows = identity_rows(found)
    assert rows
    assert all({"reinforce", "pathwise"} <= set(row) for row in rows)
    assert "the return jumps" in declared_facts(plan)["step"]


def test_figures_show_both_sides(plan: Plan) -> None:
    figure(plan, "identity")
    picture = Path("results/figures/identity.svg").read_text()
    assert "The 95 % interval of bptt contains 1" in picture
    assert "The 95 % interval of williams contains 1" in picture
    figure(plan, "variance")
    assert "pathwise has the smaller variance than REINFORCE at" in Path("results/figures/variance.svg").read_text()


def test_claims_find_their_estimators(plan: Plan) -> None:
    ledger = pd.read_csv(table_path("claims"))
    assert {"step-bias", "ivw-blind"} <= set(ledger["claim"])


def test_a_trace_names_the_cells_by_their_names(plan: Plan) -> None:
    verdicts = pd.read_csv(table_path("verdicts"))
    chosen = (verdicts["comparison"] == "pathwise_vs_reinforce") & (verdicts["sigma"] > 0)
    (number, *_) = verdicts.index[chosen & (verdicts["environment"] == "cosine")]
    commands = trace(plan, Path("verdicts"), int(number) + 1)
    assert "scorepath gradients cosine williams 0.1" in commands
    assert "scorepath gradients cosine bptt 0.1" in commands
    assert not [command for command in commands if "leave_one_out" in command or "mixed" in command]


def test_a_trace_of_a_training_verdict_names_training_cells(plan: Plan) -> None:
    verdicts = pd.read_csv(table_path("verdicts"))
    for criterion in ("training", "training_equal_steps"):
        (number, *_) = verdicts.index[(verdicts["criterion"] == criterion) & (verdicts["rival"] == "williams")]
        commands = trace(plan, Path("verdicts"), int(number) + 1)
        assert "scorepath train cosine williams 0.1" in commands
        assert not [command for command in commands if "scorepath gradients" in command]


def test_the_policies_of_an_environment_are_one_cluster_and_show_their_spread() -> None:
    pendulum = {"name": "pendulum", "family": "pendulum", "horizon": 3, "policies": 2}
    study = default_plan([pendulum, {"name": "cosine", "family": "cosine", "frequency": 2.0, "phase": 1.0}]).study
    shared = {
        "sigma": 0.1, "checkpoint": 0.0, "comparison": BEST, "criterion": "equal_samples",
        "statistic": "log10_mse_ratio",
    }  # fmt: skip
    values = {"pendulum": (1.0, "pathwise"), "pendulum_2": (-2.0, "score_function"), "cosine": (0.5, "pathwise")}
    rows = [{**shared, "environment": name, "value": value, "verdict": word} for name, (value, word) in values.items()]
    found = with_spread(pd.DataFrame(rows), study).set_index("environment")
    assert found["policies"].to_dict() == {"pendulum": 2, "pendulum_2": 2, "cosine": 1}
    assert found.loc["pendulum_2", ["value_least", "value_most"]].tolist() == [-2.0, 1.0]
    assert found.loc["cosine", ["value_least", "value_most"]].tolist() == [0.5, 0.5]
    rows[1]["value"] = math.nan  # not measurable there: then one policy was measured
    assert with_spread(pd.DataFrame(rows), study)["policies"].tolist() == [1, 1, 1]
    wins = wins_table(found.reset_index(), study)
    assert wins.loc[wins["by"] == "all", ["pathwise_wins", "rival_wins", "environments"]].to_numpy().tolist() == [
        [2, 1, 2]
    ]
