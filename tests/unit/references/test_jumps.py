"""Jumps are found, and what only looks like one is none. All draws have fixed seeds: nothing here is left to chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.strangers import JUMPING, RAMPS, RARE, RARE_BESIDE_A_RAMP, SMOOTH, ramp
from torch import Tensor

from scorepath import registry
from scorepath.adjoint import backpropagate
from scorepath.conformance.findings import Remark
from scorepath.conformance.trajectories import continuity, largest_jump
from scorepath.environments.base import Environment, make_policy
from scorepath.noise import Noise, Stream
from scorepath.references.jumps import Jump, find_jump
from scorepath.references.monte_carlo import found_jump
from scorepath.references.noise_lines import draw_lines
from scorepath.rollout import Simulator

torch.set_num_threads(1)


def jumping() -> list[Any]:
    """Every instance of the catalogue that declares jumps in continuous actions.

    That those which declare none have none is part of their conformance (tests/conformance).
    """
    found = []
    for name in registry.names(registry.ENVIRONMENTS):
        kind = registry.load(registry.ENVIRONMENTS, name)
        for number, knobs in enumerate(({}, *kind.variants)):
            environment = kind(**knobs)
            if not environment.discrete_actions and not environment.continuous and name != "gymnasium":
                found.append(pytest.param(environment, id=f"{name}-{number}"))
    return found


def called_continuous(environment: Environment) -> Environment:
    """The same environment, whose author forgot to declare that it jumps."""
    kind = type(environment)
    twin: Environment = object.__new__(type(kind.__name__, (kind,), {"continuous": True}))
    twin.__dict__.update(environment.__dict__)
    return twin


@pytest.mark.parametrize("name", JUMPING)
def test_a_strangers_jump_is_found(name: str) -> None:
    (finding,) = continuity(JUMPING[name])
    assert finding.startswith("declared continuous, but the return jumps by ")
    assert "declare continuous = False" in finding
    assert not isinstance(finding, Remark)


@pytest.mark.parametrize("name", RARE)
def test_what_one_trajectory_in_a_thousand_meets_is_found(name: str) -> None:
    """By lines to outliers, in each of four searches: in most of them four of 4,096 trajectories meet it."""
    environment, gains = RARE[name]
    policy, parameters = make_policy(environment), torch.tensor(gains, dtype=torch.float64)
    simulator = Simulator(environment, policy, parameters, 0.3)
    noise = Noise(environment, Stream(1, "test", "rare"), range(1), 2**14, torch.float64)
    trajectories = simulator.rollout(noise.rollout)
    ended = trajectories.active
    met = trajectories.rewards.amax(-1) > 5 if ended is None else ~ended.all(-1)
    assert 2e-4 < met.double().mean() < 5e-3
    for seed in range(4):
        found = found_jump(simulator, Stream(seed, "test", "jumps"))
        assert found is not None
        assert found.share == 0


@pytest.mark.parametrize("name", RAMPS)
def test_a_ramp_that_samples_do_not_fall_on_is_found(name: str) -> None:
    """It is continuous, so nothing is refused."""
    (finding,) = continuity(RAMPS[name])
    assert isinstance(finding, Remark)
    assert finding.startswith("the return changes by ")
    assert "of 4,096 trajectories fall: where a study finds it" in finding


def found_at_rest(environment: Environment, sigma: float) -> Jump | None:
    """By the search of references, with all gains 0."""
    policy = make_policy(environment)
    parameters = torch.zeros(policy.parameter_count, dtype=torch.float64)
    return found_jump(Simulator(environment, policy, parameters, sigma), Stream(1, "test", "jumps"))


def test_a_ramp_does_not_hide_a_rare_jump() -> None:
    """A jump says more than a ramp, so the search goes on after one."""
    found = found_at_rest(RARE_BESIDE_A_RAMP, 0.3)
    assert found is not None
    assert found.share == 0
    assert found.size == pytest.approx(30.0, rel=0.01)


def test_without_noise_there_are_jumps_but_no_ramps() -> None:
    """No trajectory lies on the lines that are searched then, so nothing tells how many fall on a ramp."""
    found = found_at_rest(ramp(1e-6), 0.1)
    assert found is not None
    assert found.share > 0
    assert found_at_rest(ramp(1e-6), 0.0) is None
    found = found_at_rest(JUMPING["quantised actuator"], 0.0)
    assert found is not None
    assert found.share == 0


def searched(environment: Environment, sigma: float, trajectories: int) -> Jump | None:
    policy = make_policy(environment)
    parameters, scales = torch.zeros(24, policy.parameter_count).double(), torch.full((24,), sigma)
    lines = draw_lines(environment, parameters, scales, torch.Generator().manual_seed(1))
    return find_jump(environment, policy, lines, trajectories)


def test_whether_a_ramp_is_a_jump_is_a_matter_of_how_many_trajectories_fall_on_it() -> None:
    """Their share is what it is by derivatives, to a factor of 6: of 20,000 trajectories some 100 have large ones."""
    environment, sigma, width = ramp(1e-4), 0.3, 1e-4
    found = searched(environment, sigma, 512)
    assert found is not None
    assert found.size == pytest.approx(20.0, rel=0.01)
    assert not found.is_met(512)
    assert found.is_met(2**17)
    assert searched(environment, sigma, 2**17) is None
    simulator = Simulator(environment, make_policy(environment), torch.zeros(3, dtype=torch.float64), sigma)
    noise = Noise(environment, Stream(1, "test", "ramp"), range(1), 20_000, torch.float64)
    _, signal = backpropagate(simulator, noise.rollout)
    met = (signal.abs().amax((-2, -1)) > 1e-4 * 20 / width).double().mean().item()
    assert met / 6 < found.share < 6 * met


@pytest.mark.parametrize("name", SMOOTH)
def test_a_strangers_continuous_return_is_left_alone(name: str) -> None:
    assert largest_jump(SMOOTH[name]) is None


@pytest.mark.parametrize("environment", jumping())
def test_every_jump_of_the_catalogue_is_found_if_it_is_not_declared(environment: Environment) -> None:
    assert list(continuity(called_continuous(environment)))


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("stiff_push", {"stiffness": 1e3}),
        ("stiff_push", {"stiffness": 1e4}),
        ("angle_doubling", {"doublings": 40}),
        pytest.param("double_pendulum", {"horizon": 150}, marks=pytest.mark.slow),
        pytest.param("hopper", {"stiffness": 4e4, "horizon": 20}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_chaos_and_stiffness_are_no_jumps(name: str, knobs: dict[str, Any]) -> None:
    assert largest_jump(registry.load(registry.ENVIRONMENTS, name)(**knobs)) is None


def test_a_wall_as_stiff_as_its_softened_twin_is_none() -> None:
    """The same wall at the same stiffness: with its edge it jumps, without it it doesn't."""
    wall = registry.load(registry.ENVIRONMENTS, "ball_with_wall")(stiffness=1e4)
    assert largest_jump(called_continuous(wall)) is not None
    softened = wall.smoothed(0.1)
    assert softened is not None
    assert softened.continuous
    assert largest_jump(softened) is None


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**20])
def test_the_unit_of_the_reward_does_not_matter(unit: float) -> None:
    """Bit for bit, by a power of two."""
    original = JUMPING["early end"]
    kind = type(original)

    def step(self: Any, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        moved, reward = kind.step(self, state, action, process_noise)
        return moved, unit * reward

    found = []
    for environment in (original, type("Rescaled", (kind,), {"step": step})()):
        policy = make_policy(environment)
        parameters = torch.zeros(16, policy.parameter_count, dtype=torch.float64)
        scales = torch.full((16,), 3.0, dtype=torch.float64)
        lines = draw_lines(environment, parameters, scales, torch.Generator().manual_seed(1))
        found.append(find_jump(environment, policy, lines))
    assert found[0] is not None
    assert found[1] == found[0]._replace(size=unit * found[0].size)


@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_references_search_under_the_policy_at_hand(sigma: float) -> None:
    """At its checkpoint and noise level: one policy leads beyond the edge at 3.5, another never comes near it."""
    environment = replace(JUMPING["trained only"], start=1.0)
    policy = make_policy(environment)
    for gain, reaches in ((0.5, True), (-1.0, False)):
        parameters = torch.tensor([gain, 0.0, 0.0], dtype=torch.float64)
        found = found_jump(Simulator(environment, policy, parameters, sigma), Stream(1, "test", "jumps"))
        assert (found is not None and found.share == 0 and found.size == pytest.approx(1)) == reaches


def test_the_search_has_fixed_draws() -> None:
    """It says the same each time, whatever else was drawn before."""
    first = largest_jump(JUMPING["rare"])
    np.random.default_rng(0).normal(size=3)
    torch.rand(3)
    assert largest_jump(JUMPING["rare"]) == first
