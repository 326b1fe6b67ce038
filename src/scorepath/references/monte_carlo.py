"""Certified Monte Carlo: a reference gradient where no formula gives one.

The estimate is the derivative of the simulated mean return by the parameters themselves (torch's own reverse mode,
not the action-signal pull-back that the estimators under test use). It is certified only if two others agree with
it: central finite differences along a few directions, and the score function with a per-step mean baseline. Each uses
random numbers of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath import pullback
from scorepath.environments.base import Environment
from scorepath.noise import Noise, Stream
from scorepath.policies import Policy
from scorepath.rollout import Simulator
from scorepath.statistics import null_distance

ROWS = 4096
"""Trajectories simulated at a time."""
AGREEMENT = 8.0
"""Largest distance, in null standard errors, between two estimates of the same gradient. The statistic lies between
a normal (many parameters: one-sided 6e-16) and a centred chi-square of one degree of freedom (4e-4)."""
DIFFERENCE_STEP = 1e-4
"""Length of a finite-difference step in parameter space, in float64."""


@dataclass(frozen=True)
class MonteCarloReference:
    """A reference gradient as independent blocks.

    | field | meaning |
    |---|---|
    | gradients | one unbiased estimate per block, (blocks, P), float64 |
    | standard_error | root of the trace of the covariance of their mean |
    | certified_by | what agreed with it, or "" if something did not |
    """

    gradients: Tensor
    standard_error: float
    certified_by: str


def reverse_mode(simulator: Simulator, stream: Stream, blocks: int, samples: int) -> Tensor:
    """Derivative of each block's mean return by the parameters: (blocks, P), float64."""
    results = []
    for part in _parts(blocks, samples):
        noise = Noise(simulator.environment, stream, part, samples)
        parameters = simulator.parameters.float().expand(len(part), -1).clone().requires_grad_()
        member = Simulator(simulator.environment, simulator.policy, parameters, simulator.sigma)
        objective = member.rollout(noise.rollout, differentiable=True).returns.mean(1).sum()
        results.append(torch.autograd.grad(objective, parameters)[0].double())
    return torch.cat(results)


def score_function(simulator: Simulator, stream: Stream, blocks: int, samples: int) -> Tensor:
    """Score-function estimate with a leave-one-out mean per step as baseline: (blocks, P), float64."""
    results = []
    for part in _parts(blocks, samples):
        trajectories = simulator.rollout(Noise(simulator.environment, stream, part, samples).rollout)
        to_go = trajectories.rewards_to_go
        advantage = (to_go - to_go.mean(1, keepdim=True)) * samples / (samples - 1)
        results.append(pullback.mean_gradients(trajectories, advantage[..., None] * trajectories.score).double())
    return torch.cat(results)


def finite_differences(simulator: Simulator, stream: Stream, directions: Tensor, blocks: int, samples: int) -> Tensor:
    """Central differences of each block's mean return along unit directions (K, P): (blocks, K), float64."""
    results = []
    for part in _parts(blocks, samples):
        rollout_noise = Noise(simulator.environment, stream, part, samples, dtype=torch.float64).rollout
        columns = []
        for direction in directions:
            plus, minus = (
                Simulator(
                    simulator.environment,
                    simulator.policy,
                    simulator.parameters.double() + sign * DIFFERENCE_STEP * direction,
                    simulator.sigma,
                )
                .rollout(rollout_noise)
                .returns.mean(1)
                for sign in (1, -1)
            )
            columns.append((plus - minus) / (2 * DIFFERENCE_STEP))
        results.append(torch.stack(columns, -1))
    return torch.cat(results)


def certified_reference(
    environment: Environment,
    policy: Policy,
    parameters: Tensor,
    sigma: float,
    stream: Stream,
    samples: int,
    blocks: int,
) -> MonteCarloReference:
    """Estimate the gradient from `samples` trajectories in `blocks` independent blocks, and try to certify it."""
    simulator = Simulator(environment, policy, parameters, sigma)
    per_block = max(2, samples // blocks)

    def own(purpose: str) -> Stream:
        return Stream(stream.seed, stream.environment, f"{stream.purpose}/{purpose}")

    gradients = reverse_mode(simulator, own("reverse mode"), blocks, per_block)
    mean = gradients.mean(0)
    standard_error = (gradients.var(0).sum() / blocks).sqrt().item()

    draws = own("directions").generator(0, "directions").standard_normal((2, policy.parameter_count))
    directions = torch.cat([mean[None], torch.from_numpy(draws)])
    directions = directions / directions.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    differences = finite_differences(simulator, own("differences"), directions, blocks, max(2, per_block // 8))
    checks = {"finite differences": null_distance(differences - gradients @ directions.T)}
    if sigma > 0:
        scores = score_function(simulator, own("score"), blocks, max(2, per_block // 4))
        checks["score function"] = null_distance(scores - gradients)
    agreed = all(distance < AGREEMENT for distance in checks.values())
    how = " and ".join(f"{name} ({distance:+.1f} s.e.)" for name, distance in checks.items())
    return MonteCarloReference(gradients, standard_error, f"agrees with {how}" if agreed else "")


def _parts(blocks: int, samples: int) -> list[range]:
    """Blocks grouped so that about `ROWS` trajectories are simulated at a time."""
    step = max(1, ROWS // samples)
    return [range(start, min(start + step, blocks)) for start in range(0, blocks, step)]
