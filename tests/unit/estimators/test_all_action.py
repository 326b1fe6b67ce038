"""The sum over all actions leaves nothing to chance in a single choice."""

from __future__ import annotations

import torch
from tests.helpers.discrete import TEMPERATURE, Bandit
from tests.helpers.problems import noise, simulator

from scorepath.conformance.problems import gradients
from scorepath.estimators.all_action import AllAction
from scorepath.references.exact import exact_reference


def test_all_actions_leave_nothing_to_chance_in_a_single_choice() -> None:
    start = simulator(Bandit(), TEMPERATURE)
    exact = exact_reference(start).gradient
    found = gradients(AllAction(), start, noise(Bandit(), 2, 50))
    torch.testing.assert_close(found, exact.expand_as(found), rtol=1e-12, atol=1e-13)
