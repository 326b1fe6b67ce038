"""Is MuJoCo differentiable? A ball falls on a plane: `python -m benchmarks.contact_onset` prints a table, in minutes.

With the word `sweeps` the table of the points of `config/mujoco.yaml`'s sweeps, as far as the study has measured them.

The ledger's claim `mujoco_onset`, at more onsets, time steps and noise levels: one decision in one dimension, so that
expectations over the action noise are sums over a grid. What the grid is good for shows in the means that half of it
gives.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from scorepath.boundaries import contrasts
from scorepath.claims.mujoco_onset import MEAN, FallingBall, moments, responses
from scorepath.intervals import mean_estimates

SECONDS = 0.16
SIGMAS = (0.03, 0.1, 0.3)
ONSETS = (0.9, 0.5, 0.1, 0.0)
TIME_STEPS = (0.002, 0.0005)
NODES, REACH = 3001, 6.0


def main() -> None:
    print(
        "| d0 | time step (s) | sigma | gradient | pathwise | variance, score function "
        "| variance, pathwise | largest jump (m) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    coarse = 0.0
    actions = MEAN + max(SIGMAS) * torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    for time_step in TIME_STEPS:
        for d0 in ONSETS:
            ball = FallingBall(solimp_d0=d0, time_step=time_step, frame_skip=round(SECONDS / time_step))
            returns, slopes = responses(ball, actions)
            smooth = (slopes[1:] + slopes[:-1]) / 2 * actions.diff()
            jump = (returns.diff() - smooth).abs().max().item()
            for sigma in SIGMAS:
                noise = (actions - MEAN) / sigma
                fine, half = (moments(noise[::n], returns[::n], slopes[::n], sigma) for n in (1, 2))
                coarse = max(coarse, abs(fine.gradient - half.gradient), abs(fine.pathwise - half.pathwise))
                print(
                    f"| {d0:g} | {time_step:g} | {sigma:g} | {fine.gradient:.5f} | {fine.pathwise:.5f} "
                    f"| {fine.score_variance:.2e} | {fine.variance:.2e} | {jump:.1e} |"
                )
        sys.stdout.flush()
    print(f"\nHalf of the grid's actions change no mean by more than {coarse:.1e}.")


def sweeps(folder: Path = Path("results/sweeps")) -> None:
    """Print a row per point: pathwise beside the measure-valued derivative, with 95 % limits over batches."""
    print(
        "| sweep | sigma | d0 | squared bias of pathwise, by the squared gradient | variance, pathwise "
        "| variance, measure-valued | error of measure-valued over pathwise's |"
    )
    print("|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*onset*/*.csv")):
        place = dict(part.split("=") for part in path.stem.split(","))
        rows = dict(iter(pd.read_csv(path).groupby("estimator")))
        ours, theirs = rows["pathwise"], rows["measure_valued"]
        square = (theirs["second_moment"] - theirs["variance"]).mean()  # unbiased for the squared gradient
        bias = mean_estimates(ours["squared_bias"].to_numpy() / square)
        errors = np.stack([each["squared_error"].to_numpy() for each in (ours, theirs)])
        ratio = [math.exp(each) for each in contrasts(errors[None])[0][:3]]
        print(
            f"| {path.parent.name} | {place['sigma']} | {place['solimp_d0']} "
            f"| {bias.value:.2f} [{bias.low:.2f}, {bias.high:.2f}] | {ours['variance'].mean():.3g} "
            f"| {theirs['variance'].mean():.3g} | {ratio[0]:.2g} [{ratio[1]:.2g}, {ratio[2]:.2g}] |"
        )


if __name__ == "__main__":
    sweeps() if sys.argv[1:] == ["sweeps"] else main()
