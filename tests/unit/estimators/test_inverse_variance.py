"""Inverse-variance weights: their formula, and what mixing can gain or lose.

A batch whose noise are the nodes of a quadrature rule has exact expectations; one whose noise are normal quantiles has
nearly the variances of the normal law.
"""

from __future__ import annotations

import pytest
import torch
from tests.helpers.problems import MATRIX_LQR, noise, quadratic, randn, simulator
from tests.helpers.rules import as_rollout, gauss_hermite, normals, quantiles
from torch import Tensor

from scorepath import pullback
from scorepath.conformance.problems import gradients
from scorepath.estimators._mixture import inverse_variance_weight
from scorepath.estimators.inverse_variance import InverseVariance
from scorepath.estimators.leave_one_out import LeaveOneOut
from scorepath.estimators.pathwise import Pathwise


def trace_covariance(one: Tensor, two: Tensor) -> Tensor:
    """Of per-trajectory gradients (batches, N, P), by the definition: (batches,)."""
    products = (one - one.mean(1, keepdim=True)) * (two - two.mean(1, keepdim=True))
    return products.sum((1, 2)) / (one.shape[1] - 1)


@pytest.mark.parametrize("found", [InverseVariance(), InverseVariance(covariance=True)], ids=["marginal", "covariance"])
def test_global_weights_are_their_formula(found: InverseVariance) -> None:
    start, draws = simulator(MATRIX_LQR, kind="mlp"), noise(MATRIX_LQR, samples=30)
    pathwise, score = (gradients(parent, start, draws) for parent in (Pathwise(), LeaveOneOut()))
    v1, v0, c = trace_covariance(pathwise, pathwise), trace_covariance(score, score), trace_covariance(score, pathwise)
    k = (v0 - c) / (v0 + v1 - 2 * c) if found.covariance else v0 / (v0 + v1)
    mixed = gradients(found, start, draws)
    k = k[:, None, None]
    torch.testing.assert_close(mixed, k * pathwise + (1 - k) * score, rtol=1e-9, atol=1e-9)
    if found.covariance:  # no other weight has less variance on this batch
        best = trace_covariance(mixed, mixed)
        for shift in (-0.01, 0.01):
            other = mixed + shift * (pathwise - score)
            assert (trace_covariance(other, other) > best).all()


def test_independent_parents_reach_the_harmonic_variance() -> None:
    """V_0 V_1 / (V_0 + V_1), exactly: in all pairs of two samples the two are uncorrelated."""
    one, two = randn(1, 40, 3, seed=1), 3 * randn(1, 30, 3, seed=2)
    v1, v0 = (each.var(1, correction=0).sum(-1) for each in (one, two))
    k = inverse_variance_weight(v1, v0)
    pairs = (k * one[:, :, None] + (1 - k) * two[:, None]).flatten(1, 2)
    torch.testing.assert_close(pairs.var(1, correction=0).sum(-1), v0 * v1 / (v0 + v1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("baseline", "score_variance", "covariance", "marginal", "aware"),
    [(0.0, 30.0, 8.0, 1500 / 289, 28 / 9), (-2.0, 18.0, 4.0, 540 / 121, 4.0), (-4.0, 14.0, 0.0, 28 / 9, 28 / 9)],
    ids=["none", "mean", "optimal"],
)
def test_marginal_weights_of_one_rollout_can_lose_to_pathwise(
    baseline: float, score_variance: float, covariance: float, marginal: float, aware: float
) -> None:
    """The quadratic at d = sigma = 1, where pathwise has variance 4: 5.2 without a baseline, 4.5 with the mean."""
    start = quadratic(distance=-1.0, sigma=1.0)
    environment = start.environment
    points, probabilities = gauss_hermite(8, normals(environment))
    draws = as_rollout(environment, points)
    trajectories = start.rollout(draws, differentiable=True)
    pathwise = trajectories.action_gradient(trajectories.returns).flatten()
    score = ((trajectories.returns.detach() - baseline)[..., None, None] * trajectories.score).flatten()

    def moment(one: Tensor, two: Tensor) -> float:
        return (probabilities @ (one * two) - (probabilities @ one) * (probabilities @ two)).item()

    v1, v0, c = moment(pathwise, pathwise), moment(score, score), moment(score, pathwise)
    assert (v1, v0, c) == pytest.approx((4.0, score_variance, covariance), abs=1e-9)
    for k, expected in ((v0 / (v0 + v1), marginal), ((v0 - c) / (v0 + v1 - 2 * c), aware)):
        mixed = k * pathwise + (1 - k) * score
        assert moment(mixed, mixed) == pytest.approx(expected, rel=1e-9)


def test_with_the_mean_baseline_covariance_aware_weights_leave_pathwise_alone() -> None:
    """At d = sigma = 1 and the batch's mean as baseline, C = V_pathwise: k is 1 where marginal weights say 18 / 22."""
    start = quadratic(distance=-1.0, sigma=1.0)
    environment = start.environment
    draws = quantiles(environment, 2**16)
    for found, weight, variance in (
        (InverseVariance(), 18 / 22, 540 / 121),
        (InverseVariance(covariance=True), 1.0, 4.0),
    ):
        trajectories, signal, weights = found.mix(start, draws)
        assert weights.item() == pytest.approx(weight, abs=2e-3)
        assert pullback.trace_variances(trajectories, signal).item() == pytest.approx(variance, rel=5e-3)
