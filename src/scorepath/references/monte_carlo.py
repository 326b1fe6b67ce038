"""Certified Monte Carlo: a reference gradient where no formula gives one.

The estimate is the derivative of the simulated mean return by the parameters themselves (torch's own reverse mode,
not the action-signal pull-back that the estimators under test use), or the score function with a per-step mean
baseline where that is more precise. It is certified only if the other one agrees with it, and central finite
differences along a few directions do, and its standard error is within the stated budget.

Where returns jump or steps cannot be differentiated, there are the score function and the measure-valued derivative:
the one with the smaller spread is the estimate, the other must agree with it. (At small noise levels and short horizons
that is the latter, by orders of magnitude.) Without action noise neither exists: differences between perturbed
parameters are all there is, nothing tells whether they are right, and the reference stays uncertified.

Each estimate uses random numbers of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath import pullback
from scorepath.noise import Noise, Stream
from scorepath.rollout import Simulator
from scorepath.statistics import null_distance

TRAJECTORIES_AT_ONCE = 4096
"""Trajectories simulated at a time."""
AGREEMENT = 8.0
"""Largest distance, in null standard errors, between two estimates of the same gradient. The statistic lies between
a normal (many parameters: one-sided 6e-16) and a centred chi-square of one degree of freedom (4e-4)."""
DIFFERENCE_STEP = 1e-4
"""Length of a finite-difference step in parameter space, in float64."""
PERTURBATION = 0.01
"""Standard deviation of each parameter's perturbation where returns may jump or are only known in float32."""


@dataclass(frozen=True)
class MonteCarloReference:
    """A reference gradient as independent batches.

    | field | meaning |
    |---|---|
    | gradients | one unbiased estimate per batch, (batches, P), float64 |
    | standard_error | root of the trace of the covariance of their mean |
    | certified | whether others agree with it and its error is within the budget |
    | certified_by | what agreed with it, or why it is not certified |
    """

    gradients: Tensor
    standard_error: float
    certified: bool
    certified_by: str


