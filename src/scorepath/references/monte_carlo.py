"""Certified Monte Carlo: a reference gradient where no formula gives one.

The estimate is the derivative of the simulated mean return by the parameters themselves (torch's own reverse mode,
not the action-signal pull-back that the estimators under test use), or the score function with a per-step mean
baseline or the measure-valued derivative, where a pilot says that these are much more precise. Where the return jumps,
or is found to, and where steps cannot be differentiated, it is one of the latter. All others are witnesses: the
estimate is certified if none of them disagrees, if its standard error is within the stated budget and can be measured
(it rests on eight batches at least, or an eighth of them), and if they would have noticed a bias of half the gradient's
length (`witnesses`).

An estimate of so many trajectories is made in single precision, and the sharpest witnesses are in double. What ties the
one to the other is a small batch of the same trajectories in both. Where the two differ by more than rounding, or might
by more than the estimate's own error, all of it is in double precision.

The sharpest witness against a derivative that is blind to jumps is a difference of returns between two branches of a
trajectory, less the mean derivative along the way from one to the other: both by the same random numbers, so that
smooth returns leave hardly anything, and in every direction of the parameters. Where much would still go unnoticed, the
same is done with a step of the parameters in that direction in which the most precise witness differs most from the
estimate, and in any case along the estimate. A branch is one step of a trajectory: a derivative that is wrong at a few
places, as after `detach`, would pass. So all actions of a trajectory are nudged as well, and a bias counts as noticed
if both would notice it.

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

from scorepath.noise import Noise, Stream
from scorepath.references import estimates
from scorepath.references.jumps import Jump, search
from scorepath.references.noise_lines import TRAJECTORIES
from scorepath.references.witnesses import POWER, ROUNDING, Witness, along_a_guess, witness
from scorepath.rollout import Simulator
from scorepath.tails import Tail, tail_of

Estimate = Callable[[Simulator, Stream, int, int, torch.dtype], Tensor]
"""A gradient of each batch, (batches, P), from so many batches of so many samples, in this precision."""
OVERFLOWS = "not certified: the return or its derivative is not finite there, even in float64"
UNNOTICED = 0.5
"""Largest bias, as a fraction of the gradient's length, that may go unnoticed by the witnesses of a certificate."""
DERIVATIVE = "reverse mode"
PREFERENCE = 2.0
"""How much more variance a derivative may have than other estimates, before these are the reference: a pilot's variance
is a rough one, and derivatives have the sharper witness."""
PILOT = 12
"""Part of the samples by which the most precise estimate is found."""
PAIRS = 96
"""Part of them that are simulated in both precisions."""
EXTENSION = 0.5
"""Trajectories that may be lacking for the error budget, as a part of those asked for, to be taken on top."""
BRANCHES = 24
"""Part of them that are compared with their derivatives where they branch ..."""
DIFFERENCES = 24
"""... and where the policy's parameters are moved."""
DERIVATIVES_OFF = 1e-6
"""Error granted to derivatives, as a part of the gradient: Jacobians may be differences themselves."""
LINES = 24
"""Straight lines of action noise on which a jump is searched for."""
A_LITTLE = 0.1
"""Action noise on them where the policy has none."""


@dataclass(frozen=True)
class MonteCarloReference:
    """A reference gradient as independent batches.

    | field | meaning |
    |---|---|
    | gradients | one unbiased estimate per batch, (batches, P), float64 |
    | standard_error | root of the trace of the covariance of their mean |
    | certified | whether others agree with it and its error is within the budget |
    | certified_by | what agreed with it, or why it is not certified |
    | estimated_by | `DERIVATIVE`, or the name of what the estimate is instead |
    | noticeable | smallest bias, by the gradient's length, that would have been noticed at the power 0.95 |
    | jump | of a return that is declared continuous, or a ramp that is one to the trajectories judged; None: none |
    """

    gradients: Tensor
    standard_error: float
    certified: bool
    certified_by: str
    estimated_by: str
    noticeable: float = math.nan
    jump: Jump | None = None


