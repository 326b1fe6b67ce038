"""What claims are tried with: estimators on landscapes, random numbers of the claim's own, and intervals.

A mutant of an experiment exchanges one thing that the claim is about (a method, a number) and has to be refuted, each
row of the ledger by one mutant at least: what may be exchanged is asked for by `method` and `setting`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from scorepath.boundaries import measured_crossings
from scorepath.environments.base import Environment, make_policy
from scorepath.intervals import Estimate, jackknife, mean_estimates, positive_mean_estimates
from scorepath.measurement import sample_batches, sample_variances
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.registry import ESTIMATORS, load
from scorepath.rollout import Simulator

Interval = tuple[float, float, float]
"""A value and its 95 % limits."""


class Finding(NamedTuple):
    """One row of the ledger."""

    prediction: str
    """In words, with its tolerance."""
    measured: Interval
    predicted: float | None
    """The number predicted; None where it is a range, which is then `accepted`."""
    accepted: tuple[float, float]


@dataclass(frozen=True)
class Claim:
    """A claim of the field's, or of this project's, with the experiment that tries it."""

    source: str
    prediction: str
    """Stated before it was measured, as the source has it."""
    experiment: Callable[[Lab], Iterator[Finding]]
    mutants: tuple[Mapping[str, Any], ...]
    """What to exchange, one at a time, so that the experiment has to refute every row of it."""
    why: str = ""
    """Why it is refuted or left open, where it is."""
    refuted: bool = False
    """Whether that is what is found."""


class Sampled(NamedTuple):
    """What an estimator's batches gave."""

    means: np.ndarray  # (batches, P)
    variances: np.ndarray  # (batches,), of one sample: their mean is the variance


@dataclass(frozen=True)
class Lab:
    """A place to try one claim in."""

    claim: str
    seed: int
    mutant: Mapping[str, Any] = field(default_factory=dict)

    def setting(self, name: str, value: Any) -> Any:
        """A number that the claim is about, or what a mutant has in its place."""
        return self.mutant.get(name, value)

    def generator(self, quantity: str = "") -> np.random.Generator:
        """Random numbers for an experiment that needs no simulator."""
        return Stream(self.seed, self.claim, "claims").generator(0, quantity)

    def at(self, environment: Environment, sigma: float, mean: float | list[float] = 0.0) -> Simulator:
        """A simulator whose policy's parameters all have this value, or these."""
        policy = make_policy(environment)
        values = mean if isinstance(mean, list) else [mean] * policy.parameter_count
        return Simulator(environment, policy, torch.tensor(values, dtype=torch.float64), sigma)

    def sample(
        self, method: str, simulator: Simulator, batches: int = 64, samples: int = 256,
        dtype: torch.dtype = torch.float64, first: int = 0, **options: Any,
    ) -> Sampled:  # fmt: skip
        """Independent batches of an estimator, from the `first` on; all methods see the same random numbers."""
        estimator = load(ESTIMATORS, self.setting(method, method))(**options)
        stream = Stream(self.seed, self.claim, "claims")
        found = sample_batches(estimator, simulator, stream, range(first, first + batches), samples, dtype)
        return Sampled(found.means.numpy(), sample_variances(estimator, simulator, found).double().numpy())

    def gradient(self, simulator: Simulator) -> np.ndarray:
        """The exact gradient (P,)."""
        return exact_reference(simulator).gradient.numpy()

    def exact(self, method: str, simulator: Simulator) -> float:
        """The exact variance of a method that has one."""
        found = exact_variance(self.setting(method, method), simulator, 64)
        if found is None:
            raise ValueError(f"{method} has no exact variance there")
        return found


def second_moments(sampled: Sampled, samples: int = 256) -> np.ndarray:
    """`E|g|^2` of one sample, as each batch tells it."""
    return np.asarray(sampled.variances * (1 - 1 / samples) + np.square(sampled.means).sum(-1))


def limits(found: Estimate) -> Interval:
    return float(found.value), float(found.low), float(found.high)


def mean(values: np.ndarray) -> Interval:
    """The mean of independent batches."""
    return limits(mean_estimates(np.asarray(values, dtype=float)))


def positive_mean(values: np.ndarray) -> Interval:
    """Likewise of what is never negative, such as variances."""
    return limits(positive_mean_estimates(np.asarray(values, dtype=float)))


def function_of_means(function: Callable[..., Any], *parts: np.ndarray) -> Interval:
    """A smooth function of means over the same batches, (..., batches) each, by a jackknife."""
    batches = parts[0].shape[-1]
    value = function(*(part.mean(-1) for part in parts))
    left_out = [(part.sum(-1, keepdims=True) - part) / (batches - 1) for part in parts]
    without = [function(*(part[..., index] for part in left_out)) for index in range(batches)]
    return limits(jackknife(float(value), np.array(without, dtype=float)))


def ratio(over: np.ndarray, under: np.ndarray) -> Interval:
    """The ratio of two means over the same batches; its interval is formed in the logarithm."""
    found = function_of_means(lambda a, b: math.log(a / b), over, under)
    return math.exp(found[0]), math.exp(found[1]), math.exp(found[2])


def slope(over: np.ndarray, under: np.ndarray, distance: float) -> Interval:
    """The change of the logarithm between two means over the same batches, per unit of distance."""
    return function_of_means(lambda a, b: math.log(a / b) / distance, over, under)


def exactly(value: float) -> Interval:
    """A number that no chance enters."""
    return value, value, value


def only_crossing(axis: list[float], own: list[np.ndarray], rival: list[np.ndarray]) -> Interval:
    """Where two means are equal along an axis; without limits where that is not once."""
    found = measured_crossings(np.array(axis), np.stack([np.stack(own), np.stack(rival)], 1))
    return limits(found[0]) if len(found) == 1 else (math.nan, -math.inf, math.inf)


def near(predicted: float, tolerance: float) -> tuple[float, float]:
    """The range around a number that a relative tolerance allows."""
    ends = predicted * (1 - tolerance), predicted * (1 + tolerance)
    return min(ends), max(ends)


def about(predicted: float, tolerance: float) -> tuple[float, float]:
    """Likewise of an absolute one."""
    return predicted - tolerance, predicted + tolerance
