"""Reference policies: the same checkpoints for all estimators, found by a procedure that none of them takes part in.

With an exact objective it is climbed by BFGS on the exact gradient. Otherwise by separable CMA-ES on simulated
returns under common random numbers: it ranks whole policies and estimates no gradient. Checkpoints then lie on the
path taken, where given fractions of the way from the first to the best return are reached. No search knows the unit
of the rewards: in another one, a power of two larger or smaller, it takes the same path, bit for bit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.noise import Noise, Stream
from scorepath.policies import Policy
from scorepath.references.exact import exact_reference, reference_class
from scorepath.rollout import Simulator

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

CMA_GENERATIONS = 150
CMA_POPULATION = 32
CMA_TRAJECTORIES = 64
CMA_STEP = 0.2
"""Initial standard deviation of the search, in units of the network's parameters."""
EVALUATION_TRAJECTORIES = 2048
"""Fewer where the search's steps are numbered: to place checkpoints costs as much as the search at most."""
BISECTIONS = 20
TOLERANCE = 1e-5
"""Of a quadrature's gradient on the way; the checkpoints are where they are, exactly."""
MOST_DISTANCE = 10.0
"""How far from the start a climb may lead, in units of the parameters."""
FLAT = 2.0**-40
"""A slope at the start that is smaller than this fraction of the return is rounding: there is no way up."""
WORST = 1e300
"""The loss of a policy whose return is not finite."""


@dataclass(frozen=True)
class ReferencePolicies:
    """Checkpoints of an environment.

    | field | meaning |
    |---|---|
    | parameters | (checkpoints, P), float64 |
    | returns | J at the checkpoints, (checkpoints,) |
    | initial_return, best_return | both ends of the gap that the checkpoints divide |
    """

    parameters: Tensor
    returns: Tensor
    initial_return: float
    best_return: float


def climb_exact(environment: Environment, policy: Policy, start: Tensor, sigma: float) -> list[Tensor]:
    """The iterates of BFGS on the exact objective, as far as `MOST_DISTANCE` from the start: some have no maximum."""
    from scipy.optimize import minimize

    path = [start]
    first = exact_reference(Simulator(environment, policy, start, sigma), TOLERANCE)
    slope = first.gradient.norm().item()
    if not (math.isfinite(slope) and slope > FLAT * abs(first.objective)):
        return path
    # in a unit in which the slope at the start is about 1: BFGS has a tolerance and a first step of that size
    unit = math.ldexp(1.0, math.frexp(slope)[1] - 1)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        reference = exact_reference(Simulator(environment, policy, torch.from_numpy(values), sigma), TOLERANCE)
        return -reference.objective / unit, -reference.gradient.numpy() / unit

    def remember(intermediate_result: OptimizeResult) -> None:
        step = torch.from_numpy(intermediate_result.x.copy()) - start
        distance = step.norm().item()
        path.append(start + step * min(1.0, MOST_DISTANCE / max(distance, 1e-300)))
        if distance >= MOST_DISTANCE:
            raise StopIteration

    minimize(loss, start.numpy(), jac=True, method="BFGS", callback=remember, options={"maxiter": 200})
    return path


def climb_simulated(
    environment: Environment, policy: Policy, start: Tensor, sigma: float, stream: Stream
) -> list[Tensor]:
    """The means of a separable CMA-ES, one per generation, on the same trajectories throughout."""
    import cma

    noise = Noise(environment, stream, [0], CMA_TRAJECTORIES).rollout
    noise = type(noise)(*(draws.expand(CMA_POPULATION, *draws.shape[1:]) for draws in noise))
    generation_steps = CMA_POPULATION * CMA_TRAJECTORIES * environment.horizon
    generations = int(min(CMA_GENERATIONS, max(1, environment.search_steps / generation_steps)))
    seed = int(stream.generator(0, "cma").integers(1, 2**31))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cma warns that it is not given callbacks it does not need
        search = cma.CMAEvolutionStrategy(
            start.numpy(),
            CMA_STEP,
            {
                "CMA_diagonal": True,
                "popsize": CMA_POPULATION,
                "seed": seed,
                "verbose": -9,
                "maxiter": generations,
                # these tolerances are absolute; losses that are all the same still end the search
                "tolfun": 0,
                "tolfunhist": 0,
            },
        )
        path = [start]
        while not search.stop():
            candidates = search.ask()
            population = torch.from_numpy(np.stack(candidates)).float()
            returns = Simulator(environment, policy, population, sigma).returns(noise).mean(1)
            losses = torch.where(returns.isfinite(), -returns.double(), WORST)
            search.tell(candidates, losses.tolist())
            path.append(torch.from_numpy(np.array(search.mean)))
    return path


def reference_policies(
    environment: Environment, policy: Policy, sigma: float, gaps: tuple[float, ...], stream: Stream
) -> ReferencePolicies:
    """Climb from the initial policy and keep the checkpoints at the given fractions of the return gap.

    Where the initial policy's return is not finite all of them are that policy, and returns are nan.
    """
    start = policy.initial_parameters(stream.generator(0, "initial parameters"))
    if reference_class(environment, policy) == "certified_monte_carlo":
        path = climb_simulated(environment, policy, start, sigma, stream)
        evaluations = (len(path) + (BISECTIONS + 1) * len(gaps)) * environment.horizon
        affordable = max(CMA_TRAJECTORIES, environment.search_steps / evaluations)
        noise = Noise(environment, stream, ["evaluation"], int(min(EVALUATION_TRAJECTORIES, affordable))).rollout

        def objective(parameters: Tensor) -> float:
            return Simulator(environment, policy, parameters.float(), sigma).returns(noise).mean().item()
    else:
        path = climb_exact(environment, policy, start, sigma)

        def objective(parameters: Tensor) -> float:
            return exact_reference(Simulator(environment, policy, parameters, sigma), TOLERANCE).objective

    # a step beyond what is finite is no progress
    returns = [value if math.isfinite(value) else -math.inf for value in map(objective, path)]
    if returns[0] == -math.inf:  # there is no way up to place checkpoints on: all lie at the start
        return ReferencePolicies(
            torch.stack([start] * len(gaps)), torch.full((len(gaps),), math.nan), math.nan, math.nan
        )
    best = int(np.argmax(returns))
    path, returns = path[: best + 1], returns[: best + 1]
    checkpoints = [_at_gap(path, returns, gap, objective) for gap in gaps]
    return ReferencePolicies(
        parameters=torch.stack(checkpoints),
        returns=torch.tensor([objective(parameters) for parameters in checkpoints], dtype=torch.float64),
        initial_return=returns[0],
        best_return=returns[-1],
    )


def _at_gap(path: list[Tensor], returns: list[float], gap: float, objective: Callable[[Tensor], float]) -> Tensor:
    """The first point of the piecewise linear path whose return covers that fraction of the gap, by bisection."""
    target = min(returns[0] + gap * (returns[-1] - returns[0]), returns[-1])  # rounding may pass the best
    reached = next(i for i, value in enumerate(returns) if value >= target)
    if reached == 0:
        return path[0]
    below, above = path[reached - 1], path[reached]
    for _ in range(BISECTIONS):
        middle = (below + above) / 2
        if objective(middle) >= target:
            above = middle
        else:
            below = middle
    return above
