"""A short calibration: `benchmarks/calibration` in 200 repetitions, each rate within what chance allows of its aim.

docs/calibration.md has the same in full. A rate is refused where a binomial count as far beyond its aim has probability
1e-8: at most 1e-6 false alarms over all of them. 200 repetitions tell a coverage of 75 %, and wrong verdicts in 20 %,
from the aims.
"""

from __future__ import annotations

import pytest
from benchmarks.calibration.__main__ import spot_check
from benchmarks.calibration.cells import exact_cells, summed
from benchmarks.calibration.counts import Count
from benchmarks.calibration.simulated import simulate
from scipy import stats

from scorepath.reporting.calibration import COVERAGE, WRONG, WRONG_SIGNS, recorded

pytestmark = pytest.mark.statistical

REPEATS = 200
ALPHA = 1e-8
MEASURABLE = (
    "normal", "cube of a normal (REINFORCE at an optimum)", "lognormal, σ = 1", "Student's t, 5 degrees of freedom",
    "rare events, one in 100",
)  # fmt: skip


def near(count: Count, low: float, high: float) -> bool:
    """Whether chance alone could put a share that lies within these so far."""
    of, hits = round(count.of / count.alike), round(count.hits / count.alike)
    return min(stats.binom.cdf(hits, of, low), stats.binom.sf(hits - 1, of, high)) > ALPHA


@pytest.mark.parametrize("name", MEASURABLE)
def test_measurable_samples_are_let_through_and_covered(name: str) -> None:
    found = simulate(name, REPEATS)
    assert found.passed.share > 0.9
    for count in (found.variance, found.mean, found.unbiased, found.biased, *found.ratio.values()):
        # more than the aim is no error of these tests: heavy ratios do cover more
        assert near(count, COVERAGE[0], 1.0)
    for count in found.wrong.values():
        assert near(count, *WRONG)


@pytest.mark.parametrize(
    ("name", "most"),
    [("lognormal, σ = 1.5", 0.5), ("rare events, one in 1000", 0.3), ("Student's t, 3 degrees of freedom", 1.0)],
)
def test_hopeless_samples_are_seldom_let_through_and_rarely_err(name: str, most: float) -> None:
    found = simulate(name, REPEATS)
    assert found.passed.share <= most
    for count in found.wrong.values():
        assert near(count, *WRONG)


def test_signs_of_cells_with_known_truth_are_right() -> None:
    found = summed("all", [exact_cells(name, sigma, range(12)) for name in ("cosine", "step") for sigma in (0.1, 0.3)])
    for count in (found.variance, found.bias, found.projection, found.ratio):
        assert near(count, COVERAGE[0], 1.0)
    assert found.wrong.of > 50
    assert near(found.wrong, *WRONG_SIGNS)


def test_a_short_interval_would_be_noticed() -> None:
    assert not near(Count(round(0.75 * REPEATS), REPEATS), *COVERAGE)
    assert not near(Count(round(0.2 * REPEATS), REPEATS), *WRONG)


def test_the_recorded_numbers_are_this_codes() -> None:
    """Else run `python -m benchmarks.calibration`."""
    assert spot_check() == recorded()["spot_check"]