def reverse_mode(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """Derivative of each batch's mean return by the parameters: (batches, P), float64."""
    results = []
    for part in _parts(batches, samples):
        noise = Noise(simulator.environment, stream, part, samples)
        parameters = simulator.parameters.float().expand(len(part), -1).clone().requires_grad_()
        member = Simulator(simulator.environment, simulator.policy, parameters, simulator.sigma)
        objective = member.rollout(noise.rollout, differentiable=True).returns.mean(1).sum()
        results.append(torch.autograd.grad(objective, parameters)[0].double())
    return torch.cat(results)


def score_function(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """Score-function estimate with a leave-one-out mean per step as baseline: (batches, P), float64."""
    results = []
    for part in _parts(batches, samples):
        trajectories = simulator.rollout(Noise(simulator.environment, stream, part, samples).rollout)
        to_go = trajectories.rewards_to_go
        advantage = (to_go - to_go.mean(1, keepdim=True)) * samples / (samples - 1)
        results.append(pullback.mean_gradients(trajectories, advantage[..., None] * trajectories.score).double())
    return torch.cat(results)


def finite_differences(simulator: Simulator, stream: Stream, directions: Tensor, batches: int, samples: int) -> Tensor:
    """Central differences of each batch's mean return along unit directions (K, P): (batches, K), float64."""
    results = []
    for part in _parts(batches, samples):
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
                .returns(rollout_noise)
                .mean(1)
                for sign in (1, -1)
            )
            columns.append((plus - minus) / (2 * DIFFERENCE_STEP))
        results.append(torch.stack(columns, -1))
    return torch.cat(results)


def measure_valued(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """Differences between rollouts that branch at one action, drawn uniformly: (batches, P), float64.

    Gaussian noise: `d E[R] / d mu = E[R(mu + sigma rho) - R(mu - sigma rho)] / (sigma sqrt(2 pi))` for each coordinate,
    with rho Rayleigh (Pflug 1989). Discrete actions: `d E[R] / d logit_k = pi_k / sigma (Q_k - sum_a pi_a Q_a)`.
    """
    environment, sigma = simulator.environment, simulator.sigma
    horizon, action_dim = environment.horizon, environment.action_dim
    entries = horizon if environment.discrete_actions else horizon * action_dim

    def returns(noise: Noise, place: Tensor, value: Tensor | float) -> Tensor:
        action = torch.where(place, value, noise.rollout.action)
        return simulator.returns(noise.rollout._replace(action=action))[..., None, None]

    results = []
    for part in _parts(batches, samples):
        noise = Noise(environment, stream, part, samples)
        trajectories = simulator.rollout(noise.rollout)
        branch = (noise.draw("branch", (), "uniform") * entries).long().clamp_max(entries - 1)
        chosen = torch.nn.functional.one_hot(branch, entries).unflatten(-1, (horizon, -1)).bool()

        if environment.discrete_actions:
            # infinite noise on one action makes it the choice
            units = torch.eye(action_dim, dtype=torch.bool)
            values = torch.cat([returns(noise, chosen & unit, math.inf) for unit in units], -1)
            assert trajectories.choice_probabilities is not None
            probabilities = trajectories.choice_probabilities
            signal = probabilities / sigma * (values - (probabilities * values).sum(-1, keepdim=True))
        else:
            distance = (2 * noise.draw("branch distance", (1, 1), "exponential")).sqrt()
            difference = returns(noise, chosen, distance) - returns(noise, chosen, -distance)
            signal = difference / (sigma * math.sqrt(2 * math.pi))
        results.append(pullback.mean_gradients(trajectories, entries * chosen * signal).double())
    return torch.cat(results)


def random_differences(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """Central differences of pairs of trajectories, each along a random direction of its own: (batches, P), float64.

    Its mean is the gradient of J averaged over perturbed parameters (Nesterov & Spokoiny 2017).
    """
    results = []
    for part in _parts(batches, samples):
        noise = Noise(simulator.environment, stream, part, samples, dtype=torch.float64)
        directions = noise.draw("directions", (simulator.policy.parameter_count,))
        plus, minus = (
            Simulator(
                simulator.environment,
                simulator.policy,
                simulator.parameters.double() + sign * PERTURBATION * directions.flatten(0, 1),
                simulator.sigma,
            )
            .returns(noise.rollout.single_batches())
            .reshape(len(part), samples, 1)
            for sign in (1, -1)
        )
        results.append(((plus - minus) / (2 * PERTURBATION) * directions).mean(1))
    return torch.cat(results)


def certified_reference(
    simulator: Simulator, stream: Stream, samples: int, batches: int, error_budget: float
) -> MonteCarloReference:
    """Estimate the gradient from `samples` trajectories in `batches` independent batches, and try to certify it.

    Args:
        simulator: any environment, its policy, one vector of parameters (P,) in float64, and the noise level.
        stream: where the random numbers come from; each estimate derives one of its own.
        samples: trajectories behind the estimate.
        batches: independent batches they are divided into.
        error_budget: largest standard error, as a fraction of the gradient's length, that can be certified.
    """
    environment, policy, sigma = simulator.environment, simulator.policy, simulator.sigma
    per_batch = max(2, samples // batches)
    smooth = environment.differentiable and environment.continuous
    has_score = sigma > 0 and not environment.moving_support

    def own(purpose: str) -> Stream:
        return Stream(stream.seed, stream.environment, f"{stream.purpose}/{purpose}")

    checks = {}
    if smooth:
        gradients = reverse_mode(simulator, own("reverse mode"), batches, per_batch)
        if has_score:
            few = max(2, per_batch // 4)
            scores, other = score_function(simulator, own("score"), batches, few), "score function"
            if few * scores.var(0).sum() < per_batch * gradients.var(0).sum():
                # an unstable or chaotic loop, where derivatives are the noisier ones
                scores = score_function(simulator, own("score"), batches, per_batch)
                gradients, scores, other = scores, gradients, "reverse mode"
            checks[other] = null_distance(scores - gradients)
        draws = own("directions").generator(0, "directions").standard_normal((2, policy.parameter_count))
        directions = torch.cat([gradients.mean(0)[None], torch.from_numpy(draws)])
        directions = directions / directions.norm(dim=-1, keepdim=True).clamp_min(1e-300)
        differences = finite_differences(simulator, own("differences"), directions, batches, max(2, per_batch // 8))
        checks["finite differences"] = null_distance(differences - gradients @ directions.T)
    elif has_score:
        # as many environment steps for both
        rollouts = 1 + (environment.action_dim if environment.discrete_actions else 2)
        scores = score_function(simulator, own("score"), batches, per_batch)
        branches = measure_valued(simulator, own("branches"), batches, max(1, per_batch // rollouts))
        if scores.var(0).sum() < branches.var(0).sum():
            gradients, other = scores, "measure-valued derivative"
        else:
            gradients, other = branches, "score function"
        checks[other] = null_distance(scores - branches)
    else:
        gradients = random_differences(simulator, own("differences"), batches, max(1, per_batch // 2))
    variance = gradients.var(0).sum() / batches
    standard_error = variance.sqrt().item()
    norm = (gradients.mean(0).square().sum() - variance).clamp_min(0).sqrt().item()
    certified, why = _verdict(checks, standard_error, norm, error_budget)
    return MonteCarloReference(gradients, standard_error, certified, why)


def _verdict(checks: dict[str, float], standard_error: float, norm: float, error_budget: float) -> tuple[bool, str]:
    """Whether an estimate is certified, and the reason in words."""
    if not checks:
        return False, "not certified: no second estimate exists to compare it with"
    distances = " and ".join(f"{name} ({distance:+.1f} s.e.)" for name, distance in checks.items())
    if not all(distance < AGREEMENT for distance in checks.values()):
        return False, f"not certified: disagrees with {distances}"
    if not standard_error <= error_budget * norm:
        return False, f"not certified: its error exceeds {error_budget:g} of its length; agrees with {distances}"
    return True, f"agrees with {distances}"


def _parts(batches: int, samples: int) -> list[range]:
    """Batches grouped so that about `TRAJECTORIES_AT_ONCE` trajectories are simulated at a time."""
    step = max(1, TRAJECTORIES_AT_ONCE // samples)
    return [range(start, min(start + step, batches)) for start in range(0, batches, step)]
