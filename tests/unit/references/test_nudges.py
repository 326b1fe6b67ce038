"""Nudges of every action: they see a derivative that is wrong at any step of a trajectory. Seeds are fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.noise import Stream
from scorepath.references import estimates
from scorepath.references.monte_carlo import certified_reference
from scorepath.rollout import Simulator


@dataclass(frozen=True, kw_only=True)
class Detached(Environment):
    """s' = s + a and a reward of -(s' - 1)^2, whose derivative by a is wrong beyond `cut` standard deviations."""

    horizon: int = 3
    cut: float = 3.5
    amount: float = 0.0

    source: ClassVar[str] = "test"
    reference_class: ClassVar[Any] = "certified_monte_carlo"

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        beyond = (action > 0.1 * self.cut).to(action)
        moved = state + action + self.amount * beyond * (action - action.detach())
        return moved, -((moved[..., 0] - 1) ** 2)


def test_derivatives_wrong_in_few_trajectories_leave_room_for_their_bias() -> None:
    """In one of 291, by 5 % on average. A branch sees one step of a trajectory, a nudge sees all.

    The seeds are fixed. Without nudges certificates state a bias that is far below that of their reference.
    """
    horizon, cut, amount = 5, 3.2, 111.0
    truth = 2.0 * torch.arange(horizon, 0, -1, dtype=torch.float64)
    for wrong in (amount, 0.0):
        simulator = Simulator(Detached(horizon=horizon, cut=cut, amount=wrong), sigma=0.1)
        for seed in range(20 if wrong else 1):
            found = certified_reference(simulator, Stream(seed, "test", ""), 40960, 64, 0.25)
            error = (found.gradients.mean(0) - truth).norm().item() - 3 * found.standard_error
            noticeable = found.noticeable * truth.norm().item()
            assert not found.certified or error < 1.5 * noticeable, (seed, error, found.certified_by)
    assert found.certified
    assert found.noticeable < 0.01


@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_nudges_find_what_derivatives_lack_or_have_too_much(sigma: float) -> None:
    """Twice the derivative, everywhere: the whole gradient too much. Within 6 standard errors (2e-9 each)."""
    environment = Detached(horizon=3, cut=-1e9, amount=1.0)
    found = estimates.mistaken(Simulator(environment, sigma=sigma), Stream(0, "test", ""), 64, 256)
    truth = -2.0 * torch.arange(3, 0, -1, dtype=torch.float64)
    error = found.std(0) / 8
    assert ((found.mean(0) - truth).abs() < 6 * error + 1e-4).all()
    assert (error < 0.2).all()
