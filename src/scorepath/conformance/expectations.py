"""Whether the mean of many estimates is what the estimator declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from scorepath.conformance.comparison import Comparison, compare, in_blocks
from scorepath.conformance.findings import Check
from scorepath.conformance.problems import (
    PAST_SIZE,
    PROBLEMS,
    SIZE,
    Problem,
)
from scorepath.estimators.base import Estimator
from scorepath.measurement import sample_batches
from scorepath.noise import Noise, Stream
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

BATCHES = 128
COUPLED_SAMPLES = 2**15
SAMPLES = 2**16
"""Behind a comparison of an expectation with what it should be: a relative error of 10 % shows, with most of 5 %."""


GIVEN_A_PAST = 2**14
"""The same, given one past: what a past shifts is large."""


def sample(estimator: Estimator, simulator: Simulator, stream: Stream) -> Tensor:
    """Estimates averaged over independent batches of samples, (BATCHES, P).

    Where the samples of a batch enter each other's gradients, a block is many small batches, so that errors of order
    1 / batch size would show.
    """
    if estimator.couples_samples or estimator.needs_past:
        size = PAST_SIZE if estimator.needs_past else SIZE
        batches = sample_batches(estimator, simulator, stream, range(COUPLED_SAMPLES // size), size, torch.float64)
        return in_blocks(batches.means, BATCHES)
    return sample_batches(estimator, simulator, stream, range(BATCHES), SAMPLES // BATCHES, torch.float64).means


def sample_given_a_past(estimator: Estimator, simulator: Simulator, stream: Stream) -> Tensor:
    """The same, (BATCHES, P), where all batches have learnt from the same few trajectories of another policy."""
    other = replace(simulator, parameters=simulator.parameters + 0.5)
    earlier = Noise(simulator.environment, stream, ["past"] * BATCHES, SIZE, torch.float64)
    noise = Noise(simulator.environment, stream, range(BATCHES), GIVEN_A_PAST // BATCHES, torch.float64)
    return estimator.estimate(simulator, noise, other.rollout(earlier.rollout))[0]


def judge(
    estimator: Estimator,
    problem: Problem,
    expected: Tensor,
    sampling: Callable[[Estimator, Simulator, Stream], Tensor] = sample,
) -> Comparison:
    """Compares the mean of many estimates with what it should be, (P,), in an orthonormal basis that starts there."""
    stream = Stream(17, problem.name, "expectations")
    blocks = sampling(estimator, problem.simulator, stream)
    count = len(expected)
    draws = torch.randn(count, count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    first = expected[:, None] if expected.any() else draws[:, :1]
    basis = torch.linalg.qr(torch.cat([first, draws], 1)[:, :count]).Q
    return compare(blocks @ basis, basis.mT @ expected)


def expectations(estimator: Estimator, problems: Sequence[Problem]) -> Iterator[str]:
    """Where a declared expectation is known exactly, the mean of many estimates agrees with it.

    Estimates with tails too heavy for the stated rate of false alarms are not judged.
    """
    for problem in problems:
        environment, simulator = problem.environment, problem.simulator
        if environment.reference_class == "certified_monte_carlo":
            continue
        if estimator.not_applicable(environment, problem.sigma):
            continue

        def gradient_at(sigma: float, simulator: Simulator = simulator) -> Tensor:
            return exact_reference(
                Simulator(simulator.environment, simulator.policy, simulator.parameters, sigma)
            ).gradient

        unbiased = estimator.unbiased(environment)
        expectation = estimator.expectation(environment, problem.sigma, gradient_at)
        expected = gradient_at(problem.sigma) if unbiased else expectation
        if expected is None:
            continue
        comparison = judge(estimator, problem, expected)
        if not comparison.distances.isfinite().all():
            yield f"some of many estimates in {problem.name} are nan or infinite"
            return
        if comparison.decides and not comparison.agrees:
            distance = comparison.distances.abs().max().item()
            yield (
                f"its mean in {problem.name} at sigma = {problem.sigma:g} is {distance:.1f} standard errors away from "
                + ("the exact gradient: it is not unbiased there" if unbiased else "what expectation() says")
            )
        elif unbiased and estimator.needs_past:
            given = judge(estimator, problem, expected, sample_given_a_past)
            if given.decides and not given.agrees:
                yield (
                    f"its mean in {problem.name} at sigma = {problem.sigma:g} is {given.distances.abs().max():.1f} "
                    "standard errors away from the exact gradient if its past is of another policy: unbiased() must "
                    "hold whatever the past was"
                )


def statistical_checks(problems: Sequence[Problem] = PROBLEMS) -> tuple[tuple[Check[Estimator], ...], ...]:
    """What needs many samples; some seconds."""

    def expected(estimator: Estimator) -> Iterator[str]:
        """Where its expectation is declared and the exact gradient known, the mean of many estimates agrees."""
        return expectations(estimator, problems)

    return ((expected,),)
