"""Certified Monte Carlo: a reference gradient where no formula gives one.

The estimate is the derivative of the simulated mean return by the parameters themselves (torch's own reverse mode,
not the action-signal pull-back that the estimators under test use), or the score function with a per-step mean
baseline where that is more precise. Where the return jumps, or is found to, and where steps cannot be differentiated,
it is the score function or the measure-valued derivative. All others are witnesses: the estimate is certified if none
of them disagrees, if its standard error is within the stated budget, and if they would have noticed a bias of half the
gradient's length (`witnesses`).

The sharpest witness against a derivative that is blind to jumps is a difference of returns over a step that moves the
actions by a good part of their noise: it crosses the jumps. It is no derivative, but the mean of the derivatives along
the step, and is compared with that. It is taken along the estimate, and along that direction in which the score
function or the measure-valued derivative differs most from it.

Without action noise there is no score function. Where steps cannot be differentiated either, differences between
perturbed parameters are all there is, nothing tells whether they are right, and the reference stays uncertified.

Each estimate uses random numbers of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scorepath import pullback
from scorepath.noise import Noise, Stream
from scorepath.references.jumps import draw_lines, find_jump, refutation
from scorepath.references.witnesses import POWER, ROUNDING, Witness, along_a_guess, witness
from scorepath.rollout import Simulator

TRAJECTORIES_AT_ONCE = 4096
"""Trajectories simulated at a time."""
UNNOTICED = 0.5
"""Largest bias, as a fraction of the gradient's length, that may go unnoticed by the witnesses of a certificate."""
STEP = 0.5
"""Length of a finite-difference step: how far it moves the actions of a trajectory, in units of their noise."""
LONGEST_STEP = 0.1
"""In units of the parameters."""
LINES = 24
"""Straight lines of action noise on which a jump is searched for."""
A_LITTLE = 0.1
"""Action noise on them where the policy has none."""
PERTURBATION = 0.01
"""Standard deviation of each parameter's perturbation where returns may jump or are only known in float32; length of a
finite-difference step without action noise."""


