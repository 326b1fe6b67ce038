"""A training cell: which learning rate it takes, and what it records."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages.train import train as train_cell
from scorepath.store.paths import cell_path
from scorepath.training import History, Trainer

UNSTABLE: dict[str, Any] = {"horizon": 20, "dynamics": ((1e3,),)}


def train(folder: Path, rates: tuple[float, ...], family: str = "quadratic", **knobs: Any) -> list[Mapping[str, str]]:
    """The rows of one training cell."""
    plan = small_plan(
        [{"name": "mine", "family": family, **knobs}],
        noise_levels=[0.1],
        estimators=["pathwise"],
        gradients={"samples": 64, "batch_size": 16},
        training={"learning_rates": list(rates), "extension": 0, "seeds": 3, "iterations": 20},
    )
    train_cell(plan, "mine", "pathwise", 0.1)
    with open(folder / cell_path("training", "mine", "pathwise", 0.1), newline="") as file:
        return list(csv.DictReader(file))


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
    folder: Path, rates: tuple[float, ...], chosen: float, edge: bool
) -> None:
    rows = train(folder, rates)
    assert {float(row["learning_rate"]) for row in rows} == {chosen}
    assert {row["at_grid_edge"] for row in rows} == {str(edge)}


def test_a_cell_records_every_seed_and_what_it_cost(folder: Path) -> None:
    rows = train(folder, (0.05,), family="lqr", horizon=5)
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert [int(row["iteration"]) for row in rows if row["seed"] == "0"] == list(range(0, 21, 2))
    for row in rows:
        assert int(float(row["environment_steps"])) == 5 * 16 * int(row["iteration"])
        assert np.isfinite(float(row["return_stochastic"]))


def test_curves_use_other_seeds_than_tuning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[set[str]] = []
    original = Trainer.run

    def record(self: Trainer, rates: tuple[float, ...], seeds: list[str]) -> History:
        used.append(set(seeds))
        return original(self, rates, seeds)

    monkeypatch.setattr(Trainer, "run", record)
    train(folder, (0.05, 0.1, 0.2))
    assert len(used) == 2
    assert not used[0] & used[1]


def test_a_cell_whose_gradients_explode_is_a_result(folder: Path) -> None:
    """No exception, and rows that say so."""
    rows = train(folder, (0.01, 0.1), family="lqr", **UNSTABLE)
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert all(not np.isfinite(float(row["return_stochastic"])) for row in rows)
    assert all(not np.isfinite(float(row["gradient_norm"])) for row in rows if row["iteration"] != "0")
