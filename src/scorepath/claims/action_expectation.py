"""To take the expectation over the action exactly removes the action's part of the variance, and no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scorepath.claims._lab import Claim, Finding, Lab, near, positive_mean
from scorepath.environments.chain import Chain

SLIP = 0.3


def experiment(lab: Lab) -> Iterator[Finding]:
    """One decision between two ends: what is left to all-action is the chance of slipping."""
    simulator = lab.at(Chain(states=3, horizon=1, slip=SLIP, left_reward=0.2, right_reward=1.0), 1.0)
    whole, left = _predicted()
    for method, predicted, words in (
        ("reinforce", whole, "REINFORCE"), ("all_action", left, "all-action"),
    ):  # fmt: skip
        yield Finding(
            f"chain of 3 states, one step, slip {SLIP:g}: variance of {words} {predicted:.4f} (within 10 %)",
            positive_mean(lab.sample(method, simulator, 128, 256).variances), predicted, near(predicted, 0.1),
        )  # fmt: skip


def _predicted() -> tuple[float, float]:
    """Both variances, by enumeration of two actions and of slipping or not, at equal logits."""
    rewards = np.array([[0.2, 1.0], [1.0, 0.2]])  # without and with a slip, by action
    chances = np.array([1 - SLIP, SLIP])
    scores = np.array([[0.5, -0.5], [-0.5, 0.5]])  # of both logits, by action
    samples = rewards[:, :, None] * scores
    first = np.einsum("s,sal->l", chances, samples) / 2
    whole = np.einsum("s,sal->", chances, samples**2) / 2 - first @ first
    given = samples.mean(1)  # the action's expectation
    left = np.einsum("s,sl->", chances, given**2) - first @ first
    return float(whole), float(left)


CLAIM = Claim(
    source="Asadi et al. 2017; Ciosek & Whiteson 2020; Rao-Blackwell",
    prediction=(
        "The variance of the score function is that of the all-action gradient and the mean variance over actions:"
        " the law of total variance."
    ),
    experiment=experiment,
    mutants=({"all_action": "reinforce", "reinforce": "leave_one_out"},),
)
