"""Mixing at the state needs noise on the whole state."""

from __future__ import annotations

from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.estimators.total_propagation_state import TotalPropagationState


def test_mixing_at_the_state_needs_noise_on_the_whole_state() -> None:
    found = TotalPropagationState()
    assert found.not_applicable(LQR(process_noise=0.1), 0.3) is None
    assert found.not_applicable(LQR(process_noise=0.1), 0.0) is None
    for environment in (LQR(process_noise=0.0), Pendulum(process_noise=0.1), Quadratic()):
        assert found.not_applicable(environment, 0.3) == "no additive noise on the whole state"
