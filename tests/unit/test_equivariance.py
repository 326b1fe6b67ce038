"""Rewards in another unit, a power of two larger or smaller, change every result by that power and nothing else.

Bit for bit: such a product rounds nothing, so that a difference shows a constant that has the unit of a reward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.helpers.advised import Arm, LogisticMap, RareJump
from tests.helpers.problems import ONE_DECISION, estimator, label, matrix_lqr, noise, system
from torch import Tensor

from scorepath import registry
from scorepath.advisor import advise
from scorepath.conformance.problems import altered, earlier
from scorepath.environments.ball_with_wall import BallWithWall
from scorepath.environments.base import Environment, make_policy
from scorepath.environments.chain import Chain
from scorepath.environments.lqr import LQR
from scorepath.environments.pendulum import Pendulum
from scorepath.environments.step import Step
from scorepath.environments.uniform_support import UniformSupport
from scorepath.estimators.alpha_order import AlphaOrder
from scorepath.estimators.base import Estimator
from scorepath.estimators.clipped_pathwise import ClippedPathwise
from scorepath.measurement import batch_statistics
from scorepath.moments import reduce_chunk
from scorepath.noise import Stream
from scorepath.references.checkpoints import reference_policies
from scorepath.references.exact import exact_reference
from scorepath.references.monte_carlo import certified_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.scores import compare_scores, normalised, scale_of
from scorepath.verdicts import Side, compare_errors, error_components

UNITS = [2.0**-40, 2.0**17]
"""The first is about 1e-12: squares of such gradients are still float32."""
units = pytest.mark.parametrize("unit", UNITS)
ENVIRONMENTS: list[Environment] = [
    Step(edge=0.1),
    matrix_lqr(3, process_noise=0.1, reward_noise=0.25),
    Pendulum(horizon=4, process_noise=0.1),
    Chain(states=3, horizon=3),
    UniformSupport(),
]
ESTIMATORS = registry.names(registry.ESTIMATORS)


def in_unit(environment: Environment, unit: float) -> Environment:
    """The environment whose every reward is `unit` times as large."""
    kind: Any = type(environment)

    def step(self: Environment, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        state, reward = kind.step(self, *inputs)
        return state, unit * reward

    def times(method: str) -> Callable[..., Any]:
        return lambda self, *given: unit * getattr(kind, method)(self, *given)

    def smoothed(self: Environment, width: float) -> Environment | None:
        softer = kind.smoothed(self, width)
        return None if softer is None else in_unit(softer, unit)

    scaled = [name for name in ("terminal_reward", "expected_return", "reward_table") if hasattr(kind, name)]
    own: Any = altered(environment, step=step, smoothed=smoothed, **{name: times(name) for name in scaled})
    if environment.reward_noise > 0:
        own.__dict__["reward_noise"] = unit * environment.reward_noise
    return cast(Environment, own)


def both(environment: Environment, unit: float, sigma: float = 0.3) -> tuple[Simulator, Simulator]:
    """The same policy in generic position where rewards are as they are, and where they are in another unit."""
    policy = make_policy(environment, hidden=(4,))
    generator = torch.Generator().manual_seed(5)
    parameters = 0.3 * torch.randn(policy.parameter_count, generator=generator, dtype=torch.float64)
    return (
        Simulator(environment, policy, parameters, sigma),
        Simulator(in_unit(environment, unit), policy, parameters, sigma),
    )


def in_reward(found: Estimator, unit: float) -> Estimator:
    """The estimator whose options that are rewards, or gradients of them, are in that unit."""
    if isinstance(found, AlphaOrder):
        return replace(found, threshold=unit * found.threshold, bound=unit * found.bound)
    return replace(found, limit=unit * found.limit) if isinstance(found, ClippedPathwise) else found


@units
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=label)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_gradient_estimates(environment: Environment, dtype: torch.dtype, unit: float) -> None:
    """Of every estimator that there is."""
    one, other = both(environment, unit)
    for name in ESTIMATORS:
        method = estimator(name)
        if method.not_applicable(environment, 0.3):
            continue
        draws = noise(environment, batches=2, samples=16, dtype=dtype)
        first = torch.cat(list(method.gradients(one, draws, earlier(method, one, draws))))
        scaled = in_reward(method, unit)
        second = torch.cat(list(scaled.gradients(other, draws, earlier(scaled, other, draws))))
        assert torch.equal(unit * first, second), name


@units
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=label)
def test_statistics_and_verdicts(environment: Environment, unit: float) -> None:
    """Of measured estimators: what has a unit has its power, cosines and ratios of errors have none."""
    found = []
    for simulator, factor in zip(both(environment, unit), (1.0, unit), strict=True):
        reference = factor * torch.linspace(-1, 1, simulator.policy.parameter_count, dtype=torch.float64)[None]
        stream = Stream(3, "test", "equivariance")
        measured = [
            batch_statistics(estimator(name), simulator, reference, stream, 8, 32)
            for name in ("reinforce", "leave_one_out")
            if not estimator(name).not_applicable(environment, 0.3)
        ]
        components = [
            error_components(
                "one", each.variance, each.squared_bias, each.nonfinite_fraction, each.zero_fraction,
                unbiased=False, certified=True, tail=each.tail,
            )
            for each in measured
        ]  # fmt: skip
        verdict = compare_errors(
            Side.alone(components[0], 3.0, 100.0), Side.alone(components[-1], 4.0, 100.0), np.arange(8)
        )[0]
        found.append((measured, verdict))
    (ones, verdict), (others, scaled) = found
    assert (verdict.reason, verdict.verdict) == (scaled.reason, scaled.verdict)
    # differences of logarithms are rounded
    assert verdict[:5] == pytest.approx(scaled[:5], rel=1e-9, abs=1e-12, nan_ok=True)
    for one, other in zip(ones, others, strict=True):
        assert np.array_equal(unit * one.means, other.means)
        assert np.array_equal(unit * one.projection, other.projection)
        assert np.array_equal(unit**2 * one.variance, other.variance)
        assert np.array_equal(unit**2 * one.squared_bias, other.squared_bias)
        assert np.array_equal(one.cosine_similarity, other.cosine_similarity)
        assert one.tail == other.tail
        assert one.float32_relative_error == other.float32_relative_error


@units
@pytest.mark.parametrize("environment", [*ONE_DECISION, LQR(horizon=3), Chain(states=3, horizon=3)], ids=label)
def test_exact_references_and_variances(environment: Environment, unit: float) -> None:
    one, other = both(environment, unit)
    first, second = exact_reference(one), exact_reference(other)
    assert unit * first.objective == second.objective
    assert torch.equal(unit * first.gradient, second.gradient)
    assert unit * first.error == second.error
    if isinstance(environment, LQR) or type(environment).__name__ == "Quadratic":
        return  # their variances are formulas in the knobs
    for method in ("reinforce", "leave_one_out", "pathwise", "measure_valued"):
        value = exact_variance(method, one, 16)
        assert (value and unit**2 * value) == exact_variance(method, other, 16), method


@units
@pytest.mark.parametrize("sigma", [0.3, 0.0])
@pytest.mark.parametrize("environment", [Pendulum(horizon=4, process_noise=0.1), BallWithWall()], ids=label)
def test_simulated_references(environment: Environment, sigma: float, unit: float) -> None:
    """With the same certificates."""
    one, other = both(environment, unit, sigma)
    first, second = (certified_reference(each, Stream(1, "test", "reference"), 1024, 8, 0.05) for each in (one, other))
    assert torch.equal(unit * first.gradients, second.gradients)
    assert unit * first.standard_error == second.standard_error
    assert first.certified == second.certified


@units
@pytest.mark.parametrize(
    ("environment", "kind"),
    [(Step(edge=0.5), "open_loop"), (LQR(horizon=3), "linear"), (Pendulum(horizon=4), "linear")],
    ids=system,
)
def test_reference_policies(environment: Environment, kind: str, unit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes the same path, and it goes somewhere."""
    monkeypatch.setattr("scorepath.references.checkpoints.CMA_GENERATIONS", 8)
    monkeypatch.setattr("scorepath.references.quadrature.MOST_NODES", 2**13)
    policy, stream, gaps = make_policy(environment, kind), Stream(2, "test", "policies"), (0.0, 0.5, 0.95)
    one = reference_policies(environment, policy, 0.3, gaps, stream)
    other = reference_policies(in_unit(environment, unit), policy, 0.3, gaps, stream)
    assert one.best_return > one.initial_return
    assert torch.equal(one.parameters, other.parameters)
    assert torch.equal(unit * one.returns, other.returns)
    assert unit * one.best_return == other.best_return


