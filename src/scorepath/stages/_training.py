"""What the training cells say: curves at the rates that other seeds chose, and scores on the scale of their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scorepath.scores import at_edge, choices, late_means, normalised, scale_of
from scorepath.stages._measurements import read_columns
from scorepath.store.paths import sigma_token
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan

CRITERIA = {"training": "iteration", "training_equal_steps": "environment_steps"}
"""Training is compared after equally many iterations, and after equally many environment steps: what a run spends."""


@dataclass(frozen=True)
class Trained:
    """All runs of one training cell: every column as (rates, seeds, records)."""

    cell: Cell
    columns: dict[str, np.ndarray]

    @property
    def rates(self) -> list[float]:
        """In increasing order."""
        return [float(rate) for rate in self.columns["learning_rate"][:, 0, 0]]

    def spent(self, criterion: str) -> np.ndarray:
        """At every record, (records,)."""
        return self.columns[CRITERIA[criterion]][0, 0]

    def gains(self, criterion: str, budget: float) -> np.ndarray:
        """Late return of every run above that before training, (rates, seeds)."""
        returns = np.moveaxis(self.columns["return_stochastic"], -1, 0)
        return late_means(self.spent(criterion), returns, budget) - returns[0]


Places = dict[tuple[str, str], list[Trained]]
"""By environment and noise level, as paths write it."""


def read_training(plan: Plan) -> Places:
    """The training cells that have a result, by where they were trained.

    Raises:
        ValueError: naming a file that cannot be read.
    """
    found: Places = {}
    cells = [cell for cell in plan.running("training") if cell.available]
    for cell, columns in zip(cells, read_columns([cell.path for cell in cells]), strict=True):
        rates, seeds = (len(np.unique(columns[name])) for name in ("learning_rate", "seed"))
        try:
            shaped = {name: values.reshape(rates, seeds, -1) for name, values in columns.items()}
        except ValueError as error:
            raise ValueError(f"{cell.path} cannot be read ({error}); delete it and run again") from error
        found.setdefault((cell.environment, sigma_token(cell.sigma)), []).append(Trained(cell, shaped))
    return found


def place_scores(trained: Sequence[Trained], criterion: str) -> list[np.ndarray]:
    """Normalised scores of every run of the cells of a place, each (rates, seeds).

    All may spend what the one that spends least does in its whole training.
    """
    if not trained:
        return []
    budget = min(each.spent(criterion)[-1] for each in trained)
    gains = [each.gains(criterion, budget) for each in trained]
    scale = scale_of(gains)
    return [normalised(each, scale) for each in gains]


def most_chosen(scores: Sequence[np.ndarray]) -> int:
    """Which of several estimators, by its rates' scores, most seeds' choices belong to."""
    owners = np.repeat(np.arange(len(scores)), [len(each) for each in scores])
    return int(Counter(owners[choices(np.concatenate(scores))].tolist()).most_common(1)[0][0])


def training_table(places: Places, judged: int) -> pd.DataFrame:
    """The curves of so many seeds, the first ones, each at the rate that the cell's other seeds chose."""
    parts: list[dict[str, np.ndarray]] = []
    for trained in places.values():
        for each, scores in zip(trained, place_scores(trained, "training"), strict=True):
            chosen, rates = choices(scores)[:judged], each.rates
            picked = {name: values[chosen, np.arange(len(chosen))].ravel() for name, values in each.columns.items()}
            same = {
                "environment": each.cell.environment, "estimator": each.cell.estimator, "sigma": each.cell.sigma,
                "at_grid_edge": len(rates) == 1 or any(at_edge(chosen.tolist(), rates)),
                "lowest_rate": rates[0], "highest_rate": rates[-1],
            }  # fmt: skip
            count = len(picked["seed"])
            parts.append(picked | {name: np.full(count, value) for name, value in same.items()})
    # joined as arrays: joining a hundred frames takes most of a second
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS["training"] if parts}
    return pd.DataFrame(joined, columns=COLUMNS["training"])
