"""Where no estimate of a batch's size is better than none, the advice says so."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import scorepath as sp


@dataclass(frozen=True, kw_only=True)
class Even(sp.Environment):
    """The return is even in the actions, and the first policy's mean is 0: so is the gradient."""

    horizon: int = 4
    phase: float = 0.0
    source = "test"
    reference_class = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        state = state + action
        return state, torch.cos(state[..., 0] + self.phase)


def test_of_no_gradient_no_estimate_is_of_use_and_that_is_said() -> None:
    """All random numbers are those of one seed, so that nothing but arithmetic can turn this round."""
    (answer,) = sp.advise(Even(), noise_levels=[0.3], budget=5).answers
    assert answer.useless.startswith("neither is usable at a batch of 64: both errors are at least ")
    assert answer.useless in str(answer)
    (useful,) = sp.advise(Even(phase=1.0), noise_levels=[0.3], budget=5).answers
    assert not useful.useless
