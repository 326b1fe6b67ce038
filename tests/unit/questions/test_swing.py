"""The derivative of a return: the recursion, its parts, the deterministic theorem, torch and central differences."""

from __future__ import annotations

import math

import pytest
import torch

from scorepath.adjoint import backpropagate
from scorepath.estimators.pathwise import Pathwise
from scorepath.noise import Noise, Stream
from scorepath.pullback import mean_gradients
from scorepath.questions import swing
from scorepath.questions.swing import GAIN, WORLD
from scorepath.rollout import Simulator

GAINS = (GAIN, -2.0, 0.3)


def by_differences(gain: float, step: float = 1e-6) -> float:
    above, below = (swing.noiseless(torch.tensor(gain + sign * step, dtype=torch.float64)) for sign in (1, -1))
    return float(above - below) / (2 * step)


@pytest.mark.parametrize("gain", GAINS)
def test_the_recursion_is_the_derivative_of_the_program(gain: float) -> None:
    theta = torch.tensor(gain, dtype=torch.float64, requires_grad=True)
    (by_torch,) = torch.autograd.grad(swing.noiseless(theta), theta)
    found = swing.total_derivative(gain)
    assert found.whole == pytest.approx(by_torch.item(), rel=1e-10)
    assert found.whole == pytest.approx(by_differences(gain), rel=1e-6)
    assert found.through_action + found.through_state == pytest.approx(found.whole, rel=1e-12)


@pytest.mark.parametrize("gain", GAINS)
def test_the_deterministic_policy_gradient_is_the_same_number(gain: float) -> None:
    assert swing.deterministic_policy_gradient(gain) == pytest.approx(swing.total_derivative(gain).whole, rel=1e-10)


def test_with_its_states_frozen_the_return_has_the_first_part_as_its_derivative() -> None:
    gain = torch.tensor(GAIN, dtype=torch.float64)
    state, frozen = torch.tensor(swing.START, dtype=torch.float64), []
    for _ in range(WORLD.horizon):
        following = swing.dynamics(state, gain * state)
        frozen.append((state, following))
        state = following

    def returned(theta: torch.Tensor) -> torch.Tensor:
        rewards = [WORLD.discount**t * swing.reward(s, theta * s, s2) for t, (s, s2) in enumerate(frozen)]
        return torch.stack(rewards).sum()

    (partial,) = torch.autograd.grad(returned(gain.requires_grad_()), gain)
    found = swing.total_derivative(GAIN)
    assert partial.item() == pytest.approx(found.through_action, rel=1e-10)
    assert abs(found.through_state) > 10 * abs(found.through_action)  # without ∇f nearly everything would be missing


def test_with_noise_held_fixed_the_recursion_is_the_pathwise_gradient() -> None:
    simulator = Simulator(WORLD, parameters=torch.tensor([GAIN], dtype=torch.float64), sigma=0.2)
    noise = Noise(WORLD, Stream(0, "questions", "test"), range(1), 4, torch.float64)
    (gradients,) = Pathwise().gradients(simulator, noise)
    eps = noise.rollout.action[0, :, :, 0]
    for sample in range(4):
        theta = torch.tensor(GAIN, dtype=torch.float64, requires_grad=True)
        state, total = theta.new_tensor(swing.START), theta.new_zeros(())
        for t in range(WORLD.horizon):
            action = theta * state + 0.2 * eps[sample, t]
            following = swing.dynamics(state, action)
            total = total + WORLD.discount**t * swing.reward(state, action, following)
            state = following
        (expected,) = torch.autograd.grad(total, theta)
        assert gradients[0, sample, 0].item() == pytest.approx(expected.item(), rel=1e-9)


def test_stochastic_gradients_tend_to_the_deterministic_one() -> None:
    """The distance is O(sigma^2): a tenth of the noise, a hundredth of it, on the same normal numbers and their mirror
    images, whose odd terms cancel."""
    distances = []
    for sigma in (0.1, 0.01):
        simulator = Simulator(WORLD, parameters=torch.tensor([GAIN], dtype=torch.float64), sigma=sigma)
        noise = Noise(WORLD, Stream(0, "questions", "test"), range(1), 512, torch.float64)
        draws = noise.rollout
        means = [
            mean_gradients(*backpropagate(simulator, draws._replace(action=sign * draws.action))).item()
            for sign in (1, -1)
        ]
        distances.append(abs(sum(means) / 2 - swing.total_derivative(GAIN).whole))
    assert math.log10(distances[0] / distances[1]) == pytest.approx(2, abs=0.05)


def test_what_a_user_is_told_is_measured_and_agrees() -> None:
    """Fixed seed; the two unbiased means differ by less than 5.9 standard errors of the noisier one."""
    rows = {row["quantity"]: row for row in swing.use_rows(seed=3)}
    rough, fine = rows["leave-one-out REINFORCE: mean"], rows["pathwise: mean"]
    assert abs(rough["value"] - fine["value"]) < 1.5 * (rough["value_high"] - rough["value_low"])
    ratio = rows["ratio of these variances"]
    one, other = (rows[f"{name}: variance"]["value"] for name in swing.ESTIMATORS)
    assert ratio["value"] == pytest.approx(one / other, rel=1e-9)
    assert 1 < ratio["value_low"] < ratio["value"] < ratio["value_high"]
