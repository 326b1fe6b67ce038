"""The tail gate: what it lets through, what it holds back, and what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from scorepath.tails import NO_TAIL, Tail, tail_of

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


def test_what_is_unseen_is_that_of_a_pareto_tail() -> None:
    """Beyond the level that one of n samples passes lies n^(1/alpha - 1) of a Pareto distribution's mean."""
    deep = round(SAMPLES / 100)
    for alpha in (1.3, 1.5, 3.0):
        share = (deep / SAMPLES) ** (1 - 1 / alpha)
        lower, higher = (alpha / (1 - sign / math.sqrt(deep)) for sign in (1, -1))
        expected = SAMPLES ** (1 / alpha - 1)
        # where an index a standard error lower, or higher, is the true one
        assert Tail(share, 0.1, lower, 500, SAMPLES).most_unseen == pytest.approx(expected)
        assert Tail(share, 0.1, lower, 500, SAMPLES).unseen == pytest.approx(expected / alpha)
        assert Tail(share, 0.1, higher, 500, SAMPLES).least_unseen == pytest.approx(expected)
    wide = Tail(0.3, 0.1, 1.5, 500, SAMPLES)
    assert 0 < wide.least_unseen < wide.most_unseen < 1
    # a largest sample of half that level halves what may lie beyond; a larger one changes nothing
    level = 0.3 * deep ** (1 / 1.5 - 1) / 3
    assert Tail(0.3, level / 2, 1.5, 500, SAMPLES).most_unseen == pytest.approx(wide.most_unseen / 2)
    assert Tail(0.3, 2 * level, 1.5, 500, SAMPLES).most_unseen == wide.most_unseen


def test_nothing_is_unseen_without_a_tail_and_no_end_is_known_without_a_mean() -> None:
    for name in ("unseen", "most_unseen", "least_unseen"):
        assert getattr(Tail(0.3, 0.1, math.inf, 500, SAMPLES), name) == 0
        assert getattr(NO_TAIL, name) == 0
        assert getattr(Tail(0.3, 0.1, 1.0, 500, SAMPLES), name) == math.inf


def test_samples_that_lack_most_are_allowed_for_as_well() -> None:
    """Squares of Student's t, 3: the tenth with the smallest sums, by a sixth too small, has few large samples.

    What lies beyond the largest of those is by far less than elsewhere; beyond the level of the fitted tail it is not.
    """
    generator = np.random.default_rng(0)
    squares = [torch.from_numpy(generator.standard_t(3, SAMPLES) ** 2) for _ in range(400)]
    tails, means = [tail_of(each) for each in squares], np.array([each.mean().item() for each in squares])
    lucky = means <= np.quantile(means, 0.1)
    assert means[lucky].mean() < 3 * 0.86

    def beside_all(values: list[float]) -> float:
        found = np.array(values)
        return float(np.median(found[lucky]) / np.median(found))

    beyond_largest = [tail.largest / (tail.index - 1) if tail.index > 1 else math.inf for tail in tails]
    assert beside_all(beyond_largest) < 0.4 < 0.45 < beside_all([tail.most_unseen for tail in tails])


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
