"""Is MuJoCo differentiable? A ball falls on a plane: `python -m benchmarks.contact_onset` prints a table, in minutes.

The ledger's claim `mujoco_onset`, at more onsets, time steps and noise levels: one decision in one dimension, so that
expectations over the action noise are sums over a grid. What the grid is good for shows in the means that half of it
gives.
"""

from __future__ import annotations

import sys

import torch

from scorepath.claims.mujoco_onset import MEAN, FallingBall, moments, responses

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


if __name__ == "__main__":
    main()
