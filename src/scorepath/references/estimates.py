"""Estimates of a gradient from simulations, as independent batches, and the differences that derivatives are held to.

None of them goes through the code of the estimators under test, but for the pull-back through the policy.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scorepath import pullback
from scorepath.environments._jacobians import gradients
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.rollout import Simulator, Trajectories

TRAJECTORIES_AT_ONCE = 4096
"""Trajectories simulated at a time."""
STEP = 0.5
"""Length of a finite-difference step: how far it moves the actions of a trajectory, in units of their noise."""
LONGEST_STEP = 0.1
"""In units of the parameters."""
PERTURBATION = 0.01
"""Standard deviation of each parameter's perturbation where returns may jump or are only known in float32; length of a
finite-difference step without action noise."""
NUDGE = 1e-5
"""How far actions are moved to see a derivative, in units of their noise."""


def reverse_mode(
    simulator: Simulator, stream: Stream, batches: int, samples: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Derivative of each batch's mean return by the parameters, shared or its own: (batches, P), float64."""
    results = []
    everyone = simulator.parameters.to(dtype).expand(batches, -1)
    for part in _parts(batches, samples):
        noise = Noise(simulator.environment, stream, part, samples, dtype)
        parameters = everyone[part.start : part.stop].clone().requires_grad_()
        objective = replace_parameters(simulator, parameters).rollout(noise.rollout, differentiable=True)
        results.append(gradients(objective.returns.mean(1).sum(), (parameters,))[0].double())
    return torch.cat(results)


