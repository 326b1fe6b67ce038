"""One reading of a study's results, for all tables: every cell that is there, and the references it is judged by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from scorepath.memory import collect_rarely
from scorepath.stages._references import Reference, load_reference
from scorepath.store.paths import policies_path, reference_path, sigma_token
from scorepath.store.records import require_intact
from scorepath.tails import Tail
from scorepath.unbiasedness import proved
from scorepath.verdicts import ErrorComponents, error_components

if TYPE_CHECKING:
    from scorepath.study.cells import Cell, Plan
    from scorepath.study.settings import Study

AT_ONCE = 500
"""Files whose text is held at the same time: some 20 MB."""
TAIL = [each.name for each in fields(Tail)]
COMPONENTS = ("variance", "squared_bias", "nonfinite_fraction", "zero_fraction")
"""The columns of a cell that `error_components` takes."""


class Place(NamedTuple):
    """Where estimators are compared."""

    environment: str
    sigma: str
    """As paths write it."""
    checkpoint: float


@dataclass(frozen=True)
class Columns(Mapping[str, np.ndarray]):
    """Columns of numbers by their names; there are thousands of these at once, so one array holds them all."""

    names: Mapping[str, int]
    numbers: np.ndarray
    """(columns, rows)."""

    def __getitem__(self, name: str) -> np.ndarray:
        return self.numbers[self.names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def by(self, name: str) -> Iterator[tuple[float, Columns]]:
        """The rows that have the same number in a column, one after another, and that number."""
        values = self[name]
        starts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        for start, end in pairwise(starts):
            yield values[start].item(), Columns(self.names, self.numbers[:, start:end])


class Measured(NamedTuple):
    """A gradient cell at one checkpoint: the columns of its rows, one per batch, and what its error is made of."""

    cell: Cell
    place: Place
    rows: Columns
    components: ErrorComponents

    @property
    def batches(self) -> int:
        """How many there are."""
        return len(self.components.variances)

    @property
    def steps(self) -> float:
        """Environment steps per sample, in units of one trajectory."""
        return self.cell.steps / self.cell.horizon

    def price(self, criterion: str) -> float:
        """What a sample costs by a criterion without timings: equal_samples or equal_steps."""
        return {"equal_samples": 1.0, "equal_steps": self.steps}[criterion]


@dataclass(frozen=True)
class Measurements:
    """All results of a study that are there, each read once, when it is first asked for."""

    plan: Plan

    @property
    def study(self) -> Study:
        return self.plan.study

    @cached_property
    def references(self) -> dict[tuple[str, str], Reference]:
        """By environment and noise level; where a jump was found anywhere, no derivative certifies any of them."""
        return {
            (name, token): each.without_derivatives(finding) if finding else each
            for (name, token), each in self._stored.items()
            for finding in [self._refutations.get(self.study.original(name), "")]
        }

    @cached_property
    def _stored(self) -> dict[tuple[str, str], Reference]:
        keys = [
            (name, sigma)
            for name in with_policies(self.study.environments)
            for sigma in self.study.noise_levels_of(name)
        ]
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
        collect_rarely()
        found = []
        cells = [cell for cell in self.plan.running("gradients") if cell.available]
        for cell, every in zip(cells, read_columns([cell.path for cell in cells]), strict=True):
            unbiased, token = self.proved(cell), sigma_token(cell.sigma)
            for checkpoint, rows in every.by("checkpoint"):
                place = Place(cell.environment, token, checkpoint)
                components = error_components(
                    cell.estimator,
                    *(rows[column] for column in COMPONENTS),
                    unbiased=unbiased,
                    certified=self.certified[place],
                    tail=_tail(rows),
                )
                found.append(Measured(cell, place, rows, components))
        return found

    def proved(self, cell: Cell) -> bool:
        """Whether a cell's bias is known to be zero."""
        return proved(
            cell.unbiased,
            cell.family,
            own_estimator=not self.study.estimators[cell.estimator].plugin,
            own_environment=not self.study.environments[cell.environment].plugin,
        )

    def room(self, measured: Measured) -> float:
        """The bias, by the gradient's length, that a measured one could have beyond what shows; 0 where none can."""
        place = measured.place
        index = self.study.references.return_gaps.index(place.checkpoint)
        blind = measured.cell.unbiased and not self.proved(measured.cell)
        return float(self.references[place.environment, place.sigma].noticeable[index]) if blind else 0.0

    def blindness(self, place: Place) -> str:
        """What pathwise does not see at a place, though the environment is declared continuous; "" of nothing.

        A jump refutes the declaration, wherever it was found; a ramp is as good as one at its own place only.
        """
        index = self.study.references.return_gaps.index(place.checkpoint)
        here = self.references[place.environment, place.sigma].findings[index]
        return self._refutations.get(self.study.original(place.environment), here)

    @cached_property
    def _refutations(self) -> dict[str, str]:
        """By environment, whatever its policy, the first jump that refutes its declared continuity."""
        found: dict[str, str] = {}
        for (name, _), reference in self._stored.items():
            for finding, share in zip(reference.findings, reference.jump_shares, strict=True):
                if finding and share == 0:
                    found.setdefault(self.study.original(name), finding)
        return found

    @cached_property
    def by_place(self) -> dict[Place, list[Measured]]:
        """The same by where they are measured."""
        found: dict[Place, list[Measured]] = {}
        for measured in self.gradients:
            found.setdefault(measured.place, []).append(measured)
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[Place, str], Measured]:
        return {(each.place, each.cell.estimator): each for each in self.gradients}

    def standing_for(self, place: Place, name: str) -> Measured | None:
        """An estimator's measurement at a place, or that of the one which gives the same numbers there."""
        cell = self.plan.index.get(("gradients", place.environment, name, place.sigma))
        if cell is None:  # the environment is measured with others only
            return None
        name = cell.status.removeprefix("identical_to:") if cell.status.startswith("identical_to:") else name
        return self._by_name.get((place, name))

    def pathwise(self, place: Place) -> Measured | None:
        """Pathwise's measurement at a place; without action noise it may be that of its deterministic self."""
        return next((found for name in self._pathwise if (found := self.standing_for(place, name))), None)

    @cached_property
    def _pathwise(self) -> list[str]:
        return [name for name, method in self.plan.methods.items() if method == "pathwise"]

    @cached_property
    def squares(self) -> dict[Place, float]:
        """Squared length of each reference gradient; nan where nothing certifies it."""
        return {place: norm**2 if certified else math.nan for place, (norm, certified) in self._judges.items()}

    def places(self) -> Iterator[Place]:
        """Every place of the study, in its order."""
        for environment in self.study.environments:
            for sigma in self.study.noise_levels_of(environment):
                for checkpoint in self.study.references.return_gaps:
                    yield Place(environment, sigma_token(sigma), checkpoint)


