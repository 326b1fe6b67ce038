"""The policy gradient theorem on the chain: every factor, every term, both simulations, and what noise adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from scorepath.noise import Noise, Stream
from scorepath.pullback import mean_gradients
from scorepath.questions import theorem
from scorepath.questions.theorem import CHAIN, RIGHT, chain_simulator, solved_gradient, theorem_terms
from scorepath.references.exact import exact_reference


def test_every_term_is_the_derivative_by_the_logit_of_its_state_and_step() -> None:
    simulator = chain_simulator()
    found, solved = theorem_terms(simulator), solved_gradient(simulator)
    torch.testing.assert_close(found.terms, solved, rtol=0, atol=1e-10)
    assert found.terms.abs().max() > 0.1


def test_the_terms_sum_to_the_gradient_by_the_parameters() -> None:
    simulator = chain_simulator()
    gradient = exact_reference(simulator).gradient.unflatten(0, (CHAIN.states, CHAIN.action_dim))
    torch.testing.assert_close(theorem_terms(simulator).terms.sum(0), gradient[:, RIGHT], rtol=0, atol=1e-10)


def test_without_the_discount_in_the_weights_it_is_another_number() -> None:
    simulator = chain_simulator()
    found = theorem_terms(simulator)
    weights = CHAIN.discount ** -torch.arange(CHAIN.horizon, dtype=torch.float64)
    undiscounted = (found.terms * weights[:, None]).sum(0)
    assert (undiscounted - solved_gradient(simulator).sum(0)).abs().max() > 0.01


@pytest.mark.parametrize("name", theorem.SIMULATIONS)
def test_a_simulation_sorts_what_the_estimator_sums(name: str) -> None:
    """Over steps the sorted terms are the estimator's gradient: nothing is lost or counted twice."""
    simulator, estimator = chain_simulator(), theorem.SIMULATIONS[name]
    terms = theorem.simulated_terms(estimator, simulator, seed=5)
    noise = Noise(CHAIN, Stream(5, "questions", "theorem"), range(3), theorem.SAMPLES, torch.float64)
    means = mean_gradients(*estimator.signal(simulator, noise)).unflatten(-1, (CHAIN.states, CHAIN.action_dim))
    np.testing.assert_allclose(terms.sum(0).T[:3], means[..., RIGHT].numpy(), atol=1e-12)


def test_both_simulations_have_the_mean_of_each_term() -> None:
    """Fixed seed; 1.5 widths are 5.9 standard errors, in 28 comparisons: false alarms below 1e-6."""
    rows = list(theorem.theorem_rows(seed=3))
    assert len(rows) == 14
    for row in rows:
        for name in theorem.SIMULATIONS:
            width = row[f"{name}_high"] - row[f"{name}_low"]
            assert abs(row[name] - row["gradient"]) <= 1.5 * width, (row, name)
            assert width < 0.01  # against terms of up to 0.17: another step's term would be noticed


def test_single_returns_hardly_ever_change_and_their_mean_does() -> None:
    share, quotient = theorem.choice_rows(seed=3)
    assert 0.005 < share["value_low"] < share["value_high"] < 0.05
    derivative = float(solved_gradient(chain_simulator()).sum())
    assert quotient["expected"] == pytest.approx(derivative, rel=1e-3)
    assert abs(quotient["value"] - derivative) <= 1.5 * (quotient["value_high"] - quotient["value_low"])
    assert quotient["value_low"] > 0.4


def test_reward_noise_adds_the_variance_of_the_formula_and_no_bias() -> None:
    """Fixed seed; as above, with four comparisons."""
    rows = list(theorem.reward_noise_rows(seed=3))
    compared = [row for row in rows if row["expected"] == row["expected"]]
    assert len(compared) == 4
    for row in compared:
        assert abs(row["value"] - row["expected"]) <= 1.5 * (row["value_high"] - row["value_low"]), row


def test_the_variance_that_noise_adds_is_that_of_a_single_step() -> None:
    """One step: rho^2 E|score|^2 = rho^2 2 pi (1 - pi) for both methods."""
    chain = replace(CHAIN, horizon=1, reward_noise=2.0)
    probability = float(torch.softmax(torch.tensor(theorem.LOGITS), 0)[RIGHT])
    for name in theorem.SIMULATIONS:
        added = theorem.added_variance(chain_simulator(chain), name)
        assert added == pytest.approx(4 * 2 * probability * (1 - probability), rel=1e-6)
