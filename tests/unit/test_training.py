"""Populations against their members, and that training learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.quadratic import Quadratic
from scorepath.noise import Stream
from scorepath.training import Trainer, chosen_rates, late_gains

UNSTABLE: dict[str, Any] = {"horizon": 20, "dynamics": ((1e3,),)}


def trainer(environment: Environment, method: str, iterations: int = 5, sigma: float = 0.3) -> Trainer:
    return Trainer(
        environment,
        make_policy(environment, hidden=(8, 8)),
        registry.load(registry.ESTIMATORS, method)(),
        sigma,
        Stream(1, "test", "training"),
        "adam",
        16,
        iterations,
    )


@pytest.mark.parametrize(
    "method", ["reinforce", "pathwise", "state_value_baseline", "inverse_variance", "leave_one_out"]
)
@pytest.mark.parametrize("environment", [LQR(horizon=5), Pendulum(horizon=5)], ids=["lqr", "pendulum"])
def test_a_population_trains_as_its_members_do_alone(environment: Environment, method: str) -> None:
    """Same seed and rate, same curve, whoever else is in the tensor program."""
    shared, rates, seeds = trainer(environment, method), (0.01, 0.05), ["0", "1", "tuning 0"]
    together = shared.run(rates, seeds)
    assert together.stochastic.shape == (6, 2, 3)
    for i, rate in enumerate(rates):
        for j, seed in enumerate(seeds):
            alone = shared.run((rate,), [seed])
            for field in ("stochastic", "deterministic", "gradient_norms"):
                member = getattr(together, field)[:, i, j]
                np.testing.assert_allclose(member, getattr(alone, field)[:, 0, 0], rtol=2e-3, atol=1e-4)
    # members do differ
    assert np.ptp(together.stochastic[-1]) > 0
    if isinstance(environment, Pendulum):
        assert np.ptp(together.stochastic[0, 0]) > 0  # other starts
        np.testing.assert_array_equal(together.stochastic[0, 0], together.stochastic[0, 1])


def test_runs_repeat_exactly() -> None:
    one, two = (trainer(Pendulum(horizon=4), "leave_one_out").run((0.01,), ["0", "1"]) for _ in range(2))
    np.testing.assert_array_equal(one.stochastic, two.stochastic)
    np.testing.assert_array_equal(one.gradient_norms, two.gradient_norms)


@pytest.mark.parametrize(("iterations", "records"), [(1, [0, 1]), (7, list(range(8))), (25, [*range(0, 25, 2), 25])])
def test_records_have_a_first_and_a_last(iterations: int, records: list[int]) -> None:
    assert trainer(Quadratic(), "pathwise", iterations).run((0.1,), ["0"]).iterations == records


@pytest.mark.parametrize("method", ["reinforce", "leave_one_out", "pathwise", "measure_valued", "evolution_strategies"])
@pytest.mark.parametrize("environment", [LQR(horizon=5), Quadratic()], ids=["lqr", "quadratic"])
def test_training_improves_the_return(environment: Environment, method: str) -> None:
    history = trainer(environment, method, iterations=40).run((0.03,), ["0", "1", "2"])
    for curve in (history.stochastic[:, 0], history.deterministic[:, 0]):
        assert (curve[-1] > curve[0]).all()
    if isinstance(environment, Quadratic):
        # without noise it starts at -1, and forty steps of about 0.03 lead to the maximum
        np.testing.assert_allclose(history.deterministic[0], -1.0, rtol=1e-6)
        assert (history.deterministic[-1] > -0.3).all()


def test_training_improves_a_discrete_policy() -> None:
    history = trainer(Chain(states=3, horizon=5), "leave_one_out", iterations=30, sigma=1.0).run((0.1,), ["0", "1"])
    assert (history.stochastic[-1] > history.stochastic[0]).all()


def test_gradients_that_are_not_finite_are_recorded() -> None:
    history = trainer(LQR(**UNSTABLE), "pathwise").run((0.01,), ["0", "1"])
    assert not np.isfinite(history.gradient_norms[-1]).any()
    assert not np.isfinite(history.stochastic[-1]).any()
    assert history.iterations[-1] == 5


def test_one_member_that_fails_leaves_the_others_alone() -> None:
    """At an absurd rate a policy overflows; the same seeds at a good rate beside it do not notice."""
    shared = trainer(LQR(horizon=20), "pathwise", iterations=10)
    together = shared.run((0.01, 1e4), ["0", "1"])
    assert not np.isfinite(together.stochastic[-1, 1]).any()
    np.testing.assert_allclose(together.stochastic[:, :1], shared.run((0.01,), ["0", "1"]).stochastic, rtol=1e-4)


def test_extending_a_grid_changes_no_run() -> None:
    """Rates come in increasing order, each with the very runs that it has alone."""
    shared, seeds = trainer(Quadratic(), "pathwise", iterations=10), ["0", "1", "2"]
    rates, history = shared.tune((0.01, 0.001), seeds, most=4)
    assert rates == (0.001, 0.01, 0.1, 1.0)
    assert history.stochastic.shape == (11, 4, 3)
    alone = shared.run(rates, seeds)
    for field in ("stochastic", "deterministic", "gradient_norms"):
        np.testing.assert_allclose(getattr(history, field), getattr(alone, field), rtol=1e-5)
    assert not {0, 3} & set(chosen_rates(history).tolist())


def test_every_seed_is_evaluated_on_trajectories_of_its_own() -> None:
    """And on the same ones at every rate: before the first step the policies are the same."""
    start = trainer(Quadratic(), "pathwise").run((0.01, 0.1), ["0", "1"]).stochastic[0]
    np.testing.assert_array_equal(start[0], start[1])
    assert start[0, 0] != start[0, 1]


def test_where_every_rate_loses_lower_ones_are_tried() -> None:
    """Steps five times as long as the way to the maximum lose; a rate that gains lies below all that were given."""
    shared, seeds, given = trainer(Quadratic(), "pathwise", iterations=10), ["0", "1", "2"], (5.0, 15.0)
    assert (late_gains(shared.run(given, seeds)) < 0).all()
    rates, history = shared.tune(given, seeds, most=4)
    gains = late_gains(history).mean(1)
    assert rates[0] < rates[int(gains.argmax())] < min(given)
    assert gains.max() > 0
    assert 0 not in chosen_rates(history)
