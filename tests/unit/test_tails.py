"""The tail gate: what it lets through, what it holds back, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from scorepath.tails import CAUTION, NO_TAIL, Tail, tail_of

SAMPLES = 4096


def draws(seed: int = 0) -> torch.Tensor:
    return torch.randn(SAMPLES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_even_and_dominated_sums() -> None:
    even = tail_of(torch.ones(1000))
    assert even.share == pytest.approx(0.01)
    assert even.largest == pytest.approx(0.001)
    assert even.index == math.inf
    one = tail_of(torch.cat([torch.zeros(999), torch.ones(1)]))
    assert (one.share, one.largest, one.effective) == (1.0, 1.0, 1.0)
    assert even.effective == pytest.approx(1000)
    assert tail_of(torch.cat([torch.ones(990), torch.full((10,), 99.0)])).share == pytest.approx(0.5)


def test_the_index_of_a_pareto_tail_is_found() -> None:
    """Of 41 exponential spacings it has a standard error of 16 %: within five of these (false alarms: 6e-7 each)."""
    for alpha in (0.8, 1.5, 3.0):
        uniform = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        found = tail_of(uniform ** (-1 / alpha)).index
        assert abs(math.log(found / alpha)) < 5 / math.sqrt(41)


def test_what_is_unseen_is_a_pareto_tail_beyond_the_largest() -> None:
    assert Tail(0.3, 0.1, 1.5, 500, SAMPLES).unseen == pytest.approx(CAUTION * 0.2)
    assert Tail(0.3, 0.1, 1.5, 500, SAMPLES).beyond == pytest.approx(0.2)
    assert Tail(0.3, 0.1, math.inf, 500, SAMPLES).unseen == 0
    assert Tail(0.3, 0.1, 1.0, 500, SAMPLES).unseen == math.inf
    assert NO_TAIL.unseen == 0


def test_ordinary_samples_pass_and_hopeless_ones_do_not() -> None:
    normal, cube = draws() ** 2, draws() ** 6
    assert not tail_of(normal).unmeasurable
    assert not tail_of(cube).unmeasurable
    lognormal = torch.exp(2 * 2.5 * draws())
    assert "Hill index" in tail_of(lognormal).unmeasurable
    scale = tail_of(1e-9 * lognormal)
    assert scale.index == pytest.approx(tail_of(lognormal).index)


def test_rare_events_need_eight() -> None:
    for events, passes in ((1, False), (7, False), (8, True), (300, True)):
        found = tail_of(torch.cat([torch.ones(events), torch.full((SAMPLES - events,), 1e-6)]))
        assert (found.unmeasurable == "") == passes
    assert tail_of(torch.cat([torch.ones(3), torch.zeros(SAMPLES - 3)])).unmeasurable == (
        "the variance rests on 3.0 of 4096 samples"
    )


def test_a_lower_limit_given_that_the_gate_opened_covers() -> None:
    """Poisson counts that reach eight, at means where few of them do: 2.5 % miss; false alarms: 1e-6 each."""
    generator = np.random.default_rng(0)
    limits = {
        count: stats.gamma.ppf(0.025, count) / Tail(0.1, 0.1, math.inf, float(count), SAMPLES).luck
        for count in range(8, 60)
    }
    for mean in (2.0, 4.0, 8.0, 16.0):
        passed = [count for count in generator.poisson(mean, 200_000).tolist() if count >= 8][:5000]
        missed = sum(limits[count] > mean for count in passed)
        assert len(passed) > 100
        assert missed <= stats.binom.isf(1e-6, len(passed), 0.025)
        unaware = sum(stats.gamma.ppf(0.025, count) > mean for count in set(passed)) if mean == 2.0 else 1
        assert unaware, "without it all of the first would miss"
    assert Tail(0.1, 0.1, 2.0, 100.0, SAMPLES).luck == pytest.approx(1.0)
    assert NO_TAIL.luck == 1.0


def test_few_samples_are_no_rare_events() -> None:
    assert not tail_of(torch.tensor([1.0, 2.0, 3.0, 4.0])).unmeasurable


@pytest.mark.parametrize("values", [torch.zeros(9), torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.inf])])
def test_nothing_and_what_is_not_finite_have_no_tail(values: torch.Tensor) -> None:
    found = tail_of(values)
    assert found == Tail(samples=len(values))
    assert not found.unmeasurable
