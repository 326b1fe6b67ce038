"""Training verdicts between equals: two arms of one estimator, on other seeds, differ in nothing.

Real runs, short ones: every pair of arms has seeds of its own, so verdicts are independent and their number binomial.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import scorepath.training
from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.ripple import Ripple
from scorepath.noise import Stream
from scorepath.scores import compare_scores, late_means, normalised, scale_of
from scorepath.training import Trainer

RATES = (0.03, 0.1, 0.3, 0.9)
SEEDS = 8
PAIRS = 150
LEVEL, FALSE_ALARM = 0.05, 1e-6
CASES: list[tuple[Environment, str, float]] = [
    (Quadratic(dimension=1, offset=1.0), "reinforce", 0.3),
    (Quadratic(dimension=1, offset=1.0), "state_value_baseline", 0.3),
    (Ripple(frequency=20.0, amplitude=0.1, offset=1.0), "reinforce", 0.3),
    (Ripple(frequency=20.0, amplitude=0.1, offset=1.0), "pathwise", 0.3),
]
Pairs = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Normalised scores of pairs of arms, each (rates, seeds)."""
    torch.set_num_threads(1)
    found: Pairs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorepath.training, "EVALUATION_TRAJECTORIES", 8)  # most of the time goes into them
        for environment, method, sigma in CASES:
            estimator = registry.load(registry.ESTIMATORS, method)()
            trainer = Trainer(
                environment, make_policy(environment), estimator, sigma, Stream(3, method, "equals"), "adam", 8, 20
            )
            history = trainer.run(RATES, [str(i) for i in range(2 * PAIRS * SEEDS)])
            gains = late_means(np.array(history.iterations, dtype=float), history.stochastic, 20)
            gains = gains - history.stochastic[0]
            scores = normalised(gains, scale_of([gains])).reshape(len(RATES), 2, PAIRS, SEEDS)
            found += [(scores[:, 0, pair], scores[:, 1, pair]) for pair in range(PAIRS)]
    return found


def told_apart(pairs: Pairs, statistic: str, shift: float = 0.0) -> int:
    return sum(compare_scores(one + shift, other, SEEDS)[statistic].p_value < LEVEL for one, other in pairs)


@pytest.mark.parametrize("statistic", ["score_difference", "probability_of_improvement"])
def test_equals_are_told_apart_as_rarely_as_stated(pairs: Pairs, statistic: str) -> None:
    """At most 5 % of 600 comparisons; false alarms at that very rate: one in a million."""
    assert told_apart(pairs, statistic) <= stats.binom.isf(FALSE_ALARM, len(pairs), LEVEL)


def test_a_difference_is_seen_nearly_as_well_as_if_the_best_rates_were_known(pairs: Pairs) -> None:
    """A shift that Student's test finds in half of the pairs when it is told the best rate of all runs of a case.

    Leaving out each seed in turn and choosing anew (the jackknife) found five sixths as many.
    """
    known: Pairs = []
    for case in range(0, len(pairs), PAIRS):
        own = pairs[case : case + PAIRS]
        best = [int(np.mean(own, axis=(0, 1, 3)).argmax())]
        known += [(one[best], other[best]) for one, other in own]
    at_best = told_apart(known, "score_difference", 0.3)
    assert len(pairs) / 3 < at_best < 2 * len(pairs) / 3
    assert told_apart(pairs, "score_difference", 0.3) > 0.9 * at_best


def test_a_rate_that_is_taken_for_given_would_be_noticed(pairs: Pairs) -> None:
    """The rate chosen on three seeds and five others bootstrapped: what the test above is there to catch."""
    generator = np.random.default_rng(0)

    def draws(scores: np.ndarray) -> np.ndarray:
        own = scores[scores[:, :3].mean(1).argmax(), 3:]
        return own[generator.integers(len(own), size=(500, len(own)))].mean(1)

    limits = [np.quantile(draws(one) - draws(other), [0.025, 0.975]) for one, other in pairs]
    found = sum(low > 0 or high < 0 for low, high in limits)
    assert found > stats.binom.isf(FALSE_ALARM, len(limits), LEVEL)
