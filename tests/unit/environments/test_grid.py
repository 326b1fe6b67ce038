"""The grid world's moves and ends, by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.problems import noise, simulator

from scorepath.environments.grid import Grid
from scorepath.pullback import per_trajectory_gradients


def test_moves_on_a_grid() -> None:
    """3 4 5 below 0 1 2: from the start 3 to the goal 5, with or without a cliff at 4."""
    calm, cliff = (Grid(rows=2, columns=3, slip=0.2, cliff=there) for there in (False, True))
    up, right, down, left = range(4)
    transitions = calm.transition_matrix()
    assert transitions[3, up].tolist() == pytest.approx([0.8, 0, 0, 0.1, 0.1, 0])  # veers right, or left into the wall
    assert transitions[3, right].tolist() == pytest.approx([0.1, 0, 0, 0.1, 0.8, 0])
    assert transitions[1, down].tolist() == pytest.approx([0.1, 0, 0.1, 0, 0.8, 0])
    assert transitions[4, left].tolist() == pytest.approx([0, 0.1, 0, 0.8, 0.1, 0])
    assert transitions[4].tolist() != cliff.transition_matrix()[4].tolist()
    assert (cliff.transition_matrix()[4, :, 4] == 1).all()
    assert calm.reward_table()[4, right].item() == pytest.approx(-0.02 + 0.8)
    assert cliff.reward_table()[4].tolist() == [0, 0, 0, 0]
    assert cliff.reward_table()[3, right].item() == pytest.approx(-0.02 - 0.8)
    assert cliff.reward_table()[2, down].item() == pytest.approx(-0.02 + 0.8)


@pytest.mark.parametrize("cliff", [False, True])
def test_a_grid_ends_at_the_goal_and_below_the_cliff(cliff: bool) -> None:
    environment = Grid(rows=2, columns=3, horizon=12, cliff=cliff)
    start = simulator(environment, 0.5)
    trajectories = start.rollout(noise(environment, 2, 30).rollout)
    assert trajectories.active is not None
    ended = ~trajectories.active
    square = trajectories.observations.argmax(-1)
    assert torch.equal(ended, (square >= (4 if cliff else 5)))
    assert ended.any()
    assert not ended.all()
    assert (ended[..., 1:] | ~ended[..., :-1]).all(), "an end is for good"
    assert (trajectories.rewards[ended] == 0).all()
    assert (trajectories.rewards[~ended] != 0).all()
    (without,) = per_trajectory_gradients(trajectories, ended[..., None] * torch.ones_like(trajectories.actions))
    assert (without == 0).all(), "what is done after the end has no signal"


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"rows": 0}, "rows"),
        ({"rows": 1, "cliff": True}, "rows"),
        ({"columns": 1}, "columns"),
        ({"horizon": 0}, "horizon"),
        ({"slip": -0.1}, "slip"),
        ({"step_cost": -1.0}, "step_cost"),
        ({"cliff_cost": -1.0}, "cliff_cost"),
        ({"reward_noise": -1.0}, "reward_noise"),
    ],
)
def test_impossible_grids_are_named(knobs: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=rf"^{named} must"):
        Grid(**knobs)
