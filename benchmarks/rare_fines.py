"""How often the advisor's printed intervals hold where few trajectories get a fine: `python -m benchmarks.rare_fines`.

One decision with a reward of `sin(z + 0.3)`, z standard normal, less a fine: beyond a threshold, on a slope of some
width, or in a hole of that width. The truth is a sum over a grid of z. Three minutes; docs/advisor.md quotes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor

import scorepath as sp

SIGMA = 0.1
Z = np.linspace(-8, 8, 1_600_001)
SEEDS = 40


@dataclass(frozen=True, kw_only=True)
class Fined(sp.Environment):
    """One decision: a sine less a fine around, or beyond, `where` standard deviations of the action noise."""

    fine: float = 2.0
    where: float = 2.31
    width: float = 0.02
    hole: bool = False

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        z = action[..., 0] / SIGMA
        away = (z - self.where) / self.width
        fined = torch.exp(-away.square() / 2) if self.hole else torch.sigmoid(away)
        return state, torch.sin(z + 0.3) - self.fine * fined


def true_ratios(environment: Fined) -> dict[str, float]:
    """Variances of the rivals over pathwise's, by sums over a grid of the noise: no code of Scorepath."""

    def returns(z: np.ndarray) -> np.ndarray:
        away = (z - environment.where) / environment.width
        fined = np.exp(-(away**2) / 2) if environment.hole else (1 + np.tanh(away / 2)) / 2
        return np.asarray(np.sin(z + 0.3) - environment.fine * fined)

    weights = norm.pdf(Z) * (Z[1] - Z[0])
    found, slopes = returns(Z), np.gradient(returns(Z), Z) / SIGMA
    score = (found - weights @ found) * Z / SIGMA
    rho = Z[Z > 0]
    rayleigh = rho * np.exp(-(rho**2) / 2) * (Z[1] - Z[0])
    halves = (returns(rho) - returns(-rho)) / (SIGMA * math.sqrt(2 * math.pi))
    pathwise = weights @ slopes**2 - (weights @ slopes) ** 2
    spread = weights @ (found - weights @ found) ** 2 / SIGMA**2
    one_out = weights @ score**2 - (weights @ score) ** 2 + (spread + (weights @ score) ** 2) / 63
    branches = rayleigh @ halves**2 - (rayleigh @ halves) ** 2
    return {"leave_one_out": float(one_out / pathwise), "measure_valued": float(branches / pathwise)}


def held(environment: Fined, seeds: int) -> tuple[int, int]:
    """In how many pieces of advice the printed interval holds the truth, and in how many one is printed."""
    truth, inside, printed = true_ratios(environment), 0, 0
    for seed in range(seeds):
        (answer,) = sp.advise(environment, noise_levels=[SIGMA], budget=20, seed=seed).answers
        if math.isfinite(answer.ratio.value):
            printed += 1
            inside += bool(answer.ratio.low <= truth[answer.rival] <= answer.ratio.high)
    return inside, printed


def environments() -> Iterator[Fined]:
    """Fines of one trajectory in 30 to one in 1000, steep and less so, small and large."""
    for rarity in (30, 96, 300, 1000):
        for hole, widths in ((False, (0.02, 0.1)), (True, (0.1,))):
            for width in widths if not hole or rarity > 30 else ():
                for fine in (0.5, 2.0, 8.0):
                    yield Fined(fine=fine, where=float(norm.isf(1 / rarity)), width=width, hole=hole)


def main() -> None:
    """Print a row per environment, and the sum."""
    torch.set_num_threads(1)
    print(
        "| beyond | width | fine | hole | true ratio | intervals that hold | printed |\n|---|---|---|---|---|---|---|"
    )
    total = np.zeros(2, dtype=int)
    for each in environments():
        found = held(each, SEEDS)
        total += found
        best = min(true_ratios(each).values())
        row = f"| {each.where:.2f} | {each.width} | {each.fine} | {each.hole} | {best:.3g} | {found[0]} | {found[1]} |"
        print(row, flush=True)
    print(f"| all | | | | | {total[0]} | {total[1]} |")


if __name__ == "__main__":
    main()
