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
from scorepath.verdicts import NOT_MEASURABLE, ErrorComponents, Side, compare_errors

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


def two_scales(chance: float, scale: float) -> Class:
    return Class(
        f"two scales, one in {1 / chance:.0f} {scale:g} times as wide",
        lambda generator, shape: (
            generator.standard_normal(shape) * np.where(generator.random(shape) < chance, scale, 1.0)
        ), 0.0, 1 + chance * (scale**2 - 1),
    )  # fmt: skip


def beta(a: float, b: float) -> Class:
    return Class(
        f"bounded and skewed, beta({a:g}, {b:g})",
        lambda generator, shape: generator.beta(a, b, shape), a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1)),
    )  # fmt: skip


NORMAL = Class("normal", lambda generator, shape: generator.standard_normal(shape), 0.0, 1.0)
CUBE = Class(
    "cube of a normal (REINFORCE at an optimum)",
    lambda generator, shape: generator.standard_normal(shape) ** 3, 0.0, 15.0,
)  # fmt: skip
HEAVY = student(3)
"""The heaviest tail that the gate lets through as a rule."""
CLASSES = (
    NORMAL, CUBE, lognormal(0.5), lognormal(1.0), lognormal(1.5), student(5), HEAVY, rare(0.1), rare(0.01),
    rare(1 / 300), rare(0.001), two_scales(0.1, 5.0), two_scales(0.01, 10.0), beta(0.05, 2.0),
)  # fmt: skip
CART_POLE = "cart-pole near its optimum, resampled"
POOL = 2**15
RIVALS = "itself", "normal", "heavy"


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
    """What was counted in one class; variances and ratios of those that vary and that the gate lets through."""

    name: str
    passed: Count = field(default_factory=Count)
    variance: Count = field(default_factory=Count)
    bare: Count = field(default_factory=Count)
    """Variances again, with nothing allowed for: neither for what was not seen, nor for luck at the gate."""
    mean: Count = field(default_factory=Count)
    unbiased: Count = field(default_factory=Count)
    biased: Count = field(default_factory=Count)
    wrong: dict[str, Count] = field(default_factory=lambda: {rival: Count() for rival in RIVALS})
    """Of all repetitions, verdicts at equal true error, by rival."""
    ratio: dict[str, Count] = field(default_factory=lambda: {rival: Count() for rival in RIVALS})
    limit: Count = field(default_factory=Count)
    """Of ratios to a normal rival where the gate is closed: they have one limit."""


def measured(drawn: np.ndarray, kind: Class, bias: float) -> tuple[ErrorComponents, Tensor, Tail]:
    """One repetition (BATCHES, SIZE), scaled to variance 1, around this bias."""
    values = torch.from_numpy((drawn - kind.mean) / math.sqrt(kind.variance) + bias)
    found = reduce_chunk(values[..., None])
    tail = tail_of(found.squared_deviations)
    components = ErrorComponents(kind.name, found.trace_variances.numpy(), np.zeros(BATCHES), False, tail)
    return components, found.means, tail


def bias_is_covered(errors: Tensor, truth: float) -> bool:
    found = squared_bias(errors)
    low, high = squared_norm_limits(found.pseudo_values.numpy(), found.spread, found.along, found.roundness)
    return bool(low <= truth <= high)


def simulate(name: str, repeats: int, part: int = 0) -> Rates:
    """Rates of one class."""
    kind = cart_pole() if name == CART_POLE else next(each for each in CLASSES if each.name == name)
    generator = np.random.default_rng([SEED, part, *name.encode()])
    rates = Rates(name)
    shape = (BATCHES, SIZE)
    bias = 3 / math.sqrt(BATCHES * SIZE)
    for _ in range(repeats):
        ours, means, tail = measured(kind.draw(generator, shape), kind, 0.0)
        rivals = {
            "itself": measured(kind.draw(generator, shape), kind, 0.0)[0],
            "normal": measured(NORMAL.draw(generator, shape), NORMAL, 0.0)[0],
            "heavy": measured(HEAVY.draw(generator, shape), HEAVY, 0.0)[0],
        }
        through = bool(ours.variances.any()) and not tail.unmeasurable
        rates.passed.add(through)
        along = mean_estimates(means[:, 0].numpy())
        rates.mean.add(along.low <= 0 <= along.high)
        rates.unbiased.add(bias_is_covered(means, 0.0))
        rates.biased.add(bias_is_covered(means + bias, bias**2))
        if through:
            found = positive_mean_estimates(ours.variances, tail.unseen, tail.luck)
            rates.variance.add(found.low <= 1 <= found.high)
            found = positive_mean_estimates(ours.variances)
            rates.bare.add(found.low <= 1 <= found.high)
        for rival, theirs in rivals.items():
            outcome = compare_errors(Side.alone(ours, 1.0, SIZE), Side.alone(theirs, 1.0, SIZE), EVERY)[0]
            judged = math.isfinite(outcome.p_value) and bool(ours.variances.any() and theirs.variances.any())
            rates.wrong[rival].add(judged and outcome.p_value < 1 - 0.95)
            closed = outcome.verdict == NOT_MEASURABLE
            if judged and not closed:
                rates.ratio[rival].add(outcome.low <= 0 <= outcome.high)
            elif judged and rival == "normal":
                rates.limit.add(outcome.low <= 0 <= outcome.high)
    return rates
