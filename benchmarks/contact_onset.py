"""Is MuJoCo differentiable? A ball falls on a plane: `python -m benchmarks.contact_onset` prints a table, in minutes.

One decision in one dimension, so that expectations over the action noise are sums over a grid: the true gradient of
J_sigma by Stein's identity, E[f eps] / sigma, which needs no derivative of f; the pathwise one as the mean of MuJoCo's
Jacobian; and both variances per sample. What the grid is good for shows in the means that half of it gives.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from scorepath.registry import load_plugin

PLUGIN = Path(__file__).parent.parent / "config" / "falling_ball.py"
MEAN, SECONDS = -0.7, 0.16
SIGMAS = (0.03, 0.1, 0.3)
ONSETS = (0.9, 0.5, 0.1, 0.0)
TIME_STEPS = (0.002, 0.0005)
NODES, REACH = 3001, 6.0


def returns_and_slopes(d0: float, time_step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Actions (NODES,), the return of each, and its derivative by MuJoCo's Jacobian."""
    _, kind = load_plugin(PLUGIN)
    environment = kind(solimp_d0=d0, time_step=time_step, frame_skip=round(SECONDS / time_step))
    actions = MEAN + max(SIGMAS) * torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)[:, None]
    state = environment.initial_state(torch.zeros(NODES, environment.initial_noise_dim, dtype=torch.float64))
    nothing = torch.zeros(NODES, 0, dtype=torch.float64)
    _, found = environment.step(state, actions, nothing)
    slopes = environment.step_jacobians(state, actions, nothing).reward_by_action[:, 0]
    return actions[:, 0].numpy(), found.numpy(), slopes.numpy()


def moments(actions: np.ndarray, returns: np.ndarray, slopes: np.ndarray, sigma: float) -> np.ndarray:
    """The gradient, the pathwise mean, and the variances of the score function (mean baseline) and of pathwise."""
    eps = (actions - MEAN) / sigma
    weights = np.exp(-(eps**2) / 2)
    weights /= weights.sum()
    score = (returns - weights @ returns) * eps / sigma
    means = [weights @ each for each in (score, slopes)]
    variances = [weights @ each**2 - mean**2 for each, mean in zip((score, slopes), means, strict=True)]
    return np.array([*means, *variances])


def main() -> None:
    print(
        "| d0 | time step (s) | sigma | gradient | pathwise | variance, score function "
        "| variance, pathwise | largest jump (m) |"
    )
    print("|---|---|---|---|---|---|---|---|")
    coarse = 0.0
    for time_step in TIME_STEPS:
        for d0 in ONSETS:
            actions, returns, slopes = returns_and_slopes(d0, time_step)
            smooth = (slopes[1:] + slopes[:-1]) / 2 * np.diff(actions)
            jump = np.abs(np.diff(returns) - smooth).max()
            for sigma in SIGMAS:
                fine = moments(actions, returns, slopes, sigma)
                half = moments(actions[::2], returns[::2], slopes[::2], sigma)
                coarse = max(coarse, float(np.abs(fine - half)[:2].max()))
                gradient, pathwise, score_variance, variance = fine
                print(
                    f"| {d0:g} | {time_step:g} | {sigma:g} | {gradient:.5f} | {pathwise:.5f} | {score_variance:.2e} "
                    f"| {variance:.2e} | {jump:.1e} |"
                )
        sys.stdout.flush()
    print(f"\nHalf of the grid's actions change no mean by more than {coarse:.1e}.")


if __name__ == "__main__":
    main()
