"""A training cell: which learning rate it takes, and what it records."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages._training import read_training, training_table
from scorepath.stages.train import train as train_cell
from scorepath.store.paths import cell_path
from scorepath.study.cells import Cell, Plan

UNSTABLE: dict[str, Any] = {"horizon": 20, "dynamics": ((1e3,),)}


def train(
    folder: Path, rates: tuple[float, ...], family: str = "quadratic", extension: int = 0, **knobs: Any
) -> tuple[Plan, list[Mapping[str, str]]]:
    """The plan and the rows of one training cell."""
    plan = small_plan(
        [{"name": "mine", "family": family, **knobs}],
        noise_levels=[0.1],
        estimators=["pathwise"],
        gradients={"samples": 64, "batch_size": 16},
        training={"learning_rates": list(rates), "extension": extension, "seeds": 3, "iterations": 20},
    )
    train_cell(plan, "mine", "pathwise", 0.1)
    with open(folder / cell_path("training", "mine", "pathwise", 0.1), newline="") as file:
        return plan, list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("rates", "chosen", "edge"),
    [
        ((0.001, 0.1, 10.0), 0.1, False),
        ((0.001, 0.01, 0.1), 0.1, True),  # more would have been better
        ((0.1, 10.0, 100.0), 0.1, True),  # less might have been
        ((0.1,), 0.1, True),
    ],
)
def test_a_rate_at_the_edge_of_its_grid_is_flagged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rates: tuple[float, ...], chosen: float, edge: bool
) -> None:
    plan, _ = train(folder, rates)
    monkeypatch.setattr(Cell, "available", True)  # there are no references
    table = training_table(read_training(plan), plan.study.training.seeds)
    assert set(table["learning_rate"]) == {chosen}
    assert set(table["at_grid_edge"]) == {edge}
    assert (table["lowest_rate"].unique().tolist(), table["highest_rate"].unique().tolist()) == (
        [min(rates)],
        [max(rates)],
    )
    assert len(table) == 3 * 11  # each seed's curve at one rate


def test_a_grid_is_extended_until_no_choice_sits_at_its_edge(folder: Path) -> None:
    _, rows = train(folder, (0.0001, 0.001), extension=6)
    tried = sorted({float(row["learning_rate"]) for row in rows})
    assert tried == [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]  # two at a time; 0.1 is best
    assert len(rows) == len(tried) * 3 * 11


def test_a_grid_goes_no_further_than_it_may(folder: Path) -> None:
    _, rows = train(folder, (1e-7, 1e-6), extension=3)
    assert max(float(row["learning_rate"]) for row in rows) == pytest.approx(1e-3)


def test_a_cell_records_every_seed_and_what_it_cost(folder: Path) -> None:
    _, rows = train(folder, (0.05,), family="lqr", horizon=5)
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert [int(row["iteration"]) for row in rows if row["seed"] == "0"] == list(range(0, 21, 2))
    for row in rows:
        assert int(float(row["environment_steps"])) == 5 * 16 * int(row["iteration"])
        assert np.isfinite(float(row["return_stochastic"]))


def test_a_cell_whose_gradients_explode_is_a_result(folder: Path) -> None:
    """No exception, and rows that say so."""
    _, rows = train(folder, (0.01, 0.1), family="lqr", **UNSTABLE)
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert all(not np.isfinite(float(row["return_stochastic"])) for row in rows)
    assert all(not np.isfinite(float(row["gradient_norm"])) for row in rows if row["iteration"] != "0")
