"""One cell's training runs: a population of policies, seeds x learning rates, in one tensor program.

Every rate of the common grid is run at every seed, and the grid is extended while a choice sits at its edge;
`scorepath.scores` chooses. Members of a population differ in their parameters only, so one rollout, one signal and one
pull-back serve them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch

from scorepath.environments.base import Environment
from scorepath.estimators.base import Estimator
from scorepath.noise import Noise, Stream
from scorepath.policies import Policy
from scorepath.rollout import Simulator
from scorepath.scores import at_edge, choices, extended, late_means, normalised, scale_of

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    kind.__name__.lower(): kind for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.SGD)
}
"""By torch's names in small letters. Each takes every parameter by itself, so members of a population do not mix."""
EVALUATION_TRAJECTORIES = 64
EVALUATIONS = 10
"""How often a run is evaluated, besides at its start."""
RATES_AT_ONCE = 2
"""By so many rates a grid is extended before it is looked at again."""


@dataclass(frozen=True)
class History:
    """What a population leaves behind; the last axes are rates and seeds.

    | field | meaning | shape |
    |---|---|---|
    | iterations | optimiser steps taken at each record | (records,) |
    | stochastic | mean return at the cell's sigma | (records, rates, seeds) |
    | deterministic | mean return at sigma = 0 | (records, rates, seeds) |
    | gradient_norms | norm of the gradient estimate last used | (records, rates, seeds) |
    """

    iterations: list[int]
    stochastic: np.ndarray
    deterministic: np.ndarray
    gradient_norms: np.ndarray

    @classmethod
    def merged(cls, parts: list[History], order: np.ndarray) -> History:
        """The rates of several, brought into an order."""
        names = [field.name for field in fields(cls) if field.name != "iterations"]
        joined = (np.concatenate([getattr(part, name) for part in parts], axis=1)[:, order] for name in names)
        return cls(parts[0].iterations, *joined)


def late_gains(history: History) -> np.ndarray:
    """Late return of every run above that before training: (rates, seeds)."""
    late = late_means(np.array(history.iterations, dtype=float), history.stochastic, history.iterations[-1])
    return np.asarray(late - history.stochastic[0])


def chosen_rates(history: History) -> np.ndarray:
    """Which of its rates each seed is judged at, by the cell's own scale: (seeds,)."""
    gains = late_gains(history)
    return choices(normalised(gains, scale_of([gains])))


@dataclass(frozen=True)
class Trainer:
    """Everything the runs of one cell share."""

    environment: Environment
    policy: Policy
    estimator: Estimator
    sigma: float
    stream: Stream
    optimiser: str
    batch_size: int
    iterations: int
    momentum: float | None = None
    """Of the optimisers that have one; None for the others."""

    def tune(self, rates: tuple[float, ...], seeds: list[str], most: int) -> tuple[tuple[float, ...], History]:
        """Train at every rate, and at more of them until no seed's rate is the lowest or highest.

        Where every rate loses, a lower one may lose less, and may gain.

        Args:
            rates: where to start.
            seeds: of all runs, those that only help to choose included.
            most: how many rates may be added beyond either end.

        Returns:
            The rates in increasing order, and all runs.
        """
        rates = tuple(sorted(rates))
        history, added = self.run(rates, seeds), {"below": 0, "above": 0}
        while True:
            low, high = at_edge(chosen_rates(history), rates)
            low = low and added["below"] < most
            high = high and added["above"] < most
            if not (low or high):
                return rates, history
            more = min(RATES_AT_ONCE, most - max(added["below"] * low, added["above"] * high))
            wider = extended(rates, low, high, more)
            new = tuple(rate for rate in wider if rate not in rates)
            added["below"] += more * low
            added["above"] += more * high
            order = np.argsort([*rates, *new])
            history, rates = History.merged([history, self.run(new, seeds)], order), wider

    def run(self, rates: tuple[float, ...], seeds: list[str]) -> History:
        """Train every seed at every rate; a run whose gradients stop being finite keeps its non-finite returns."""
        starts = torch.stack(
            [self.policy.initial_parameters(self.stream.generator(seed, "initial parameters")) for seed in seeds]
        ).float()
        groups = [starts.clone() for _ in rates]
        options = {} if self.momentum is None else {"momentum": self.momentum}
        optimiser = OPTIMISERS[self.optimiser](
            [{"params": [group], "lr": rate, **options} for group, rate in zip(groups, rates, strict=True)]
        )
        members = seeds * len(rates)
        shape = (len(rates), len(seeds))
        every = max(1, self.iterations // EVALUATIONS)
        evaluated = [f"{seed}/evaluation" for seed in members]  # each seed's own: chance in it shows between seeds
        evaluation = Noise(self.environment, self.stream, evaluated, EVALUATION_TRAJECTORIES)
        past, norms = None, torch.zeros(len(members))
        iterations, stochastic, deterministic, gradient_norms = [], [], [], []
        for iteration in range(self.iterations + 1):
            simulator = Simulator(self.environment, self.policy, torch.cat(groups), self.sigma)
            if iteration % every == 0 or iteration == self.iterations:
                iterations.append(iteration)
                stochastic.append(_mean_returns(simulator, evaluation).reshape(shape))
                deterministic.append(_mean_returns(simulator.with_sigma(0.0), evaluation).reshape(shape))
                gradient_norms.append(norms.double().numpy().reshape(shape))
            if iteration == self.iterations:
                break
            noise = Noise(self.environment, self.stream, [f"{seed}/{iteration}" for seed in members], self.batch_size)
            gradient, trajectories = self.estimator.estimate(simulator, noise, past)
            past = trajectories if self.estimator.needs_past else None
            norms = gradient.norm(dim=-1)
            for group, ascent in zip(groups, gradient.split(len(seeds)), strict=True):
                group.grad = -ascent  # optimisers descend
            optimiser.step()
        return History(iterations, np.stack(stochastic), np.stack(deterministic), np.stack(gradient_norms))


def warm_up() -> None:
    """Take an optimiser step on nothing: the first one imports 800 modules in two core-seconds, which forks share."""
    for optimiser in OPTIMISERS.values():
        optimiser([torch.zeros(1, requires_grad=True)]).step()


def _mean_returns(simulator: Simulator, noise: Noise) -> np.ndarray:
    """Mean return of every member on the same evaluation trajectories: (members,)."""
    return simulator.returns(noise.rollout).double().mean(1).numpy()
