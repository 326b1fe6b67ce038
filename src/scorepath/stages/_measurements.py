"""One reading of a study's results, for all tables: every cell that is there, and the references it is judged by."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from scorepath.noise import Stream
from scorepath.stages._references import Reference, load_reference
from scorepath.statistics import bootstrap_weights
from scorepath.store.paths import policies_path, reference_path, sigma_token
from scorepath.store.records import require_intact
from scorepath.verdicts import ErrorComponents, error_components

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan
    from scorepath.study.settings import Study

COMPONENTS = ("variance", "squared_bias", "nonfinite_fraction", "zero_fraction")
"""The columns of a cell that `error_components` takes."""


class Place(NamedTuple):
    """Where estimators are compared."""

    environment: str
    sigma: str
    """As paths write it."""
    checkpoint: float


class Measured(NamedTuple):
    """A gradient cell at one checkpoint: the columns of its rows, one per batch, and what its error is made of."""

    cell: Cell
    place: Place
    rows: dict[str, np.ndarray]
    components: ErrorComponents

    @property
    def steps(self) -> float:
        """Environment steps per sample, in units of one trajectory."""
        return self.cell.steps / self.cell.horizon


@dataclass(frozen=True)
class Measurements:
    """All results of a study that are there, each read once, when it is first asked for."""

    plan: Plan
    _weights: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def study(self) -> Study:
        return self.plan.study

    @cached_property
    def references(self) -> dict[tuple[str, str], Reference]:
        """By environment and noise level."""
        keys = [(name, sigma) for name in with_policies(self.study.environments) for sigma in self.study.noise_levels]
        return {
            (name, sigma_token(sigma)): load_reference(name, sigma)
            for name, sigma in keys
            if reference_path(name, sigma).exists()
        }

    @cached_property
    def norms(self) -> dict[Place, float]:
        """Length of each reference gradient."""
        return {place: norm for place, (norm, _) in self._judges.items()}

    @cached_property
    def certified(self) -> dict[Place, bool]:
        """Whether each reference can be trusted to judge a bias."""
        return {place: certified for place, (_, certified) in self._judges.items()}

    @cached_property
    def _judges(self) -> dict[Place, tuple[float, bool]]:
        found = {}
        for (name, token), reference in self.references.items():
            judged = zip(
                self.study.references.return_gaps, reference_norms(reference), reference.certified, strict=True
            )
            for gap, norm, certified in judged:
                found[Place(name, token, gap)] = norm, certified
        return found

    @cached_property
    def gradients(self) -> list[Measured]:
        """The gradient cells that have a result, in the study's order, each at every checkpoint."""
        found = []
        for cell in self.plan.running("gradients"):
            if not cell.available:
                continue
            columns = read_columns(cell.path)
            for checkpoint in dict.fromkeys(columns["checkpoint"].tolist()):
                place = Place(cell.environment, sigma_token(cell.sigma), checkpoint)
                rows = {name: values[columns["checkpoint"] == checkpoint] for name, values in columns.items()}
                components = error_components(
                    cell.estimator,
                    *(rows[column] for column in COMPONENTS),
                    unbiased=cell.unbiased,
                    certified=self.certified[place],
                )
                found.append(Measured(cell, place, rows, components))
        return found

    @cached_property
    def by_place(self) -> dict[Place, list[Measured]]:
        """The same by where they are measured."""
        found: dict[Place, list[Measured]] = {}
        for measured in self.gradients:
            found.setdefault(measured.place, []).append(measured)
        return found

    def places(self) -> Iterator[Place]:
        """Every place of the study, in its order."""
        for environment in self.study.environments:
            for sigma in self.study.noise_levels:
                for checkpoint in self.study.references.return_gaps:
                    yield Place(environment, sigma_token(sigma), checkpoint)

    def bootstrap_weights(self, batches: int) -> np.ndarray:
        """Resampling weights, the same for all cells, so that comparisons are paired: (resamples, batches)."""
        if batches not in self._weights:
            generator = Stream(self.study.seed, "", "verdicts").generator(batches, "bootstrap")
            self._weights[batches] = bootstrap_weights(batches, self.study.resamples, generator)
        return self._weights[batches]


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The columns of a result that holds numbers only; thousands of cells are read so.

    Raises:
        ValueError: naming a file that cannot be read, was cut off, or has changed since its job wrote it.
    """
    text = _intact_text(path)
    header, _, body = text.partition("\n")
    names = header.split(",")
    try:
        with warnings.catch_warnings(action="error"):  # of what is no number numpy only warns
            numbers = np.fromstring(body.replace("\n", ","), sep=",")
        rows = numbers.reshape(body.count("\n"), len(names))
    except (ValueError, DeprecationWarning) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
    return dict(zip(names, rows.T.copy(), strict=True))


def read_rows(path: Path, may_be_empty: bool = False) -> pd.DataFrame:
    """The rows of a job's result, of which some kinds may have none.

    Raises:
        ValueError: naming a file that cannot be read, was cut off, or has changed since its job wrote it.
    """
    try:
        return pd.read_csv(StringIO(_intact_text(path, 1 if may_be_empty else 2)))
    except pd.errors.ParserError as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error


def _intact_text(path: Path, lines: int = 2) -> str:
    """A file's text, of which no row is missing, and that has so many lines at least."""
    require_intact(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error
    if text.count("\n") < lines or not text.endswith("\n"):
        raise ValueError(f"{path} is cut off; delete it and run again")
    return text


def with_policies(environments: Iterable[str]) -> list[str]:
    """The environments whose reference policies exist; in a partial study some may be missing."""
    return [name for name in environments if policies_path(name).exists()]


def reference_norms(reference: Reference) -> np.ndarray:
    """Norm of the reference gradient at each checkpoint, its own Monte Carlo noise subtracted in the square."""
    squares = reference.gradients.mean(1).square().sum(-1).numpy()
    if reference.reference_class == "certified_monte_carlo":
        squares = np.maximum(0.0, squares - reference.standard_error**2)
    return np.sqrt(squares)
