"""What is asked about: simulators that `advise` makes of what it is given, and their shorter versions."""

from __future__ import annotations

import torch

import scorepath as sp
from scorepath._subject import cut
from scorepath.environments.base import make_policy
from scorepath.policies import LearnedStd, OpenLoop


def test_a_shorter_horizon_keeps_the_first_steps_and_the_learned_standard_deviation() -> None:
    environment = sp.environments.LQR(horizon=5)
    policy = make_policy(environment, "open_loop", standard_deviation="learned")
    parameters = torch.arange(6, dtype=torch.float64)
    shorter = cut(sp.Simulator(environment, policy, parameters, 0.1), 2)
    assert shorter.policy == LearnedStd(OpenLoop(2, 1))
    assert shorter.parameters.tolist() == [0, 1, 5]
    plain = cut(sp.Simulator(environment, OpenLoop(5, 1), parameters[:5], 0.1), 2)
    assert (plain.policy, plain.parameters.tolist()) == (OpenLoop(2, 1), [0, 1])