def halves(batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the even batches, on which what has to be chosen is chosen, and the odd ones, which judge."""
    return np.arange(0, batches, 2), np.arange(1, batches, 2)


def with_equal_batches(found: Sequence[Measured]) -> list[list[int]]:
    """The indices of those that have equally many batches, and so can stand side by side in an array."""
    groups: dict[int, list[int]] = {}
    for index, each in enumerate(found):
        groups.setdefault(each.batches, []).append(index)
    return list(groups.values())


def _tail(rows: Columns) -> Tail:
    return Tail(**{name: rows[f"tail_{name}"][0].item() for name in TAIL})


def read_columns(paths: Sequence[Path]) -> list[Columns]:
    """Results that hold numbers only.

    Raises:
        ValueError: naming a file that cannot be read, was cut off, or has changed since its job wrote it.
    """
    return [columns for start in range(0, len(paths), AT_ONCE) for columns in _parsed(paths[start : start + AT_ONCE])]


def _parsed(paths: Sequence[Path]) -> list[Columns]:
    """The same of a few hundred, their text parsed in one go: to begin costs as much as a thousand numbers."""
    headers, bodies = zip(*(_intact_text(path).split("\n", 1) for path in paths), strict=True)
    names = headers[0].split(",")
    rows = [body.count("\n") for body in bodies]
    try:
        if any(header != headers[0] for header in headers):
            raise ValueError("its columns are not those of the others")
        if any(body.count(",") != count * (len(names) - 1) for body, count in zip(bodies, rows, strict=True)):
            raise ValueError("a row is too long or too short")
        text = StringIO("".join(bodies))
        numbers = pd.read_csv(
            text, header=None, names=names, index_col=False, dtype=float, skip_blank_lines=False, na_values=["nan"],
            keep_default_na=False,
        )  # fmt: skip
    except ValueError as error:
        if len(paths) == 1:
            raise ValueError(f"{paths[0]} cannot be read ({error}); delete it and run again") from error
        return [columns for path in paths for columns in _parsed([path])]
    order = {name: index for index, name in enumerate(names)}
    parts = np.split(numbers.to_numpy().T, np.cumsum(rows)[:-1], axis=1)
    return [Columns(order, part) for part in parts]


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
    try:
        content = path.read_bytes()
        require_intact(path, content)
        text = content.decode("utf-8")
    except (UnicodeDecodeError, OSError) as error:
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