def score_function(
    simulator: Simulator, stream: Stream, batches: int, samples: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Score-function estimate with a leave-one-out mean per step as baseline: (batches, P), float64."""
    results = []
    for part in _parts(batches, samples):
        trajectories = simulator.rollout(Noise(simulator.environment, stream, part, samples, dtype).rollout)
        to_go = trajectories.rewards_to_go
        advantage = (to_go - to_go.mean(1, keepdim=True)) * samples / (samples - 1)
        results.append(pullback.mean_gradients(trajectories, advantage[..., None] * trajectories.score).double())
    return torch.cat(results)


def finite_differences(
    simulator: Simulator, stream: Stream, directions: Tensor, steps: Tensor, batches: int, samples: int
) -> Tensor:
    """Central differences of each batch's mean return along unit directions (K, P): (batches, K), float64.

    Each over a step of its own length to either side, (K,).
    """
    results = []
    for part in _parts(batches, samples):
        rollout_noise = Noise(simulator.environment, stream, part, samples, dtype=torch.float64).rollout
        columns = []
        for direction, step in zip(directions, steps, strict=True):
            plus, minus = (
                replace_parameters(simulator, simulator.parameters.double() + sign * step * direction)
                .returns(rollout_noise)
                .mean(1)
                for sign in (1, -1)
            )
            columns.append((plus - minus) / (2 * step))
        results.append(torch.stack(columns, -1))
    return torch.cat(results)


def mean_derivatives(
    simulator: Simulator, stream: Stream, directions: Tensor, steps: Tensor, batches: int, samples: int
) -> Tensor:
    """What `finite_differences` are if the derivative misses nothing: its mean along the same steps, (batches, K).

    By the same random numbers, at a random place of each step and its mirror image.
    """
    places = torch.from_numpy(stream.generator(0, "places").random((len(directions), batches, 1)))
    columns = []
    for direction, step, place in zip(directions, steps, places, strict=True):
        ends = (
            reverse_mode(
                replace_parameters(simulator, simulator.parameters.double() + sign * step * place * direction),
                stream,
                batches,
                samples,
                torch.float64,
            )
            for sign in (1, -1)
        )
        columns.append(sum(end @ direction for end in ends) / 2)
    return torch.stack(columns, -1)


def step_lengths(simulator: Simulator, stream: Stream, directions: Tensor) -> Tensor:
    """How far to go along each direction (K, P) so that the actions of a trajectory move by `STEP` of their noise."""
    if simulator.sigma == 0:
        return torch.full((len(directions),), PERTURBATION, dtype=torch.float64)
    lengths = [
        min(LONGEST_STEP, float(STEP * simulator.sigma / shift)) if shift > 0 else LONGEST_STEP
        for shift in action_shifts(simulator, stream, directions)
    ]
    return torch.tensor(lengths, dtype=torch.float64)


def action_shifts(simulator: Simulator, stream: Stream, directions: Tensor) -> list[Tensor]:
    """How far the actions of a trajectory move, all of them as one vector, per unit of each direction (K, P).

    In the root mean square over 64 trajectories, and to first order, with the observations held fixed.
    """
    noise = Noise(simulator.environment, stream, range(1), 64, torch.float64)
    seen = simulator.rollout(noise.rollout, keep_hidden=False).observations.unbind(-2)
    shifts = []
    for direction in directions:
        moved = [simulator.parameters.double() + side * 1e-4 * direction for side in (1, -1)]
        means = ([_center(simulator, each, observation, t) for t, observation in enumerate(seen)] for each in moved)
        squares = ((plus - minus).square().sum(-1).mean() for plus, minus in zip(*means, strict=True))
        shifts.append(sum(squares, torch.zeros(())) ** 0.5 / 2e-4)
    return shifts


def _center(simulator: Simulator, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
    """What moves an action: its mean and, times sigma, the logarithm of the policy's own standard deviation if any."""
    mean, log_std = simulator.policy.split(simulator.policy.output(parameters, observation, t))
    return mean if log_std is None else torch.cat([mean, simulator.sigma * log_std], -1)


def measure_valued(
    simulator: Simulator, stream: Stream, batches: int, samples: int, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Differences between rollouts that branch at one action, drawn uniformly: (batches, P), float64.

    Gaussian noise: `d E[R] / d mu = E[R(mu + sigma rho) - R(mu - sigma rho)] / (sigma sqrt(2 pi))` for each coordinate,
    with rho Rayleigh (Pflug 1989). Discrete actions: `d E[R] / d logit_k = pi_k / sigma (Q_k - sum_a pi_a Q_a)`.
    A standard deviation s of the policy's own: sigma s takes the place of sigma, and `d E[R] / d log s = E[R(mu + sigma
    s m)] - E[R]`, with m of the double-sided Maxwell density `m^2 phi(m)`.
    """
    environment, sigma = simulator.environment, simulator.sigma

    def returns(noise: Noise, place: Tensor, value: Tensor | float) -> Tensor:
        action = torch.where(place, value, noise.rollout.action)
        return simulator.returns(noise.rollout._replace(action=action))[..., None, None]

    results = []
    for part in _parts(batches, samples):
        noise = Noise(environment, stream, part, samples, dtype)
        trajectories = simulator.rollout(noise.rollout)
        chosen, entries = _branches(noise)
        if environment.discrete_actions:
            # infinite noise on one action makes it the choice
            units = torch.eye(environment.action_dim, dtype=torch.bool)
            values = torch.cat([returns(noise, chosen & unit, math.inf) for unit in units], -1)
            assert trajectories.choice_probabilities is not None
            probabilities = trajectories.choice_probabilities
            signal = probabilities / sigma * (values - (probabilities * values).sum(-1, keepdim=True))
        else:
            distance = _distance(noise)
            difference = returns(noise, chosen, distance) - returns(noise, chosen, -distance)
            signal = difference / (sigma * math.sqrt(2 * math.pi))
            if trajectories.stds is not None:
                maxwell = noise.draw("branch scale", (1, 3)).norm(dim=-1, keepdim=True)
                maxwell = maxwell * torch.where(noise.draw("branch side", (1, 1), "uniform") < 0.5, -1.0, 1.0)
                by_std = returns(noise, chosen, maxwell) - trajectories.returns[..., None, None]
                signal = torch.cat([chosen * signal / trajectories.stds, chosen * by_std], -1)
                results.append(pullback.mean_gradients(trajectories, entries * signal).double())
                continue
        results.append(pullback.mean_gradients(trajectories, entries * chosen * signal).double())
    return torch.cat(results)


def missed(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """What the return's derivative misses of it, (batches, P), float64: of mean 0 if that is nothing.

    The differences of `measure_valued`, less the mean derivative along the way from one branch to the other, by the
    same random numbers, at a random place and its mirror image. Smooth returns leave little of either. Without noise
    the branches part by `PERTURBATION`.
    """
    environment, scale = simulator.environment, simulator.sigma or PERTURBATION
    moved = simulator.with_sigma(scale)
    results = []
    for part in _parts(batches, samples):
        noise = Noise(environment, stream, part, samples, torch.float64)
        drawn = _drawn(simulator, noise)
        (chosen, entries), distance = _branches(noise), _distance(noise)
        place = distance * noise.draw("branch place", (1, 1), "uniform")
        signal = torch.zeros_like(distance)
        for side in (1, -1):
            end = drawn._replace(action=torch.where(chosen, side * distance, drawn.action))
            within = (side * place).requires_grad_()
            between = drawn._replace(action=torch.where(chosen, within, drawn.action))
            total = moved.rollout(between, differentiable=True, keep_hidden=False).returns.sum()
            (slope,) = gradients(total, (within,))
            signal = signal + side * moved.returns(end)[..., None, None] - distance * slope
        weight = entries / (scale * math.sqrt(2 * math.pi))
        results.append(_by_the_mean(moved.rollout(drawn), weight * chosen * signal))
    return torch.cat(results)


def mistaken(simulator: Simulator, stream: Stream, batches: int, samples: int) -> Tensor:
    """By how much derivatives are wrong where trajectories go, (batches, P), float64: of mean 0 if they are right.

    All actions of a trajectory are nudged at once, each up or down at random: the difference of the returns, less the
    derivative along it, times the signs, is what the derivative by every action lacks (Hutchinson 1989). It sees every
    step of a trajectory, where `missed` sees one, and jumps only where an action is that close to one.
    """
    environment, scale = simulator.environment, simulator.sigma or PERTURBATION
    moved = simulator.with_sigma(scale)
    results = []
    for part in _parts(batches, samples):
        noise = Noise(environment, stream, part, samples, torch.float64)
        drawn = _drawn(simulator, noise)
        signs = noise.draw("signs", (environment.horizon, environment.action_dim)).sign()
        nudge = torch.zeros(*signs.shape[:2], 1, 1, dtype=torch.float64, requires_grad=True)
        nudged = drawn._replace(action=drawn.action + nudge * signs)
        (slope,) = gradients(moved.rollout(nudged, differentiable=True, keep_hidden=False).returns.sum(), (nudge,))
        above, below = (moved.returns(drawn._replace(action=drawn.action + side * NUDGE * signs)) for side in (1, -1))
        signal = ((above - below)[..., None, None] / (2 * NUDGE) - slope) * signs / scale
        results.append(_by_the_mean(moved.rollout(drawn), signal))
    return torch.cat(results)


def _drawn(simulator: Simulator, noise: Noise) -> RolloutNoise:
    """The noise of trajectories that are moved from where the policy goes: without action noise, from its means."""
    drawn = noise.rollout
    return drawn if simulator.sigma > 0 else drawn._replace(action=torch.zeros_like(drawn.action))


def _by_the_mean(trajectories: Trajectories, signal: Tensor) -> Tensor:
    """Gradients of the batches, (batches, P), of a signal by the actions' means; a standard deviation has none."""
    if trajectories.stds is not None:
        signal = torch.cat([signal / trajectories.stds, torch.zeros_like(signal)], -1)
    return pullback.mean_gradients(trajectories, signal)


def _branches(noise: Noise) -> tuple[Tensor, int]:
    """Where each trajectory branches, (batches, samples, horizon, action_dim or 1), and how many places there are."""
    environment = noise.environment
    entries = environment.horizon * (1 if environment.discrete_actions else environment.action_dim)
    branch = (noise.draw("branch", (), "uniform") * entries).long().clamp_max(entries - 1)
    return torch.nn.functional.one_hot(branch, entries).unflatten(-1, (environment.horizon, -1)).bool(), entries


def _distance(noise: Noise) -> Tensor:
    """Rayleigh distances of branches, in units of the action noise: (batches, samples, 1, 1)."""
    return (2 * noise.draw("branch distance", (1, 1), "exponential")).sqrt()


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


def replace_parameters(simulator: Simulator, parameters: Tensor) -> Simulator:
    """The same with other parameters."""
    return Simulator(simulator.environment, simulator.policy, parameters, simulator.sigma)


def _parts(batches: int, samples: int) -> list[range]:
    """Batches grouped so that about `TRAJECTORIES_AT_ONCE` trajectories are simulated at a time."""
    step = max(1, TRAJECTORIES_AT_ONCE // samples)
    return [range(start, min(start + step, batches)) for start in range(0, batches, step)]
