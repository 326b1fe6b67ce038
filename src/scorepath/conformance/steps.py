"""What every environment's single steps must be: pure, batched, finite, differentiable where it says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from scorepath.conformance.backwards import breaking_operations
from scorepath.conformance.points import (
    LARGE,
    NEARLY_ALL,
    ROUNDING,
    TAKES,
    Points,
    agree,
    draw_points,
    outputs,
    random_states,
    reachable_points,
    same,
)
from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment, SequentialEnvironment

DIFFERENCE = 1e-6
"""Step of central differences, in units of state and action."""
SCALES = (DIFFERENCE, 1e-5, 1e-4, 1e-3)
"""Those that Jacobians of another system are held against: it may compute in single precision."""


def purity(environment: Environment) -> Iterator[str]:
    """Inputs stay as they are, equal inputs give equal outputs, and no other random numbers are drawn."""
    points = reachable_points(environment)
    for method, names in TAKES.items():
        given = {name: points[name].clone() for name in names}
        generators = random_states()
        first = outputs(environment, method, given)
        first = {what: value.clone() for what, value in first.items()}
        for name in names:
            if not same(given[name], points[name]):
                yield f"{method}() changed its input `{name}` in place: return new tensors instead"
        second = outputs(environment, method, {name: points[name].clone() for name in names})
        if random_states() != generators or not all(same(first[what], second[what]) for what in first):
            yield (
                f"{method}() draws random numbers of its own: use the standard normals it is given, and declare how "
                "many in initial_noise_dim or process_noise_dim"
            )


def rows_are_independent(environment: Environment) -> Iterator[str]:
    """A row's results do not depend on its neighbours, nor on its place among them."""
    points = reachable_points(environment)
    rows = len(points["action"])
    mirrored = torch.arange(rows - 1, -1, -1)
    for method in TAKES:
        together = outputs(environment, method, points)
        for order in (torch.arange((rows + 1) // 2), mirrored):
            others = outputs(environment, method, {name: value[order] for name, value in points.items()})
            for what, value in others.items():
                if not agree(value, together[what][order], ROUNDING).all():
                    yield (
                        f"{what} changes for one row of a batch when the other rows do: let every row depend on itself "
                        "alone (sums and means only over the last dimension)"
                    )
                    break


def finiteness(environment: Environment) -> Iterator[str]:
    """No nan and no infinity, whether actions are moderate or large."""
    for size, scale in (("moderate", 1.0), ("large", LARGE)):
        points = reachable_points(environment, scale)
        for method in TAKES:
            for what, value in outputs(environment, method, points).items():
                if not value.isfinite().all():
                    share = (~value.isfinite()).double().mean().item()
                    yield f"{what} is not finite at {share:.0%} of the points tried, with {size} actions"


def precision(environment: Environment) -> Iterator[str]:
    """Single precision gives what double precision gives, but for rounding."""
    points = {name: value.float() for name, value in reachable_points(environment).items()}
    for method in TAKES:
        double = outputs(environment, method, {name: value.double() for name, value in points.items()})
        for what, value in outputs(environment, method, points).items():
            exact = double[what]
            scale = _largest(exact)
            if agree(value, exact, 1e-3, 1e-4 * scale).double().mean() < NEARLY_ALL:
                yield f"{what} differs between float32 and float64 by more than rounding: compute in the inputs' dtype"


def process_noise(environment: Environment) -> Iterator[str]:
    """Declared noise has an effect: on the next state or the reward."""
    if environment.process_noise_dim and not _has_noise(environment):
        yield "process_noise_dim is positive, but step() does not use its process noise: use it, or declare 0"
    if isinstance(environment, SequentialEnvironment) and environment.process_noise == 0:
        noisy = dataclasses.replace(environment, process_noise=0.1)
        if not noisy.process_noise_dim:
            yield "the knob process_noise does nothing: declare process_noise_dim for process_noise > 0, and use it"
        elif not _has_noise(noisy):
            yield "the knob process_noise does nothing: add process_noise times the noise given to step()"


def _has_noise(environment: Environment) -> bool:
    points = reachable_points(environment)
    moved = {**points, "process noise": 1 - points["process noise"]}
    one, two = outputs(environment, "step", points), outputs(environment, "step", moved)
    return not all(torch.equal(one[what], two[what]) for what in one)


def terminal_rewards(environment: Environment) -> Iterator[str]:
    """`terminal_reward_only` means that no step pays."""
    if environment.terminal_reward_only:
        _, reward = environment.step(*(reachable_points(environment)[name] for name in TAKES["step"]))
        if (reward != 0).any():
            yield "terminal_reward_only is declared, but step() pays rewards: declare it False"


def early_ends(environment: Environment) -> Iterator[str]:
    """An episode that has ended stays so, and pays nothing more."""
    points = draw_points(environment, 64)
    if environment.active(points["state"]) is None:
        return
    state = points["state"]
    for t in range(environment.horizon):
        points = draw_points(environment, 64, seed=t)
        going = environment.active(state)
        state, reward = environment.step(state, points["action"], points["process noise"])
        after = environment.active(state)
        if going is None or after is None:
            yield "active() must always return a tensor, or always None"
            return
        if (after & ~going).any():
            yield "active() is True again after an episode's end: let the state stay in the end"
            return
        if (reward[~going] != 0).any():
            yield "step() pays a reward after an episode's end, where active() is False: it must be 0"
            return


def derivatives(environment: Environment) -> Iterator[str]:
    """The derivatives of the steps, torch's or their own, are central differences along random directions."""
    inputs: tuple[str, ...] = ("state", "action") if environment.differentiable else ()
    if environment.discrete_actions:
        inputs = ("action",) if environment.relaxed_actions else inputs[:1]
    points, generator = reachable_points(environment), torch.Generator().manual_seed(9)

    def like(value: Tensor) -> Tensor:
        return torch.randn(value.shape, generator=generator, dtype=value.dtype)

    if environment.discrete_actions:
        points["action"] = torch.softmax(like(points["action"]), -1)
    elif environment.differentiable:
        # states may lie exactly on a kink, such as a clipped speed; next to it they do not
        points["state"] = points["state"] + 1e-3 * like(points["state"])
    for method in ("step", "observe", "terminal_reward"):
        own = environment.brings_jacobians and method == "step"
        scales = SCALES if own else (DIFFERENCE,)
        for name in (name for name in inputs if name in TAKES[method]):
            leaf, direction = points[name].clone().requires_grad_(), like(points[name])
            values = outputs(environment, method, {**points, name: leaf}, differentiable=True)
            ends = [
                [
                    outputs(environment, method, {**points, name: points[name] + side * scale * direction})
                    for side in (1, -1)
                ]
                for scale in scales
            ]
            for what, value in values.items():
                weights = like(value)
                (found,) = gradients((weights * value).sum(), (leaf,), keep=True)
                if broken := int((~found.isfinite()).any(-1).sum()):
                    whose, advice = "the derivative by step_jacobians()", "correct step_jacobians()"
                    if not own:
                        whose = "torch's derivative"
                        objective = partial(_weighted, environment, method, points, name, what, weights)
                        advice = breaking_operations(environment, objective)
                    yield (
                        f"{whose} of {what} by the {name} is nan or infinite at {broken} of {len(found)} points: "
                        f"{advice}"
                    )
                    continue
                slope = (found * direction).sum(-1)
                agreement = [
                    _is_slope(slope, weights, plus[what], minus[what], scale)
                    for (plus, minus), scale in zip(ends, scales, strict=True)
                ]
                agrees = max(agreement, key=lambda each: each.sum().item())
                if agrees.double().mean() < NEARLY_ALL:
                    wrong = int((~agrees).sum())
                    cut = "" if found.any() else " (it is 0 everywhere: is something detached?)"
                    whose, how = "torch's derivative", "central differences"
                    advice = "compute in torch throughout, or declare differentiable = False"
                    if own:
                        whose, advice = "the derivative by step_jacobians()", "correct step_jacobians()"
                        how += f" of every size from {scales[0]:g} to {scales[-1]:g}"
                    yield (
                        f"{whose} of {what} by the {name} differs from {how} at {wrong} of {len(agrees)} "
                        f"points{cut}: {advice}"
                    )


def _weighted(
    environment: Environment, method: str, points: Points, name: str, what: str, weights: Tensor
) -> tuple[Tensor, tuple[Tensor]]:
    """The weighted sum of a result, and the input that it is differentiated by."""
    leaf = points[name].clone().requires_grad_()
    values = outputs(environment, method, {**points, name: leaf}, differentiable=True)
    return (weights * values[what]).sum(), (leaf,)


def _is_slope(slope: Tensor, weights: Tensor, plus: Tensor, minus: Tensor, scale: float) -> Tensor:
    """Whether a slope is the weighted values' central difference, in each row: (rows,) of bool."""
    difference = weights * (plus - minus) / (2 * scale)
    expected = difference.reshape(len(difference), -1).sum(-1)
    size = max(map(_largest, (plus, minus)))  # of what is rounded before it is divided
    return agree(slope, expected, 1e-4, 1e-5 * _largest(expected) + 1e-7 * size)


def _largest(values: Tensor) -> float:
    """The largest size of those that are finite; `finiteness` speaks of the others."""
    return torch.where(values.isfinite(), values, 0.0).double().abs().max().item() if values.numel() else 0.0


def devices(environment: Environment) -> Iterator[str]:
    """A CUDA device, where there is one, gives the same numbers."""
    if not torch.cuda.is_available():
        return
    points = reachable_points(environment)
    for method in TAKES:
        here = outputs(environment, method, points)
        for what, value in outputs(environment, method, {name: v.cuda() for name, v in points.items()}).items():
            if not value.is_cuda:
                yield f"{what} is on {value.device} where its inputs are on a CUDA device: create tensors on theirs"
            elif agree(value.cpu(), here[what], 1e-7).double().mean() < NEARLY_ALL:
                yield f"{what} differs on a CUDA device"
