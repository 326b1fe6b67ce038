"""Training verdicts between equals: two arms of one estimator, on other seeds, differ in nothing.

Real runs, short ones: every pair of arms has seeds of its own, so verdicts are independent and their number binomial.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

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


@pytest.fixture(scope="module")
def arms() -> np.ndarray:
    """Normalised scores, (cases * arms, rates, seeds); each arm and the next one are a pair."""
    torch.set_num_threads(1)
    found = []
    for environment, method, sigma in CASES:
        estimator = registry.load(registry.ESTIMATORS, method)()
        trainer = Trainer(
            environment, make_policy(environment), estimator, sigma, Stream(3, method, "equals"), "adam", 8, 20
        )
        history = trainer.run(RATES, [str(i) for i in range(2 * PAIRS * SEEDS)])
        late = late_means(np.array(history.iterations, dtype=float), history.stochastic, 20)
        gains = late - history.stochastic[0]
        scores = normalised(gains, scale_of([gains]))
        found.append(scores.reshape(len(RATES), 2 * PAIRS, SEEDS).swapaxes(0, 1))
    return np.concatenate(found)


def test_equals_are_told_apart_as_rarely_as_stated(arms: np.ndarray) -> None:
    """At most 5 % of 600 comparisons, by either statistic; false alarms at that very rate: one in a million."""
    found = [compare_scores(ours, theirs, ours.shape[1]) for ours, theirs in list(pairwise(arms))[::2]]
    most = stats.binom.isf(FALSE_ALARM, len(found), LEVEL)
    for statistic in found[0]:
        assert sum(outcomes[statistic].p_value < LEVEL for outcomes in found) <= most


def test_a_rate_that_is_taken_for_given_would_be_noticed(arms: np.ndarray) -> None:
    """The rate chosen on three seeds and five others bootstrapped: what the test above is there to catch."""
    generator = np.random.default_rng(0)

    def draws(scores: np.ndarray) -> np.ndarray:
        own = scores[scores[:, :3].mean(1).argmax(), 3:]
        return own[generator.integers(len(own), size=(500, len(own)))].mean(1)

    limits = [np.quantile(draws(ours) - draws(theirs), [0.025, 0.975]) for ours, theirs in list(pairwise(arms))[::2]]
    told_apart = sum(low > 0 or high < 0 for low, high in limits)
    assert told_apart > stats.binom.isf(FALSE_ALARM, len(limits), LEVEL)