@dataclass(frozen=True)
class MonteCarloReference:
    """A reference gradient as independent batches.

    | field | meaning |
    |---|---|
    | gradients | one unbiased estimate per batch, (batches, P), float64 |
    | standard_error | root of the trace of the covariance of their mean |
    | certified | whether others agree with it and its error is within the budget |
    | certified_by | what agreed with it, or why it is not certified |
    | noticeable | smallest bias, by the gradient's length, that a witness would have noticed at the power 0.95 |
    | finding | what refutes a declared continuity, if anything was found to |
    """

    gradients: Tensor
    standard_error: float
    certified: bool
    certified_by: str
    noticeable: float = math.nan
    finding: str = ""


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
        results.append(torch.autograd.grad(objective.returns.mean(1).sum(), parameters)[0].double())
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
    environment, policy, sigma = simulator.environment, simulator.policy, simulator.sigma
    if sigma == 0:
        return torch.full((len(directions),), PERTURBATION, dtype=torch.float64)
    noise = Noise(environment, stream, range(1), 64, torch.float64)
    seen = simulator.rollout(noise.rollout, keep_hidden=False).observations.unbind(-2)
    lengths = []
    for direction in directions:
        moved = [simulator.parameters.double() + side * 1e-4 * direction for side in (1, -1)]
        means = ([policy.mean(each, observation, t) for t, observation in enumerate(seen)] for each in moved)
        shift = sum((plus - minus).square().sum(-1).mean() for plus, minus in zip(*means, strict=True)) ** 0.5 / 2e-4
        lengths.append(min(LONGEST_STEP, float(STEP * sigma / shift)) if shift > 0 else LONGEST_STEP)
    return torch.tensor(lengths, dtype=torch.float64)


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
    environment, sigma = simulator.environment, simulator.sigma
    per_batch = max(2, samples // batches)
    has_score = sigma > 0 and not environment.moving_support

    def own(purpose: str) -> Stream:
        return Stream(stream.seed, stream.environment, f"{stream.purpose}/{purpose}")

    finding = found_jump(simulator, own("lines"))
    if environment.differentiable and environment.continuous and not finding:
        gradients, witnesses = _differentiated(simulator, own, batches, per_batch, has_score)
    elif has_score:
        gradients, witnesses = _without_derivatives(simulator, own, batches, per_batch)
    else:
        gradients, witnesses = random_differences(simulator, own("differences"), batches, max(1, per_batch // 2)), []
    variance = gradients.var(0).sum() / batches
    standard_error = variance.sqrt().item()
    norm = (gradients.mean(0).square().sum() - variance).clamp_min(0).sqrt().item()
    certified, why = _verdict(witnesses, standard_error, norm, error_budget)
    noticeable = min((each.noticeable for each in witnesses), default=math.nan)
    relative = noticeable / norm if norm > 0 else 0.0 if noticeable == 0 else math.inf
    return MonteCarloReference(gradients, standard_error, certified, why, relative, finding)


def found_jump(simulator: Simulator, stream: Stream) -> str:
    """What refutes a declared continuity at this policy and noise level; empty where nothing was found to."""
    environment = simulator.environment
    if not environment.continuous or environment.discrete_actions:
        return ""
    generator = torch.Generator().manual_seed(int(stream.generator(0, "lines").integers(2**62)))
    scales = torch.full((LINES,), simulator.sigma or A_LITTLE, dtype=torch.float64)
    lines = draw_lines(environment, simulator.parameters.double().expand(LINES, -1), scales, generator)
    jump = find_jump(environment, simulator.policy, lines)
    return "" if jump is None else refutation(environment, jump)


def _differentiated(
    simulator: Simulator, own: Callable[[str], Stream], batches: int, per_batch: int, has_score: bool
) -> tuple[Tensor, list[Witness]]:
    """An estimate where the return is continuous and can be differentiated, and the witnesses for it."""
    sigma = simulator.sigma
    precision = torch.float32 if sigma > 0 else torch.float64  # without noise rounding is all that differs
    gradients = reverse_mode(simulator, own("reverse mode"), batches, per_batch, precision)
    size = gradients.square().sum(-1).mean().sqrt().item()
    others = {}
    if has_score:
        few = max(2, per_batch // 4)
        scores = score_function(simulator, own("score"), batches, few)
        if few * scores.var(0).sum() < per_batch * gradients.var(0).sum():
            # an unstable or chaotic loop, where derivatives are the noisier ones
            scores = score_function(simulator, own("score"), batches, per_batch)
            others["reverse mode"], gradients = gradients, scores
        else:
            others["score function"] = scores
        if not simulator.environment.discrete_actions:
            branches = measure_valued(simulator, own("branches"), batches, max(1, per_batch // 12))
            others["measure-valued derivative"] = branches
    errors = {name: other - gradients for name, other in others.items()}
    witnesses = [witness(name, each, ROUNDING[torch.float32] * size) for name, each in errors.items()]
    if "reverse mode" in others:
        return gradients, witnesses
    # along the estimate, and where the most precise of the others sees a bias
    guess = min(errors.values(), key=lambda each: each.var(0).sum().nan_to_num(math.inf).item(), default=None)
    draw = own("directions").generator(0, "directions").standard_normal(gradients.shape[1])
    second = torch.from_numpy(draw) if guess is None else guess.mean(0)
    directions = torch.stack([gradients.mean(0), second])
    directions = torch.nn.functional.normalize(directions, dim=-1, eps=0.0).nan_to_num(0.0)
    steps = step_lengths(simulator, own("steps"), directions)
    arguments = simulator, own("differences"), directions, steps, batches, max(2, per_batch // 24)
    differences, derivatives = finite_differences(*arguments), mean_derivatives(*arguments)
    returns = simulator.returns(Noise(simulator.environment, own("steps"), range(1), 64).rollout).abs().mean().item()
    floor = ROUNDING[torch.float64] * size + 1e-14 * returns / steps.min().item()
    found = witness("finite differences", differences - derivatives, floor)
    if guess is not None:
        error = (guess.var(0).sum() / batches).sqrt().item()
        found = replace(found, noticeable=along_a_guess(found.noticeable, error))
    return gradients, [*witnesses, found]


def _without_derivatives(
    simulator: Simulator, own: Callable[[str], Stream], batches: int, per_batch: int
) -> tuple[Tensor, list[Witness]]:
    """An estimate that needs no derivative of the return, and the witness for it."""
    environment = simulator.environment
    # as many environment steps for both
    rollouts = 1 + (environment.action_dim if environment.discrete_actions else 2)
    scores = score_function(simulator, own("score"), batches, per_batch)
    branches = measure_valued(simulator, own("branches"), batches, max(1, per_batch // rollouts))
    if scores.var(0).sum() < branches.var(0).sum():
        return scores, [witness("measure-valued derivative", branches - scores)]
    return branches, [witness("score function", scores - branches)]


def _verdict(witnesses: Sequence[Witness], standard_error: float, norm: float, error_budget: float) -> tuple[bool, str]:
    """Whether an estimate is certified, and the reason in words."""
    if not witnesses:
        return False, "not certified: no second estimate exists to compare it with"
    if against := " and ".join(str(each) for each in witnesses if not each.agrees):
        return False, f"not certified: disagrees with {against}"
    names = " and ".join(map(str, witnesses))
    if not standard_error <= error_budget * norm:
        return False, f"not certified: its error exceeds {error_budget:g} of its length; agrees with {names}"
    noticeable = min(each.noticeable for each in witnesses)
    share = f"{100 * noticeable / norm:.2g} %" if norm > 0 else "0 %"
    if not noticeable <= UNNOTICED * norm:
        return False, f"not certified: a bias below {share} of the gradient would go unnoticed; agrees with {names}"
    return True, f"agrees with {names}; a bias of {share} would show with probability {POWER:g}"


def replace_parameters(simulator: Simulator, parameters: Tensor) -> Simulator:
    """The same with other parameters."""
    return Simulator(simulator.environment, simulator.policy, parameters, simulator.sigma)


def _parts(batches: int, samples: int) -> list[range]:
    """Batches grouped so that about `TRAJECTORIES_AT_ONCE` trajectories are simulated at a time."""
    step = max(1, TRAJECTORIES_AT_ONCE // samples)
    return [range(start, min(start + step, batches)) for start in range(0, batches, step)]
