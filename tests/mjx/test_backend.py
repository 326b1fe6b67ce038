"""MuJoCo XLA: the C library's steps, its derivatives without differences, and a refusal of what it would overlook."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.places import ROOT
from torch import Tensor

pytest.importorskip("mujoco.mjx", reason="the extra `mjx` is not installed")

from scorepath.conformance import check_environment
from scorepath.environments import _mjx
from scorepath.environments.mujoco import MuJoCo

BALL = (ROOT / "config/falling_ball.xml").read_text()
"""One contact, one joint: compiled in seconds."""
NO_NOISE = torch.zeros(1, 0, dtype=torch.float64)


def visited(environment: MuJoCo, steps: int, rows: int = 64) -> tuple[Tensor, Tensor]:
    """States (rows, state_dim) on the way of random actions, and actions there."""
    generator = torch.Generator().manual_seed(4)
    shape = rows, environment.initial_noise_dim
    state = environment.initial_state(torch.randn(shape, generator=generator, dtype=torch.float64))
    for _ in range(steps + 1):
        before, action = state, 0.5 * torch.randn(rows, environment.action_dim, generator=generator).double()
        state, _ = environment.step(before, action, NO_NOISE)
    return before, action


def both(**knobs: Any) -> tuple[MuJoCo, MuJoCo]:
    """The C library's and MJX's."""
    environment = MuJoCo(ends=False, **knobs)
    return environment, replace(environment, backend="mjx")


def ball(**knobs: Any) -> tuple[MuJoCo, MuJoCo]:
    return both(model=BALL, horizon=4, frame_skip=10, **knobs)


def errors(found: Tensor, expected: Tensor) -> np.ndarray:
    """Of each row, relative to its largest entry or to 1, whatever is more."""
    size = expected.abs().flatten(1).amax(1).clamp_min(1.0)
    return ((found - expected).abs().flatten(1).amax(1) / size).numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("knobs", "steps", "of_steps", "of_jacobians"),
    [
        ({"task": "inverted_pendulum"}, 10, (1e-12, 1e-12), (1e-8, 1e-8)),  # by RK4, as the others are by default
        ({"task": "swimmer", "integrator": "Euler"}, 20, (1e-12, 1e-12), (1e-8, 1e-8)),
        ({"task": "hopper", "integrator": "Euler"}, 30, (1e-9, 1e-6), (1e-6, 1e-4)),
    ],
    ids=lambda value: value["task"] if isinstance(value, dict) else "",
)
def test_steps_and_jacobians_are_those_of_the_c_library(
    knobs: dict[str, Any], steps: int, of_steps: tuple[float, float], of_jacobians: tuple[float, float]
) -> None:
    """Median and 90 % quantile over 64 states of random episodes (docs/mujoco.md); the hopper is in contact."""
    ours, theirs = both(**knobs)
    state, action = visited(ours, steps)
    for (median, most), found, expected in zip(
        (of_steps, of_steps, of_jacobians, of_jacobians),
        (*theirs.step(state, action, NO_NOISE), *theirs.step_jacobians(state, action, NO_NOISE)[:2]),
        (*ours.step(state, action, NO_NOISE), *ours.step_jacobians(state, action, NO_NOISE)[:2]),
        strict=True,
    ):
        each = errors(found.reshape(64, -1), expected.reshape(64, -1))
        assert np.median(each) < median
        assert np.quantile(each, 0.9) < most


def test_a_bouncing_ball_is_the_c_librarys_before_in_and_after_its_contact() -> None:
    ours, theirs = ball()
    height, speed = torch.meshgrid(torch.linspace(-0.11, 0.05, 23), torch.linspace(-2, 1, 7), indexing="ij")
    state = torch.stack([height.flatten(), speed.flatten()], -1).double()
    action = torch.linspace(-1, 1, len(state)).double()[:, None]
    expected, found = (each.step(state, action, NO_NOISE)[0] for each in (theirs, ours))
    np.testing.assert_allclose(expected, found, atol=1e-7)
    exact, differences = (torch.cat(each.step_jacobians(state, action, NO_NOISE)[:2], -1) for each in (theirs, ours))
    off = errors(exact, differences)
    assert np.quantile(off, 0.9) < 1e-4  # between two states a contact may begin


def test_a_step_is_a_pure_function() -> None:
    """The same bits whatever was simulated before, in whatever company and number, and in a copy."""
    _, environment = ball()
    state, action = visited(environment, 1, rows=_mjx.ROWS + 9)
    first, reward = environment.step(state, action, NO_NOISE)
    jacobians = environment.step_jacobians(state, action, NO_NOISE)
    order = torch.tensor([5, 2, 7])
    again, paid = environment.step(state[order], action[order], NO_NOISE)
    assert torch.equal(again, first[order])
    assert torch.equal(paid, reward[order])
    few = environment.step_jacobians(state[order], action[order], NO_NOISE)
    assert torch.equal(few.next_by_state, jacobians.next_by_state[order])
    copied, _ = pickle.loads(pickle.dumps(environment)).step(state, action, NO_NOISE)
    assert torch.equal(copied, first)


def test_what_has_the_same_model_is_compiled_once() -> None:
    _, environment = ball()
    assert replace(environment, horizon=2, initial_scale=0.5)._dynamics is environment._dynamics
    assert replace(environment, frame_skip=9)._dynamics is not environment._dynamics
    assert replace(environment, solimp_d0=0.5)._dynamics is not environment._dynamics


def test_rows_that_are_not_finite_or_diverge_are_nan_and_leave_the_others_alone() -> None:
    _, environment = ball()
    state, action = visited(environment, 0, rows=3)
    state[1, 0], state[2, 1] = torch.nan, 1e12
    after, reward = environment.step(state, action, NO_NOISE)
    assert torch.equal(after[0], environment.step(state[:1], action[:1], NO_NOISE)[0][0])
    assert after[1:].isnan().all()
    assert reward[1:].isnan().all()
    assert environment.step_jacobians(state, action, NO_NOISE).next_by_state[1].isnan().all()


def test_jax_stays_as_its_owner_has_it() -> None:
    import jax

    _, environment = ball()
    for owned in (np.float32, np.float64):
        with jax.enable_x64(owned == np.float64):
            environment.step(*visited(environment, 0), NO_NOISE)
            assert jax.numpy.ones(1).dtype == owned


def test_an_environment_of_mjx_conforms() -> None:
    for environment in (ball()[1], ball(process_noise=0.1)[1]):
        assert check_environment(environment) == []


BODY = "<body pos='0 0 1'><joint name='x' type='slide' axis='0 0 1' {joint}/><geom {geom}/></body>"
XML = (
    "<mujoco model='it'><option {option}/><worldbody>{world}" + BODY + "</worldbody>"
    "<actuator><motor joint='x' {motor}/></actuator>{more}</mujoco>"
)
PLAIN = {"option": "", "world": "", "joint": "", "geom": "size='.1'", "motor": "", "more": ""}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"option": "noslip_iterations='3'"}, r"the noslip solver \(noslip_iterations\)"),
        ({"option": "integrator='implicit'"}, "the integrator implicit"),
        ({"option": "integrator='discrete'"}, "the integrator discrete"),
        ({"option": "solver='PGS'"}, "Solver PGS"),
        ({"option": "actuatorgroupdisable='1'"}, "actuators that are disabled"),
        ({"option": "density='1'", "geom": "size='.1' fluidshape='ellipsoid'"}, "the ellipsoid model of fluids"),
        ({"joint": "damping='1 2'"}, "polynomial damping"),
        ({"joint": "stiffness='1 2'"}, "polynomial stiffness"),
        ({"motor": "damping='1'"}, "damping of actuators"),
        ({"motor": "armature='1'"}, "armature of actuators"),
        (
            {"world": "<geom type='cylinder' size='.1 .1'/>", "geom": "type='box' size='.1 .1 .1'"},
            r"\(Geom CYLINDER, Geom BOX\) collisions not implemented",
        ),
        ({"more": "<sensor><user dim='1'/></sensor>"}, r"\[Sensor USER\] not supported"),
    ],
)
def test_what_mjx_does_not_support_is_refused_in_a_sentence(changed: dict[str, str], what: str) -> None:
    xml = XML.format(**PLAIN | changed)
    MuJoCo(model=xml)
    with pytest.raises(
        ValueError, match=rf"the model it has what MuJoCo XLA does not support: {what}.*; choose `backend: c`"
    ) as found:
        MuJoCo(model=xml, backend="mjx")
    assert "\n" not in str(found.value)
