"""A ball thrown at a wall: against a time-stepping simulation, and where its return jumps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.references import quadrature
from scorepath.references.quadrature import decision_return


@pytest.mark.parametrize("stiffness", [10.0, 1000.0, 10000.0])
def test_ball_flies_as_in_a_time_stepping_simulation(stiffness: float) -> None:
    environment = BallWithWall(stiffness=stiffness, mass=0.8)
    action = np.linspace(-1.5, 2.5, 41)
    angle, dt = environment.nominal_angle + action, 2e-4
    vx, vy = environment.launch_speed * np.cos(angle), environment.launch_speed * np.sin(angle)
    x, y = np.zeros_like(angle), np.full_like(angle, environment.launch_height)
    pushing, landed = np.zeros_like(angle, dtype=bool), np.full_like(angle, np.nan)
    for _ in range(12_000):
        vx = vx - dt * pushing * environment.stiffness / environment.mass * (x - environment.wall_distance)
        vy = vy - dt * environment.gravity
        before, x, y = x, x + dt * vx, y + dt * vy
        crossing = (before <= environment.wall_distance) & (x > environment.wall_distance) & (vx > 0)
        pushing = (pushing | (crossing & (y < environment.wall_height))) & (x > environment.wall_distance)
        landed = np.where((y <= 0) & np.isnan(landed), x, landed)
    tensor = torch.tensor(action)
    _, reward = environment.step(tensor.unsqueeze(-1), tensor.unsqueeze(-1), torch.zeros(len(action), 0))
    np.testing.assert_allclose(reward.numpy(), landed, atol=0.02)


@pytest.mark.parametrize("stiffness", [10.0, 10000.0])
def test_ball_jumps_only_at_the_top_edge(stiffness: float) -> None:
    environment = BallWithWall(stiffness=stiffness)
    action = torch.linspace(-math.pi, math.pi, 400_001, dtype=torch.float64)
    returns = quadrature.decision_return(environment, action)
    angle = environment.nominal_angle + action[:-1][returns.diff().abs() > 0.02]
    time = environment.wall_distance / (environment.launch_speed * torch.cos(angle))
    height = environment.launch_height + environment.launch_speed * torch.sin(angle) * time - 9.81 / 2 * time**2
    assert len(angle) == 2  # a flat throw and a lob
    torch.testing.assert_close(height, torch.full_like(height, environment.wall_height), rtol=0, atol=1e-3)
    assert not environment.continuous


def test_a_stiffer_wall_makes_a_larger_jump() -> None:
    def jump(stiffness: float) -> float:
        action = torch.tensor([0.0, 0.1], dtype=torch.float64)
        below, above = quadrature.decision_return(BallWithWall(stiffness=stiffness), action).tolist()
        return above - below

    assert 1 < jump(10.0) < jump(100.0) < jump(1000.0) < jump(10000.0) < 12


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
def test_ball_starts_near_the_edge(sigma: float) -> None:
    eps = torch.special.ndtri(torch.linspace(0.0005, 0.9995, 1000, dtype=torch.float64))
    clears = quadrature.decision_return(BallWithWall(), sigma * eps) > 6.5
    assert 0.1 < clears.double().mean().item() < 0.6


def test_ball_gradients_are_finite_everywhere() -> None:
    for dtype in (torch.float32, torch.float64):
        action = torch.linspace(-20, 20, 100_001, dtype=dtype, requires_grad=True)
        returns = quadrature.decision_return(BallWithWall(), action)
        (slope,) = torch.autograd.grad(returns.sum(), action)
        assert returns.isfinite().all()
        assert slope.isfinite().all()


@pytest.mark.parametrize(
    "knobs", [{}, {"wall_height": 1.0, "wall_distance": 3.0}, {"wall_distance": 20.0}], ids=["default", "low", "far"]
)
def test_the_ball_jumps_where_it_says_and_nowhere_else(knobs: dict[str, float]) -> None:
    """Every jump above 1 cm on a fine grid over three turns."""
    environment, step = BallWithWall(**knobs), 1e-4
    angles = torch.arange(-3 * math.pi, 3 * math.pi, step, dtype=torch.float64)
    returns = decision_return(environment, angles - environment.nominal_angle)
    jumps = (returns.diff().abs() > 0.01).nonzero().flatten()
    seen = (angles[jumps] + angles[jumps + 1]) / 2 - environment.nominal_angle
    actions = torch.zeros(2, 1, 1, dtype=torch.float64)
    known = environment.jump_locations(actions, actions[..., :0])
    assert known.shape == (2, 1, 1, len(seen))
    torch.testing.assert_close(known[0, 0, 0].sort().values, seen, rtol=0, atol=step)


def test_a_fuzzy_wall_is_the_wall_away_from_its_edge() -> None:
    environment, width = BallWithWall(), 0.1
    actions = torch.linspace(-7, 7, 20_001, dtype=torch.float64)
    sharp, fuzzy = (decision_return(e, actions) for e in (environment, environment.smoothed(width)))
    angle = environment.nominal_angle + actions
    time = environment.wall_distance / (environment.launch_speed * torch.cos(angle))
    height = environment.launch_height + environment.launch_speed * torch.sin(angle) * time
    height = height - environment.gravity / 2 * time.square()
    near = (torch.cos(angle) > 0) & ((height - environment.wall_height).abs() < width / 2)
    assert torch.equal(sharp[~near], fuzzy[~near])
    assert (sharp[near] != fuzzy[near]).all()
    assert near.sum() > 50
