"""What every estimator must be: a function of the noise it is given, the same for every batch, and as it declares.

Equalities are exact but for rounding and hold for a few small problems of different kinds; expectations are compared
with exact gradients in `check_expectations`. All draws have fixed seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from scorepath import registry
from scorepath.conformance.findings import Check, knobs
from scorepath.conformance.points import ROUNDING, random_states
from scorepath.conformance.problems import (
    PROBLEMS,
    SIZE,
    Problem,
    altered,
    counted,
    differ,
    earlier,
    gradients,
    rearranged,
    run,
)
from scorepath.environments.base import Environment
from scorepath.estimators.base import ActionSignalEstimator, Estimator
from scorepath.rollout import Trajectories

FAMILIES = ("score_function", "pathwise", "measure_valued", "parameter_space", "mixture")


# --- running an estimator ---------------------------------------------------------------------------------------------


# --- declarations -----------------------------------------------------------------------------------------------------


def declarations(estimator: Estimator) -> Iterator[str]:
    """What a report needs to know is there, and names name something."""
    for name in ("source", "bias"):
        text = getattr(estimator, name, None)
        if not isinstance(text, str) or not text.strip():
            yield f"{name} must be declared: {'author and year' if name == 'source' else 'when it is unbiased'}"
    if getattr(estimator, "family", None) not in FAMILIES:
        yield f"family must be one of {', '.join(FAMILIES)}, got {getattr(estimator, 'family', None)!r}"
    for name in vars(Estimator):
        declared = name.startswith("needs_") or name in ("couples_samples", "leaves_one_out")
        if declared and not isinstance(getattr(estimator, name), bool):
            yield f"{name} must be True or False, got {getattr(estimator, name)!r}"
    known = registry.names(registry.ESTIMATORS)
    for name in estimator.mixes:
        if name not in known:
            yield f"mixes names {name!r}, which is no estimator; choose among {', '.join(known)}"
    yield from knobs(estimator)


def applicability(estimator: Estimator, problems: Sequence[Problem]) -> Iterator[str]:
    """Where it does not apply there is a reason, and the declared needs are among the reasons."""
    applies = False
    known = registry.names(registry.ESTIMATORS)
    for problem in problems:
        environment = problem.environment
        for sigma in (problem.sigma, 0.0):
            reason = estimator.not_applicable(environment, sigma)
            applies = applies or reason is None
            inherited = Estimator.not_applicable(estimator, environment, sigma)
            if reason is None and inherited:
                yield (
                    f"not_applicable() is None in {problem.name} at sigma = {sigma:g}, but its declared needs say: "
                    f"{inherited}; drop the need, or add your reasons to super().not_applicable()"
                )
                return
            if reason is not None and (not isinstance(reason, str) or not reason.strip()):
                yield f"not_applicable() must return a reason in words or None, got {reason!r}"
                return
            twin = estimator.identical_to(environment, sigma)
            if twin is not None and twin not in known:
                yield f"identical_to() names {twin!r}, which is no estimator; choose among {', '.join(known)}"
                return
        if not isinstance(estimator.unbiased(environment), bool):
            yield f"unbiased() must return True or False, got {estimator.unbiased(environment)!r}"
            return
    if not applies:
        yield "not_applicable() leaves none of the problems that estimators are checked on"


# --- equalities -------------------------------------------------------------------------------------------------------


def shapes(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Chunks of (batches, samples, P), finite, in the noise's dtype, without a graph."""
    for dtype in (torch.float64, torch.float32):
        noise = problem.noise(dtype=dtype)
        past = earlier(estimator, problem.simulator, noise)
        if isinstance(estimator, ActionSignalEstimator):
            signal: Any = estimator.signal
            returned = signal(problem.simulator, noise, past)
            if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[0], Trajectories)):
                yield "signal() must return two things: the trajectories and the action signal on them"
                return
            expected, shape = tuple(returned[0].actions.shape), getattr(returned[1], "shape", None)
            if shape != expected:
                yield (
                    f"signal() returns a signal of shape {shape and tuple(shape)} where actions have shape {expected}: "
                    "it must have the same (batches, samples, horizon, action_dim)"
                )
                return
        chunks = list(estimator.gradients(problem.simulator, noise, past))
        count = problem.policy.parameter_count
        for chunk in chunks:
            if chunk.dim() != 3 or chunk.shape[1:] != (SIZE, count):
                yield (
                    f"gradients() yields a chunk of shape {tuple(chunk.shape)} for batches of {SIZE} samples and "
                    f"{count} parameters: it must be (some batches, {SIZE}, {count})"
                )
                return
            if chunk.dtype != dtype:
                yield f"gradients() yields {chunk.dtype} where the noise is {dtype}: it must be the same"
                return
            if chunk.requires_grad:
                yield "gradients() yields tensors with a graph: detach them"
                return
            if not chunk.isfinite().all():
                share = (~chunk.isfinite()).double().mean().item()
                yield f"gradients() yields nan or infinity in {share:.0%} of the entries"
                return
        if sum(map(len, chunks)) != 3:
            yield f"gradients() yields {sum(map(len, chunks))} batches where the noise has 3: it must be one for each"
            return


