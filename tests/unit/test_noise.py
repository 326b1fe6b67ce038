"""Common random numbers: a function of their key alone, in either precision, of the distributions they should have."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from tests.helpers.problems import label, noise

from scorepath.conformance.problems import PROBLEMS
from scorepath.environments.base import Environment
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.noise import Noise, RolloutNoise, Stream


def test_noise_is_a_function_of_its_key_alone() -> None:
    environment = LQR(horizon=3, reward_noise=0.1)

    def draw(seed: int = 1, name: str = "lqr", purpose: str = "gradients/0", replicate: str | int = 0) -> RolloutNoise:
        return Noise(environment, Stream(seed, name, purpose), [replicate], 50).rollout

    base = draw()
    for one, two in zip(base, draw(), strict=True):
        assert torch.equal(one, two)
    others = [
        draw(seed=2),
        draw(seed=11),
        draw(name="lqr_unstable"),
        draw(purpose="gradients/1"),
        draw(purpose="training"),
        draw(replicate=1),
        draw(replicate=10),
        draw(replicate="0/past"),
        draw(seed=1, name="lqr\x1fgradients", purpose="0"),
    ]
    fields = [base, *others]
    for first, second in itertools.combinations(fields, 2):
        for left, right in zip(first, second, strict=True):
            assert not torch.equal(left, right)
            # not a shift, a sign or a scale of each other either: |r| > 0.56 has probability 1e-5 at 50 draws
            rows = torch.stack([left.flatten()[:50], right.flatten()[:50]])
            assert abs(torch.corrcoef(rows)[0, 1].item()) < 0.65
    # the three quantities of one key differ too
    assert not torch.equal(base.initial[0, :, 0], base.process[0, :, 0, 0])
    assert not torch.equal(base.action, base.process)


def test_a_batch_does_not_depend_on_the_others() -> None:
    environment, stream = LQR(horizon=3), Stream(1, "test", "noise")
    together = Noise(environment, stream, range(5), 8)
    alone = Noise(environment, stream, [3], 8)
    other_order = Noise(environment, stream, [3, 1, 3], 8)
    for one, two, three in zip(together.rollout, alone.rollout, other_order.rollout, strict=True):
        assert torch.equal(one[3], two[0])
        assert torch.equal(three[0], three[2])
        assert torch.equal(three[1], one[1])
    selected = together.select(slice(2, 4))
    branches = together.draw("branch step", (1,), "uniform")
    assert torch.equal(selected.draw("branch step", (1,), "uniform"), branches[2:4])
    # fewer samples are the first ones of more
    assert torch.equal(Noise(environment, stream, [3], 4).rollout.initial[0], together.rollout.initial[3, :4])


def test_draws_have_their_distributions() -> None:
    """Means and variances of a million draws, within 6 standard errors (false alarms: 2e-9 each)."""
    made = Noise(Chain(horizon=1), Stream(1, "test", "distributions"), [0], 10**6, torch.float64)
    gumbel = made.rollout.action[..., 0, 0]
    for values, mean, variance, fourth in [
        (made.draw("n", ()), 0.0, 1.0, 3.0),
        (made.draw("e", (), "exponential"), 1.0, 1.0, 9.0),
        (made.draw("u", (), "uniform"), 0.5, 1 / 12, 1 / 80),
        (gumbel, 0.5772156649, math.pi**2 / 6, 5.4 * math.pi**4 / 36),
    ]:
        assert abs(values.mean().item() - mean) < 6e-3 * variance**0.5
        assert abs(values.var().item() - variance) < 6e-3 * (fourth - variance**2) ** 0.5
        assert values.isfinite().all()


@pytest.mark.parametrize("environment", [problem.environment for problem in PROBLEMS], ids=label)
def test_both_precisions_see_the_same_noise(environment: Environment) -> None:
    single, double = noise(environment, dtype=torch.float32), noise(environment)
    for one, two in zip(single.rollout, double.rollout, strict=True):
        torch.testing.assert_close(one.double(), two, rtol=1e-6, atol=1e-6)
