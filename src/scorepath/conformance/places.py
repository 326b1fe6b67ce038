"""At which steps of a trajectory is a derivative wrong? Of the step alone, so that chaos over many steps is no excuse.

A return that amplifies its inputs beyond what float64 resolves differs from its differences at every scale, although
all derivatives are right; so does one that is stiff, at scales that are too large for it. A single step does neither:
where its derivative differs from central differences of every size, from rounding to the size of an action, it is not
the derivative of what the step computes. A place within reach of the smallest difference of a kink is the exception,
which is rare: so places count only where they explain most of the trajectories whose slope is off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.conformance.backwards import breaking_operations
from scorepath.conformance.points import Points, outputs
from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment

OFF = 0.02
"""A relative error that is none of rounding or of a difference's width; over many steps it adds up to more."""
EXPLAINED = 0.5
"""Share of the trajectories whose slope is off that have to hold a wrong step."""
NUDGE = 1e-3
"""States may lie exactly on a kink, such as a clipped speed; next to it they do not."""
FLOOR = 1e-6
"""Of the slopes' root mean square: below it nothing is told from rounding."""


class Fault(NamedTuple):
    """What is wrong with derivatives, where; and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class Slopes:
    """Of one output of the steps by one input, along random directions: (rows,) and (scales, rows)."""

    found: Tensor
    expected: Tensor

    @property
    def wrong(self) -> Tensor:
        """Whether a slope differs from the differences of every size, in each row; nowhere that none is finite."""
        known = self.expected.isfinite()
        square = torch.where(known, self.expected, 0.0).square().mean().sqrt()
        allowed = OFF * torch.maximum(self.found.abs(), self.expected.abs()) + FLOOR * square
        agrees = (self.found - self.expected).abs() <= allowed
        return known.any(0) & ~(agrees & known).any(0)


def wrong_steps(
    environment: Environment, actions: Tensor, initial: Tensor, process: Tensor, scales: tuple[float, ...]
) -> Fault | None:
    """What is wrong with the derivatives of single steps along these trajectories, or None.

    Args:
        environment: with derivatives and actions that are numbers.
        actions: of trajectories whose slopes are off, (steps, trajectories, action_dim) in float64.
        initial: their initial noise.
        process: their process noise.
        scales: half the differences' widths.
    """
    steps, count = actions.shape[:2]
    states = [environment.initial_state(initial)]
    for action, disturbance in zip(actions[:-1], process[:-1], strict=True):
        states.append(environment.step(states[-1], action, disturbance)[0])
    points = {
        name: torch.cat(list(value)).detach()
        for name, value in (("state", states), ("action", actions), ("process noise", process))
    }
    generator = torch.Generator().manual_seed(22)
    nudge = NUDGE * torch.randn(points["state"].shape, generator=generator, dtype=torch.float64)
    for name, moved in (("action", points), ("state", {**points, "state": points["state"] + nudge})):
        for what, slopes in _slopes(environment, moved, name, scales, generator).items():
            wrong = slopes.wrong.reshape(steps, count)
            if wrong.any(0).double().mean() >= EXPLAINED:
                return _fault(environment, moved, (name, what), slopes, wrong, scales)
    return None


def _slopes(
    environment: Environment, points: Points, name: str, scales: tuple[float, ...], generator: torch.Generator
) -> dict[str, Slopes]:
    """Of every output of the steps, its coordinates weighted at random, by one input."""
    direction = torch.randn(points[name].shape, generator=generator, dtype=torch.float64)
    differences: dict[str, list[Tensor]] = {}
    for scale in scales:
        plus, minus = (
            outputs(environment, "step", {**points, name: points[name] + side * scale * direction}) for side in (1, -1)
        )
        for what, value in plus.items():
            gap = (value - minus[what]) / (2 * scale)
            differences.setdefault(what, []).append(gap.detach().reshape(len(gap), -1))
    leaf = points[name].clone().requires_grad_()
    found = {}
    for what, value in outputs(environment, "step", {**points, name: leaf}, differentiable=True).items():
        expected = torch.stack(differences[what])
        # coordinates of a state have units of their own: each weighs the same
        size = torch.where(expected.isfinite(), expected, 0.0).square().mean((0, 1)).sqrt()
        weights = torch.randn(expected.shape[1:], generator=generator, dtype=torch.float64)
        weights = weights / torch.where(size > 0, size, 1.0)
        (slope,) = gradients((weights.reshape(value.shape) * value).sum(), (leaf,), keep=True)
        found[what] = Slopes((slope * direction).sum(-1), (weights * expected).sum(-1))
    return found


def _fault(
    environment: Environment,
    points: Points,
    names: tuple[str, str],
    slopes: Slopes,
    wrong: Tensor,
    scales: tuple[float, ...],
) -> Fault:
    """What is wrong by how much, where, and what to do."""
    name, what = names
    rows = wrong.flatten()
    place = int(rows.nonzero()[0])
    found, expected = slopes.found[place].item(), slopes.expected[:, place].nan_to_num(0.0).median().item()
    actions = points["action"][rows]
    where = f"at {int(rows.sum())} of {len(rows)} points tried"
    if actions.shape[1] == 1 and not rows.all():
        where += f", all with an action from {actions.min().item():.3g} to {actions.max().item():.3g}"
    shown = ", ".join(f"{each:.3g}" for each in points["action"][place].tolist()[:4])
    where += f" (the first: step {place // wrong.shape[1]}, action {shown})"
    whose, advice = "torch's derivative", "correct step_jacobians()"
    if environment.brings_jacobians:
        whose = "the derivative by step_jacobians()"
    elif math.isfinite(found):
        advice = "look for what is detached there, or computed outside torch, or declare differentiable = False"
    else:
        advice = breaking_operations(environment, partial(_total, environment, points, name, what))
    beside = _beside(found, expected).format(f"central differences of every size from {scales[0]:g} to {scales[-1]:g}")
    return Fault(f"{whose} of {what} by the {name} {beside}, {where}", advice)


def _beside(found: float, expected: float) -> str:
    """How a derivative compares with differences, for whose name there is a place."""
    if not math.isfinite(found):
        return "is nan or infinite, and {} are not"
    if abs(found) < 0.01 * abs(expected):
        return f"is {'' if found == 0 else 'next to '}0, and {{}} are not"
    if abs(expected) < 1e-6 * abs(found):
        return "is not 0, and {} are"
    return f"is {found / expected:.3g} times what {{}} give"


def _total(environment: Environment, points: Points, name: str, what: str) -> tuple[Tensor, tuple[Tensor]]:
    """The sum of an output, and the input that it is differentiated by."""
    leaf = points[name].clone().requires_grad_()
    return outputs(environment, "step", {**points, name: leaf}, differentiable=True)[what].sum(), (leaf,)