def purity(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Equal noise gives equal numbers, nothing else is drawn, and nothing given is changed."""
    simulator, noise = problem.simulator, problem.noise()
    past = earlier(estimator, simulator, noise)
    given = [simulator.parameters, *noise.rollout, *((past.rewards, past.observations) if past else ())]
    before = [tensor.clone() for tensor in given]
    generators = random_states()
    first = gradients(estimator, simulator, noise, past)
    moved = random_states() != generators
    if not all(torch.equal(one, two) for one, two in zip(before, given, strict=True)):
        yield "gradients() changes the parameters, the noise or the past it is given in place: make new tensors"
        return
    if moved or not torch.equal(first, gradients(estimator, simulator, noise, past)):
        yield "gradients() draws random numbers of its own: use noise.rollout, noise.draw and noise.independent"


def means(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """What training uses is what is measured."""
    for simulator in (problem.simulator, problem.population(3)):
        noise = problem.noise()
        past = earlier(estimator, simulator, noise)
        estimate, trajectories = estimator.estimate(simulator, noise, past)
        if differ(estimate, gradients(estimator, simulator, noise, past).mean(1)):
            yield "estimate() is not the mean of gradients() over the samples of each batch"
            return
        if trajectories is not None and trajectories.rewards.requires_grad:
            yield "estimate() returns trajectories with a graph: return trajectories.detach()"
            return


def noiseless(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Without action noise it exists where it says so."""
    if not estimator.not_applicable(problem.environment, 0.0):
        found = run(estimator, problem.simulator.with_sigma(0.0), problem.noise())
        if not found.isfinite().all():
            yield "it is said to work at sigma = 0, but gives nan or infinity: declare needs_noise = True"


def batches_are_independent(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """A batch's gradients do not depend on the other batches, nor on its place among them."""
    noise = problem.noise()
    together = run(estimator, problem.simulator, noise)
    for order in ([1], [2, 0, 1]):
        others = run(estimator, problem.simulator, replace(noise, replicates=order))
        if differ(others, together[order]):
            yield (
                "a batch's gradients change when the other batches do: let each batch use its own noise alone (means "
                "over dimension 1, never over dimension 0)"
            )
            return


def samples_are_independent(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Unless it is declared, a sample's gradient does not depend on its batch-mates, nor on its place among them."""
    if estimator.couples_samples:
        return
    noise, order = problem.noise(), (3, 0, 3, 5, 1, 3, 7, 2)
    past = earlier(estimator, problem.simulator, noise)
    found, expected = (
        gradients(estimator, problem.simulator, each, past) for each in (rearranged(noise, order), noise)
    )
    if differ(found, expected[:, list(order)]):
        yield (
            "a sample's gradient changes when its batch-mates do: declare couples_samples = True, or let it depend on "
            "its own noise alone"
        )


def samples_leave_each_other_out(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Where it is declared, a sample's gradient is the mean of what it is beside each of the others alone."""
    if not estimator.leaves_one_out:
        return
    if not estimator.couples_samples:
        yield "leaves_one_out = True needs couples_samples = True"
        return
    noise = problem.noise()
    past = earlier(estimator, problem.simulator, noise)
    beside = [
        gradients(estimator, problem.simulator, replace(rearranged(noise, (0, other)), samples=2), past)[:, 0]
        for other in range(1, SIZE)
    ]
    if differ(gradients(estimator, problem.simulator, noise, past)[:, 0], torch.stack(beside).mean(0)):
        yield (
            "a sample's gradient is not the mean of what it is beside each of its batch-mates alone: declare "
            "leaves_one_out = False"
        )


def populations(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """One policy per batch: each gets what it would get alone."""
    simulator, noise = problem.population(3), problem.noise()
    together = run(estimator, simulator, noise)
    for batch in range(3):
        alone = run(
            estimator, replace(simulator, parameters=simulator.parameters[batch]), noise.select(slice(batch, batch + 1))
        )
        if differ(alone[0], together[batch]):
            yield "with one policy per batch, parameters of shape (batches, P), a batch gets another policy's numbers"
            return


def precision(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Single precision gives what double precision gives, but for rounding."""
    double, single = (run(estimator, problem.simulator, problem.noise(dtype=d)) for d in (torch.float64, torch.float32))
    if differ(single, double, 1e-3):
        yield "float32 and float64 give different gradients: look for differences of nearly equal numbers"


def twins(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """`identical_to` means the very same numbers."""
    for sigma in (problem.sigma, 0.0):
        twin = estimator.identical_to(problem.environment, sigma)
        if twin is None or estimator.not_applicable(problem.environment, sigma):
            continue
        other = registry.load(registry.ESTIMATORS, twin)()
        simulator, noise = problem.simulator.with_sigma(sigma), problem.noise()
        if other.not_applicable(problem.environment, sigma) or differ(
            run(estimator, simulator, noise), run(other, simulator, noise)
        ):
            yield f"identical_to() names {twin!r} at sigma = {sigma:g}, which gives other numbers here"
            return


def the_past(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """Earlier trajectories are used by those who ask for them alone, and training can start without any."""
    simulator, noise = problem.simulator, problem.noise()
    without = gradients(estimator, simulator, noise, None)
    if not without.isfinite().all():
        yield "gradients() is not finite when there are no earlier trajectories yet (past = None)"
    if not estimator.needs_past:
        past = simulator.rollout(noise.independent("past").rollout)
        if differ(gradients(estimator, simulator, noise, past), without):
            yield "gradients() depends on earlier trajectories: declare needs_past = True"


def needless_derivatives(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """What does not need differentiable dynamics works without."""
    if estimator.needs_differentiable_dynamics or estimator.needs_relaxed_actions:
        return
    kind = type(problem.environment)

    def step(self: Environment, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        next_state, reward = kind.step(self, *(tensor.detach() for tensor in inputs))
        return next_state.detach(), reward.detach()

    simulator, noise = problem.simulator, problem.noise()
    opaque = replace(simulator, environment=altered(problem.environment, step=step))
    advice = "declare needs_differentiable_dynamics = True"
    try:
        found = run(estimator, opaque, noise)
    except RuntimeError as error:
        if "grad" not in str(error):
            raise
        yield f"it differentiates the step: {advice}"
        return
    if differ(found, run(estimator, simulator, noise)):
        yield f"it gives other numbers where the step cannot be differentiated: {advice}"


def charges(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """It charges the environment steps that it simulates, except those that a restarted simulator would be spared.

    Branches are replayed from the start here, where a simulator could be restarted: a step from the same state with
    the same action and noise need not be charged again, nor the first trajectory's steps after its branches.
    """
    steps: list[Tensor] = []
    counting = counted(problem.environment, steps)
    noise = problem.noise()
    past = earlier(estimator, problem.simulator, noise)
    gradients(estimator, replace(problem.simulator, environment=counting), noise, past)
    simulated = sum(map(len, steps)) / (3 * SIZE)
    charged, horizon = estimator.environment_steps(problem.environment), problem.environment.horizon
    least = float(horizon)
    if horizon > 1 and not problem.environment.discrete_actions:  # the same state twice is then the same step
        distinct = len(torch.unique(torch.cat(steps).round(decimals=9), dim=0)) / (3 * SIZE)
        least = simulated if distinct == simulated else max(least, distinct - horizon)
    if not least * (1 - ROUNDING) <= charged <= simulated * (1 + ROUNDING):
        yield (
            f"environment_steps() charges {charged:g} steps per sample, but {simulated:g} are simulated, of which a "
            f"restarted simulator would need {least:g} at least"
        )


def devices(estimator: Estimator, problem: Problem) -> Iterator[str]:
    """A CUDA device, where there is one, gives the same numbers."""
    if torch.cuda.is_available():
        noise = problem.noise()
        found = run(estimator, problem.simulator, replace(noise, device="cuda"))
        if not found.is_cuda:
            yield "gradients() leaves the CUDA device that the noise is on: create tensors on the noise's device"
        elif differ(found.cpu(), run(estimator, problem.simulator, noise), 1e-7):
            yield "a CUDA device gives other numbers"


# --- expectations -----------------------------------------------------------------------------------------------------


# --- all checks -------------------------------------------------------------------------------------------------------


def quick_checks(problems: Sequence[Problem] = PROBLEMS) -> tuple[tuple[Check[Estimator], ...], ...]:
    """In this order; each group takes for granted what those before it found in order. About a second in all."""

    def everywhere(check: Callable[[Estimator, Problem], Iterator[str]]) -> Check[Estimator]:
        @wraps(check)
        def checked(estimator: Estimator) -> Iterator[str]:
            for problem in problems:
                if not estimator.not_applicable(problem.environment, problem.sigma):
                    for finding in check(estimator, problem):
                        yield f"{finding} (seen in {problem.name})"
                        return  # one place is enough

        return checked

    def applicable(estimator: Estimator) -> Iterator[str]:
        """Where it does not apply there is a reason, and the declared needs are among the reasons."""
        return applicability(estimator, problems)

    return (
        (declarations, applicable),
        (everywhere(shapes),),
        tuple(map(everywhere, (purity, means, noiseless))),
        tuple(
            map(
                everywhere,
                (
                    *(batches_are_independent, samples_are_independent, samples_leave_each_other_out),
                    *(populations, precision, twins),
                    *(the_past, needless_derivatives, charges, devices),
                ),
            )
        ),
    )
