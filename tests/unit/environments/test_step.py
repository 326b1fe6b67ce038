"""A step has no derivative, but stays in the graph."""

from __future__ import annotations

import torch

from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step


def test_a_step_has_no_derivative_but_stays_in_the_graph() -> None:
    action = torch.tensor([[0.0], [0.2]], requires_grad=True)
    _, reward = Step(edge=0.1).step(torch.zeros(2, 1), action, torch.zeros(2, 0))
    assert reward.tolist() == [0.0, 1.0]
    (gradient,) = torch.autograd.grad(reward.sum(), action)
    assert gradient.tolist() == [[0.0], [0.0]]


def test_smoothing_a_step_spreads_its_jump_over_the_width() -> None:
    """Smoothing twice adds the widths."""
    assert Step(edge=0.3, discount=0.9).smoothed(0.2) == SoftStep(edge=0.3, discount=0.9, width=0.2)
    for environment in (Step(edge=0.3), BallWithWall()):
        assert environment.smoothed(0.2).smoothed(0.1) == environment.smoothed(0.2 + 0.1)
