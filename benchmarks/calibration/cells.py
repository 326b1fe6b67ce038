"""Cells whose variance and gradient are known exactly, measured with many seeds as the study measures them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from benchmarks.calibration.counts import BATCHES, EVERY, SIZE, Count

from scorepath import registry
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.cosine import Cosine
from scorepath.environments.lqr import LQR
from scorepath.environments.quadratic import Quadratic
from scorepath.environments.ripple import Ripple
from scorepath.environments.soft_step import SoftStep
from scorepath.environments.step import Step
from scorepath.estimators.base import Estimator
from scorepath.intervals import mean_estimates, positive_mean_estimates, squared_norm_limits
from scorepath.measurement import batch_statistics
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.verdicts import ErrorComponents, Side, compare_errors

ONE_STEP: dict[str, Environment] = {
    "quadratic": Quadratic(dimension=1, offset=1.0),
    "quadratic_32d": Quadratic(dimension=32, offset=0.2),
    "cosine": Cosine(frequency=10.0, phase=1.0),
    "ripple": Ripple(frequency=20.0, amplitude=0.1, offset=1.0),
    "step": Step(edge=0.1),
    "soft_step": SoftStep(edge=0.1, width=0.05),
}
CELLS = ONE_STEP | {"lqr": LQR(horizon=20, dynamics=((0.9,),), control=((0.5,),), process_noise=0.1)}
SIGMAS = 0.01, 0.03, 0.1, 0.3, 1.0
METHODS = "pathwise", "reinforce", "leave_one_out", "measure_valued"


def alike() -> Count:
    """Methods share their random numbers; noise levels do not, here."""
    return Count(alike=len(METHODS))


@dataclass
class Cells:
    """What was counted over the cells of one environment."""

    name: str
    cells: int = 0
    passed: Count = field(default_factory=alike)
    variance: Count = field(default_factory=alike)
    bias: Count = field(default_factory=alike)
    projection: Count = field(default_factory=alike)
    ratio: Count = field(default_factory=alike)
    undecided: Count = field(default_factory=alike)
    wrong: Count = field(default_factory=alike)
    """Of the decided ones, signs."""


def exact_cells(name: str, sigma: float, seeds: range) -> Cells:
    """Every method with an exact variance, measured with every seed, and pathwise against each of the others."""
    environment = CELLS[name]
    policy = make_policy(environment)
    start = policy.initial_parameters(np.random.default_rng(0))
    simulator = Simulator(environment, policy, start, sigma)
    reference = exact_reference(simulator).gradient
    norm = reference.norm().item()
    every = {method: exact_variance(method, simulator, SIZE) for method in METHODS}
    truths = {method: value for method, value in every.items() if value is not None}
    rates = Cells(name, cells=len(truths))
    for seed in seeds:
        found = {}
        for method, variance in truths.items():
            estimator: Estimator = registry.load(registry.ESTIMATORS, method)()
            unbiased = estimator.unbiased(environment)
            # the only biased cell among these is pathwise on the step, whose gradient is zero
            bias = 0.0 if unbiased else norm**2
            batch = batch_statistics(
                estimator, simulator, reference[None], Stream(seed, name, f"calibration {sigma:g}"), BATCHES, SIZE
            )
            components = ErrorComponents(
                method, batch.variance, np.zeros(BATCHES) if unbiased else batch.squared_bias,
                bool((batch.zero_fraction == 1).all()), batch.tail,
            )  # fmt: skip
            found[method] = components, bias + variance / SIZE
            if not components.blank:
                rates.passed.add(not batch.tail.unmeasurable)
                spreads = batch.error_spread, batch.error_along, batch.error_roundness
                low, high = squared_norm_limits(batch.squared_bias, *spreads)
                rates.bias.add(low <= bias <= high)
                along = mean_estimates(batch.projection)
                rates.projection.add(along.low <= norm <= along.high)
                if not batch.tail.unmeasurable:
                    own = positive_mean_estimates(batch.variance, batch.tail.unseen, batch.tail.luck)
                    rates.variance.add(own.low <= variance <= own.high)
        for method in found.keys() - {"pathwise"} if "pathwise" in found else ():
            (ours, our_error), (theirs, their_error) = found["pathwise"], found[method]
            outcome = compare_errors(Side.alone(ours, 1.0, SIZE), Side.alone(theirs, 1.0, SIZE), EVERY)[0]
            if not math.isfinite(outcome.p_value) or min(our_error, their_error) == 0:
                continue
            truth = math.log10(their_error / our_error)
            rates.ratio.add(outcome.low <= truth <= outcome.high)
            decided = outcome.p_value < 1 - 0.95
            rates.undecided.add(not decided)
            if decided:
                rates.wrong.add(outcome.value * truth < 0)
    return rates


def summed(name: str, parts: list[Cells]) -> Cells:
    found = Cells(name, sum(part.cells for part in parts))
    for part in parts:
        for count in ("passed", "variance", "bias", "projection", "ratio", "undecided", "wrong"):
            setattr(found, count, getattr(found, count) + getattr(part, count))
    return found
