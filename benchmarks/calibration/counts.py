"""Shares of repetitions with their standard errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

BATCHES = SIZE = 64
"""As in the default study."""
EVERY = np.arange(BATCHES)
SEED = 20261122


@dataclass
class Count:
    """How many of how many."""

    hits: int = 0
    of: int = 0
    alike: int = 1
    """So many in a row share their random numbers: the error is that of a share of independent groups."""

    def add(self, hit: bool) -> None:
        self.hits += bool(hit)
        self.of += 1

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else math.nan

    @property
    def error(self) -> float:
        """Standard error, with half a hit more on either side: no share is certain."""
        smoothed, groups = (self.hits + 0.5) / (self.of + 1), self.of / self.alike
        return math.sqrt(smoothed * (1 - smoothed) / (groups + 1))

    def __add__(self, other: Count) -> Count:
        return Count(self.hits + other.hits, self.of + other.of, max(self.alike, other.alike))

    def recorded(self) -> list[float] | None:
        """Share and standard error."""
        return [round(self.share, 5), round(self.error, 5)] if self.of else None
