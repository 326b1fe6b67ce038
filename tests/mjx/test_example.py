"""The documented environment in JAX: what docs/advisor.md shows, that it conforms, and the advice that it is given."""

from __future__ import annotations

import pytest
import torch
from tests.helpers.places import ROOT

pytest.importorskip("jax", reason="the extra `mjx` is not installed")

import scorepath as sp
from scorepath import registry
from scorepath.conformance import check_environment

FILE = ROOT / "config/jax_pendulum.py"


def test_the_page_shows_the_file() -> None:
    assert FILE.read_text() in (ROOT / "docs/advisor.md").read_text()


def test_it_conforms_and_gives_the_derivatives_that_torch_would() -> None:
    environment = registry.load_plugin(FILE)[1]()
    assert check_environment(environment) == []
    generator = torch.Generator().manual_seed(1)
    state, action = (torch.randn(300, size, generator=generator, dtype=torch.float64) for size in (2, 1))

    def step(state: torch.Tensor, action: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angle, speed = state.unbind(-1)
        torque = action[..., 0]
        speed = speed + 0.05 * (9.81 * angle.sin() - 0.1 * speed + torque)
        angle = angle + 0.05 * speed
        return torch.stack([angle, speed], -1), -(angle**2) - 0.1 * speed**2 - 0.001 * torque**2

    from scorepath.environments._jacobians import by_torch

    found, expected = environment.step_jacobians(state, action, state), by_torch(step, state, action, state)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(environment.step(state, action, state), step(state, action, state), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_the_documented_advice_is_given() -> None:
    text = (ROOT / "docs/advisor.md").read_text()
    assert "sigma = 0.1: pathwise. Use pathwise." in text.partition("JaxPendulum, 20 steps")[2][:200]
    (answer,) = sp.advise(registry.load_plugin(FILE)[1](), noise_levels=[0.1], budget=120).answers
    assert (answer.verdict, answer.rival) == ("pathwise", "measure_valued")
