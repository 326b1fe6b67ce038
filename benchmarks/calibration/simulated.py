"""Simulated samples whose moments are known, from normal to hopeless, and what is counted in repetitions of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from benchmarks.calibration.counts import BATCHES, EVERY, SEED, SIZE, Count
from torch import Tensor

from scorepath import registry
from scorepath.environments.base import make_policy
from scorepath.environments.cartpole import CartPole
from scorepath.estimators.base import Estimator
from scorepath.intervals import mean_estimates, positive_mean_estimates, squared_norm_limits
from scorepath.moments import reduce_chunk
from scorepath.noise import Noise, Stream
from scorepath.references.checkpoints import reference_policies
from scorepath.rollout import Simulator
from scorepath.statistics import squared_bias
from scorepath.tails import Tail, tail_of
from scorepath.verdicts import ErrorComponents, Side, compare_errors

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Class:
    """A distribution with its mean and variance."""

    name: str
    draw: Draw
    mean: float
    variance: float


def lognormal(sigma: float) -> Class:
    mean, square = math.exp(sigma**2 / 2), math.exp(sigma**2)
    return Class(
        f"lognormal, σ = {sigma:g}",
        lambda generator, shape: generator.lognormal(0.0, sigma, shape), mean, (square - 1) * square,
    )  # fmt: skip


def student(freedom: int) -> Class:
    return Class(
        f"Student's t, {freedom} degrees of freedom",
        lambda generator, shape: generator.standard_t(freedom, shape), 0.0, freedom / (freedom - 2),
    )  # fmt: skip


def rare(chance: float) -> Class:
    return Class(
        f"rare events, one in {1 / chance:.0f}",
        lambda generator, shape: (generator.random(shape) < chance).astype(float), chance, chance * (1 - chance),
    )  # fmt: skip


NORMAL = Class("normal", lambda generator, shape: generator.standard_normal(shape), 0.0, 1.0)
CUBE = Class(
    "cube of a normal (REINFORCE at an optimum)",
    lambda generator, shape: generator.standard_normal(shape) ** 3, 0.0, 15.0,
)  # fmt: skip
CLASSES = (
    NORMAL, CUBE, lognormal(0.5), lognormal(1.0), lognormal(1.5), student(5), student(3), rare(0.1), rare(0.01),
    rare(1 / 300), rare(0.001),
)  # fmt: skip
CART_POLE = "cart-pole near its optimum, resampled"
POOL = 2**15


@cache
def cart_pole() -> Class:
    """Pathwise gradients along their mean at 95 % of the return gap: a finite population, whose moments are known."""
    torch.set_num_threads(1)
    environment = CartPole(horizon=60)
    policy = make_policy(environment, hidden=(32, 32))
    stream = Stream(SEED, "cartpole", "reference policies")
    parameters = reference_policies(environment, policy, 0.1, (0.95,), stream).parameters[0]
    noise = Noise(environment, Stream(SEED, "cartpole", "pool"), range(POOL // 512), 512, torch.float64)
    method: Estimator = registry.load(registry.ESTIMATORS, "pathwise")()
    chunks = [
        chunk.flatten(0, 1)
        for part in range(len(noise.replicates))
        for chunk in method.gradients(
            Simulator(environment, policy, parameters, 0.1), noise.select(slice(part, part + 1))
        )
    ]
    gradients = torch.cat(chunks)
    direction = gradients.median(0).values
    pool = (gradients @ (direction / direction.norm())).numpy()
    return Class(CART_POLE, lambda generator, shape: generator.choice(pool, shape), pool.mean(), pool.var())


@dataclass
class Rates:
    """What was counted in one class; of those that the gate let through, unless it says otherwise."""

    name: str
    passed: Count = field(default_factory=Count)
    variance: Count = field(default_factory=Count)
    mean: Count = field(default_factory=Count)
    unbiased: Count = field(default_factory=Count)
    biased: Count = field(default_factory=Count)
    wrong: dict[str, Count] = field(default_factory=dict)
    """Of all repetitions, verdicts at equal true error, by rival."""
    ratio: dict[str, Count] = field(default_factory=dict)


def measured(drawn: np.ndarray, kind: Class, bias: float) -> tuple[ErrorComponents, Tensor, Tail]:
    """One repetition (BATCHES, SIZE), scaled to variance 1, around this bias."""
    values = torch.from_numpy((drawn - kind.mean) / math.sqrt(kind.variance) + bias)
    found = reduce_chunk(values[..., None])
    tail = tail_of(found.squared_deviations)
    components = ErrorComponents(kind.name, found.trace_variances.numpy(), np.zeros(BATCHES), False, tail)
    return components, found.means, tail


def bias_is_covered(errors: Tensor, truth: float) -> bool:
    found = squared_bias(errors)
    low, high = squared_norm_limits(found.estimate, found.spread, found.along, found.roundness, len(errors))
    return bool(low <= truth <= high)


def simulate(name: str, repeats: int, part: int = 0) -> Rates:
    """Rates of one class."""
    kind = cart_pole() if name == CART_POLE else next(each for each in CLASSES if each.name == name)
    generator = np.random.default_rng([SEED, part, *name.encode()])
    rates = Rates(name, wrong={"itself": Count(), "normal": Count()}, ratio={"itself": Count(), "normal": Count()})
    shape = (BATCHES, SIZE)
    bias = 3 / math.sqrt(BATCHES * SIZE)
    for _ in range(repeats):
        ours, means, tail = measured(kind.draw(generator, shape), kind, 0.0)
        rivals = {
            "itself": measured(kind.draw(generator, shape), kind, 0.0)[0],
            "normal": measured(NORMAL.draw(generator, shape), NORMAL, 0.0)[0],
        }
        through = not tail.unmeasurable
        rates.passed.add(through)
        along = mean_estimates(means[:, 0].numpy())
        rates.mean.add(along.low <= 0 <= along.high)
        rates.unbiased.add(bias_is_covered(means, 0.0))
        rates.biased.add(bias_is_covered(means + bias, bias**2))
        if through:
            found = positive_mean_estimates(ours.variances, tail.unseen, tail.luck)
            rates.variance.add(found.low <= 1 <= found.high)
        for rival, theirs in rivals.items():
            outcome = compare_errors(Side.alone(ours, 1.0, SIZE), Side.alone(theirs, 1.0, SIZE), EVERY)[0]
            decided = math.isfinite(outcome.p_value)
            rates.wrong[rival].add(decided and outcome.p_value < 1 - 0.95)
            if decided:
                rates.ratio[rival].add(outcome.low <= 0 <= outcome.high)
    return rates
