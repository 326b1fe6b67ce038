"""What is read from training cells: scores at equal iterations and at equal steps, and who is chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.helpers.small_studies import small_plan

from scorepath.stages._training import Trained, most_chosen, place_scores
from scorepath.study.cells import Cell

RECORDS = np.arange(0.0, 41.0, 4.0)
ESTIMATORS = ["pathwise", "zero_noise_baseline"]


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    plan = small_plan(["quadratic"], noise_levels=[0.1], estimators=list(ESTIMATORS))
    return [cell for cell in plan.cells if cell.stage == "training"]


def trained(cell: Cell, cost: float, slopes: list[float]) -> Trained:
    """Two rates, three seeds, and returns that rise in a straight line."""
    shape = (len(slopes), 3, len(RECORDS))
    columns = {
        "learning_rate": np.broadcast_to(np.array([0.01, 0.1])[:, None, None], shape),
        "iteration": np.broadcast_to(RECORDS, shape),
        "environment_steps": np.broadcast_to(cost * RECORDS, shape),
        "return_stochastic": np.array(slopes)[:, None, None] * RECORDS - 7 + np.arange(3.0)[:, None],
    }
    return Trained(cell, columns)


def test_after_equal_iterations_the_better_slope_wins(cells: list[Cell]) -> None:
    cheap, dear = place_scores([trained(cells[0], 1, [0.5, 1.0]), trained(cells[1], 2, [0.75, 1.5])], "training")
    np.testing.assert_allclose(cheap, [[1 / 3] * 3, [2 / 3] * 3])
    np.testing.assert_allclose(dear, [[1 / 2] * 3, [1.0] * 3])


def test_at_equal_steps_who_costs_twice_takes_half_as_many_iterations(cells: list[Cell]) -> None:
    both = [trained(cells[0], 1, [0.5, 1.0]), trained(cells[1], 2, [0.75, 1.5])]
    cheap, dear = place_scores(both, "training_equal_steps")
    np.testing.assert_allclose(cheap, [[1 / 2] * 3, [1.0] * 3])
    np.testing.assert_allclose(dear, [[3 / 8] * 3, [3 / 4] * 3])


def test_the_plan_charges_a_second_rollout_in_training_too() -> None:
    plan = small_plan(["lqr"], noise_levels=[0.1], estimators=[*ESTIMATORS, "state_value_baseline"])
    steps = {(cell.stage, cell.estimator): cell.steps / cell.horizon for cell in plan.cells}
    assert steps["training", "zero_noise_baseline"] == steps["gradients", "zero_noise_baseline"] == 2
    assert steps["gradients", "state_value_baseline"] == 5  # with its pilot
    assert steps["training", "state_value_baseline"] == 1  # the batch before was paid for when it was used


def test_a_rival_is_chosen_with_its_rate() -> None:
    first, second = np.array([[0.2] * 4, [0.9] * 4]), np.array([[0.7] * 4, [0.8] * 4])
    assert most_chosen([first, second]) == 0
    assert most_chosen([first - 0.2, second]) == 1


def test_rates_are_read_in_their_order(cells: list[Cell]) -> None:
    assert trained(replace(cells[0]), 1, [1.0, 2.0]).rates == [0.01, 0.1]