def certified_reference(
    simulator: Simulator,
    stream: Stream,
    samples: int,
    batches: int,
    error_budget: float,
    judged: int = TRAJECTORIES,
    jumps: bool = False,
) -> MonteCarloReference:
    """Estimate the gradient from `samples` trajectories in `batches` independent batches, and try to certify it.

    Args:
        simulator: any environment, its policy, one vector of parameters (P,) in float64, and the noise level.
        stream: where the random numbers come from; each estimate derives one of its own.
        samples: trajectories behind the estimate.
        batches: independent batches they are divided into.
        error_budget: largest standard error, as a fraction of the gradient's length, that can be certified.
        judged: trajectories of what it judges: a ramp that these do not meet is a jump.
        jumps: whether the return was found to jump at another policy: it is not searched here, and derivatives are out.
    """
    environment = simulator.environment
    per_batch = max(2, samples // batches)

    def own(purpose: str) -> Stream:
        return Stream(stream.seed, stream.environment, f"{stream.purpose}/{purpose}")

    jump = None if jumps else found_jump(simulator, own("lines"), judged)
    blind = jumps or not environment.differentiable or not environment.continuous or jump is not None
    witnesses: list[Witness] = []
    ties: list[Witness] = []
    estimated_by = "differences"
    if blind and not _has_score(simulator):
        gradients = estimates.random_differences(simulator, own("differences"), batches, max(1, per_batch // 2))
    else:
        # without noise rounding is all that differs
        precision = torch.float32 if simulator.sigma > 0 else torch.float64
        estimated_by, gradients, witnesses, ties = _estimated(
            simulator, own, batches, per_batch, blind, error_budget, precision
        )
    variance = gradients.var(0).sum() / batches
    standard_error = variance.sqrt().item()
    norm = (gradients.mean(0).square().sum() - variance).clamp_min(0).sqrt().item()
    noticeable = _noticeable(witnesses, ties)
    if witnesses:
        witnesses = [*witnesses, *ties]
    tail = tail_of((gradients - gradients.mean(0)).square().sum(-1))
    certified, why = _verdict(witnesses, noticeable, standard_error, norm, error_budget, tail)
    relative = noticeable / norm if norm > 0 else 0.0 if noticeable == 0 else math.inf
    return MonteCarloReference(gradients, standard_error, certified, why, estimated_by, relative, jump)


def _noticeable(witnesses: Sequence[Witness], ties: Sequence[Witness]) -> float:
    """The smallest bias that would have been noticed: by some witness, and by all that the estimate hangs on."""
    noticed = min((each.noticeable for each in witnesses), default=math.nan)
    return max([noticed, *(each.noticeable for each in ties)])


def _has_score(simulator: Simulator) -> bool:
    return simulator.sigma > 0 and not simulator.environment.moving_support


def found_jump(simulator: Simulator, stream: Stream, trajectories: int = TRAJECTORIES) -> Jump | None:
    """A jump that refutes a declared continuity, or a ramp that so many trajectories do not meet at this noise level.

    Without action noise no trajectory lies on the lines of the search: how many meet a ramp is then not known.
    """
    environment = simulator.environment
    if not environment.continuous or environment.discrete_actions:
        return None
    generator = torch.Generator().manual_seed(int(stream.generator(0, "lines").integers(2**62)))
    jump = search(simulator, simulator.sigma or A_LITTLE, LINES, generator, trajectories)
    return None if jump is not None and jump.share > 0 and simulator.sigma == 0 else jump


def _estimated(
    simulator: Simulator,
    own: Callable[[str], Stream],
    batches: int,
    per_batch: int,
    blind: bool,
    error_budget: float,
    precision: torch.dtype,
) -> tuple[str, Tensor, list[Witness], list[Witness]]:
    """The name of what has least variance for equally many trajectories, the estimate by it, its witnesses, and those
    of what it hangs on: single precision, and derivatives that are right wherever trajectories go.

    Derivatives are preferred, for there is a sharper witness for them; unless they would be `blind`. Where single
    precision does not do, all of it is in double. A witness disagrees only if it does in double precision: rewards may
    cancel in its differences.
    """
    methods: dict[str, tuple[Estimate, float]] = {}  # and the price of a sample
    if not blind:
        methods[DERIVATIVE] = estimates.reverse_mode, 1 / PREFERENCE
    if _has_score(simulator):
        environment = simulator.environment
        branches = environment.action_dim if environment.discrete_actions else 3 if simulator.policy.log_std else 2
        methods |= {
            "score function": (estimates.score_function, 1),
            "measure-valued derivative": (estimates.measure_valued, 1 + branches),
        }

    def estimate(name: str, purpose: str, samples: int, precision: torch.dtype = precision) -> Tensor:
        return methods[name][0](simulator, own(name + purpose), batches, samples, precision)

    def affordable(name: str, trajectories: int) -> int:
        return max(2, int(trajectories // max(1, methods[name][1])))

    def price(name: str) -> float:
        return (methods[name][1] * found[name].var(0).sum()).nan_to_num(math.inf).item()

    taken = {name: (", pilot", max(2, per_batch // PILOT)) for name in methods}
    found = {name: estimate(name, *taken[name]) for name in methods}
    best, *others = sorted(methods, key=price)
    ties = []
    if precision != torch.float64:
        rounding = _of_precision(methods[best][0], simulator, own(best + ", rounding"), batches, per_batch, precision)
        error = (found[best].var(0).sum() / (batches * PILOT)).sqrt().item()
        if not (rounding.agrees and rounding.noticeable <= error):
            return _estimated(simulator, own, batches, per_batch, blind, error_budget, torch.float64)
        ties.append(rounding)
    gradients = estimate(best, "", affordable(best, per_batch))
    lacking = (relative_error(gradients) / error_budget) ** 2 - 1
    if 0 < lacking <= EXTENSION:
        more = math.ceil(1.2 * lacking * per_batch)
        gradients = per_batch * gradients + more * estimate(best, ", more", affordable(best, more))
        gradients /= per_batch + more
    if best != DERIVATIVE and others:
        taken[others[0]] = "", affordable(others[0], per_batch)
        found[others[0]] = estimate(others[0], *taken[others[0]])
    floor = 0.0 if blind else ROUNDING[torch.float32] * _size(gradients)

    def beside(name: str) -> Witness:
        return replace(witness(name, found[name] - gradients, floor), trajectories=batches * taken[name][1])

    for name in others:
        if precision != torch.float64 and not beside(name).agrees:
            found[name] = estimate(name, *taken[name], torch.float64)
    witnesses = list(map(beside, others))
    if best == DERIVATIVE:
        guesses = [found[name] - gradients for name in others]
        sharp, nudges = _of_derivatives(simulator, own, gradients, guesses, per_batch)
        witnesses, ties = witnesses + sharp, ties + nudges
    return best, gradients, witnesses, ties


def _of_precision(
    method: Estimate, simulator: Simulator, stream: Stream, batches: int, per_batch: int, precision: torch.dtype
) -> Witness:
    """Witness for a precision: the same trajectories in double precision, a few of each batch."""
    rough, fine = (
        method(simulator, stream, batches, max(2, per_batch // PAIRS), each) for each in (precision, torch.float64)
    )
    return witness("double precision", rough - fine, ROUNDING[precision] * _size(fine))


def _size(gradients: Tensor) -> float:
    """Root mean square length of the batches' gradients, (batches, P)."""
    return gradients.square().sum(-1).mean().sqrt().item()


def _of_derivatives(
    simulator: Simulator, own: Callable[[str], Stream], gradients: Tensor, errors: list[Tensor], per_batch: int
) -> tuple[list[Witness], list[Witness]]:
    """Witnesses for derivatives: differences beside derivatives, by the same random numbers.

    Where trajectories branch; along the estimate; and, if that leaves much unnoticed, where the most precise of all
    `errors`, each (batches, P), sees a bias. On its own: where all actions of a trajectory are nudged.
    """
    environment, batches = simulator.environment, len(gradients)
    scale = simulator.sigma or estimates.PERTURBATION
    size = _size(gradients)
    returns = simulator.returns(Noise(environment, own("steps"), range(1), 64).rollout).abs().mean().item()
    found, nudges = [], []

    def floor(step: float) -> float:
        return ROUNDING[torch.float64] * size + 1e-14 * returns / step

    def along(direction: Tensor, name: str, purpose: str) -> Witness:
        unit = torch.nn.functional.normalize(direction, dim=-1, eps=0.0).nan_to_num(0.0)[None]
        steps = estimates.step_lengths(simulator, own("steps"), unit)
        few = max(2, per_batch // DIFFERENCES)
        arguments = simulator, own(purpose), unit, steps, batches, few
        difference = estimates.finite_differences(*arguments) - estimates.mean_derivatives(*arguments)
        return replace(witness(name, difference, floor(steps.item())), trajectories=batches * few)

    if not (environment.discrete_actions or environment.moving_support):
        few = max(2, per_batch // BRANCHES)
        errors = [*errors, estimates.missed(simulator, own("branches"), batches, few)]
        found.append(replace(witness("branches", errors[-1], floor(scale)), trajectories=batches * few))
        wrong = estimates.mistaken(simulator, own("nudges"), batches, few)
        nudged = witness("nudges of every action", wrong, floor(estimates.NUDGE * scale) + DERIVATIVES_OFF * size)
        nudges.append(replace(nudged, trajectories=batches * few))
    one = along(gradients.mean(0), "finite differences", "differences")
    # of several parameters it sees one direction only
    found.append(one if gradients.shape[1] == 1 else replace(one, noticeable=math.inf))
    if errors and min(each.noticeable for each in found) > UNNOTICED * gradients.mean(0).norm().item():
        guess = min(errors, key=lambda each: each.var(0).sum().nan_to_num(math.inf).item())
        error = (guess.var(0).sum() / batches).sqrt().item()
        other = along(guess.mean(0), "finite differences along another's distance", "differences, guessed")
        found.append(replace(other, noticeable=along_a_guess(other.noticeable, error)))
    return found, nudges


def relative_error(gradients: Tensor) -> float:
    """Standard error of the mean of independent batches, (batches, P), by its length; inf where that may be 0."""
    variance = gradients.var(0).sum() / len(gradients)
    square = gradients.mean(0).square().sum() - variance
    return (variance / square).sqrt().item() if square > 0 else math.inf


def _verdict(
    witnesses: Sequence[Witness], noticeable: float, standard_error: float, norm: float, error_budget: float, tail: Tail
) -> tuple[bool, str]:
    """Whether an estimate is certified, and the reason in words; `tail` is that of its batches' squared deviations."""
    if not math.isfinite(standard_error):
        return False, OVERFLOWS
    if not witnesses:
        return False, "not certified: no second estimate exists to compare it with"
    if against := " and ".join(str(each) for each in witnesses if not each.agrees):
        return False, f"not certified: disagrees with {against}"
    names = " and ".join(map(str, witnesses))
    if not standard_error <= error_budget * norm:
        return False, f"not certified: its error exceeds {error_budget:g} of its length; agrees with {names}"
    if tail.effective < tail.fewest:
        few = f"{tail.effective:.1f} of {tail.samples:.0f} batches"
        return False, f"not certified: its error rests on {few}; agrees with {names}"
    # that of a precision judges arithmetic, not which events were met
    sharpest = min((each for each in witnesses if each.trajectories), key=lambda each: each.noticeable)
    share = f"{100 * noticeable / norm:.2g} %" if norm > 0 else "0 %"
    if not noticeable <= UNNOTICED * norm:
        return False, f"not certified: a bias below {share} of the gradient would go unnoticed; agrees with {names}"
    return True, (
        f"agrees with {names}; a bias of {share} would show with probability {POWER:g}, if more than one trajectory in "
        f"{sharpest.rarest:,} makes it"
    )