@units
def test_scores_of_training_runs(unit: float) -> None:
    """Also where no mean has changed and where a run has diverged."""
    generator = np.random.default_rng(0)
    still = np.array([[1.0, -1.0, 2.0, -2.0, 0.5, -0.5]])
    diverged = generator.standard_normal((3, 6))
    diverged[1, 5] = math.nan
    for gains in ([generator.standard_normal((3, 6)), diverged], [still, still[:, ::-1]]):
        one = [normalised(each, scale_of(gains)) for each in gains]
        scaled = [unit * each for each in gains]
        other = [normalised(each, scale_of(scaled)) for each in scaled]
        assert all(map(np.array_equal, one, other))
        assert compare_scores(one[0], one[1], 6) == compare_scores(other[0], other[1], 6)


FAR_UNITS = [2.0**-80, 2.0**80]
"""Squares of such rewards are beyond float32."""


@pytest.mark.parametrize("unit", FAR_UNITS)
@pytest.mark.parametrize(
    "environment",
    [Arm(horizon=8), LogisticMap(), RareJump(), Pendulum(horizon=4, process_noise=0.1), Chain(states=3, horizon=3)],
    ids=label,
)
def test_advice(environment: Environment, unit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it: intervals, probabilities, crossings, reasons; but for sentences that state a return.

    Every trajectory takes the same time here, and alpha-order's threshold, which is a gradient, is in that unit.
    """

    def timed(function: Callable[[], Any]) -> tuple[Any, float]:
        return function(), 1e-6

    monkeypatch.setattr("scorepath.advisor.timed", timed)
    monkeypatch.setattr("scorepath.advisor.MOST_BATCHES", 16)
    found = []
    for subject, factor in ((environment, 1.0), (in_unit(environment, unit), unit)):
        monkeypatch.setattr("scorepath.probes.AlphaOrder", partial(in_reward, AlphaOrder(), factor))
        advice = advise(subject, noise_levels=[0.03, 0.3], budget=200).to_dict()
        found.append({key: value for key, value in advice.items() if key not in ("seconds", "environment")})
        for answer in found[-1]["answers"]:
            del answer["why"]
    assert found[0] == found[1]


@pytest.mark.parametrize("unit", FAR_UNITS)
def test_moments_of_gradients_in_single_precision(unit: float) -> None:
    gradients = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    one, other = reduce_chunk(gradients), reduce_chunk(unit * gradients)
    assert torch.equal(unit * one.means, other.means)
    assert torch.equal(unit**2 * one.squared_deviations, other.squared_deviations)
    assert torch.equal(unit**2 * one.trace_variances, other.trace_variances)
