"""The digital walk jumps where it says, and a narrow ramp is nearly it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.helpers.problems import at, in_generic_position, noise
from torch import Tensor

from scorepath.environments.random_walk_digital import RandomWalkDigital
from scorepath.references.exact import exact_reference


@pytest.mark.parametrize("process_noise", [0.0, 0.3])
def test_the_digital_jumps_where_it_says(process_noise: float) -> None:
    environment = RandomWalkDigital(horizon=4, process_noise=process_noise)
    start, draws = in_generic_position(environment, 0.3), noise(environment, 2, 20).rollout
    actions = start.rollout(draws).actions
    locations = environment.jump_locations(actions, draws.process)
    assert locations.shape == (2, 20, 4, 1, 1)

    def returns(t: int, action: Tensor) -> Tensor:
        moved = actions.clone()
        moved[..., t, 0] = action
        taken = draws._replace(action=moved)
        return at(environment, 0.0, 1.0).rollout(taken).returns

    for t in range(4):
        assert (returns(t, locations[..., t, 0, 0] + 1e-9) == 1).all()
        assert (returns(t, locations[..., t, 0, 0] - 1e-9) == 0).all()


def test_a_narrow_ramp_is_nearly_the_digital() -> None:
    digital, sigma = RandomWalkDigital(horizon=3, process_noise=0.2, discount=0.9, reward_noise=0.1, strike=0.2), 0.1
    start = in_generic_position(digital, sigma)
    exact = exact_reference(start)
    gaps = []
    for width in (0.2, 0.1):
        ramp = digital.smoothed(width)
        assert ramp.continuous
        assert (ramp.process_noise, ramp.reward_noise) == (0.2, 0.1)
        gaps.append((exact_reference(replace(start, environment=ramp)).gradient - exact.gradient).norm().item())
    assert not digital.continuous
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.02)  # an error of second order in the width


def test_a_ramp_has_a_width() -> None:
    with pytest.raises(ValueError, match=r"^width must"):
        RandomWalkDigital().smoothed(0.0)
