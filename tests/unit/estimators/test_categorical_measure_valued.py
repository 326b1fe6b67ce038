"""Of two actions the measure-valued signal is that of all actions; of more only in the mean."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.discrete import TEMPERATURE
from tests.helpers.problems import noise, simulator

from scorepath.environments.chain import Chain
from scorepath.environments.grid import Grid
from scorepath.estimators.all_action import AllAction
from scorepath.estimators.categorical_measure_valued import CategoricalMeasureValued


@pytest.mark.parametrize("batches", [0, 3], ids=["shared", "population"])
def test_of_two_actions_the_measure_valued_signal_is_the_all_action_signal(batches: int) -> None:
    environment = Chain(horizon=5)
    start, draws = simulator(environment, TEMPERATURE, batches=batches), noise(environment, 3, 50)
    (_, one), (_, two) = AllAction().signal(start, draws), CategoricalMeasureValued().signal(start, draws)
    assert one.abs().max() > 0.01
    torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)
    assert CategoricalMeasureValued().identical_to(environment, TEMPERATURE) == "all_action"
    # of more actions they differ, though not in the mean: see above
    (_, one), (_, two) = (
        found.signal(simulator(Grid(), TEMPERATURE), noise(Grid(), 2, 50))
        for found in (AllAction(), CategoricalMeasureValued())
    )
    assert not torch.allclose(one, two)
    assert CategoricalMeasureValued().identical_to(Grid(), TEMPERATURE) is None
