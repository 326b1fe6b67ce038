"""At what scale do a simulator's derivatives mean something? Its Jacobians, chained over the horizon, and differences.

A derivative is about a point, and an estimator about a neighbourhood as wide as its noise. Where contacts come and go
the two differ although every derivative is right. The audit holds the slope of the return along random directions
against central differences in float64, from a step at which only rounding matters to one as large as action noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath.conformance.places import Fault, wrong_steps
from scorepath.conformance.points import draw_points, outputs, reachable_points
from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment

SCALES = (1e-6, 1e-4, 1e-2, 1e-1)
"""Half the differences' width, as the root mean square of what every action moves by."""
TRAJECTORIES = 32
SPREAD = 0.3
"""Standard deviation of the actions that are audited."""
MEANINGFUL = 0.1
"""The median relative error up to which a derivative says something."""
PRECISIONS = (torch.float64, torch.float32)
FEWEST = 4
"""Trajectories that have to be off at every scale before single steps are looked at for the reason."""
REPEATED = 1e-5
"""Of the largest result: what equal steps may differ by for rounding, in another order and in single precision."""


@dataclass(frozen=True)
class Audit:
    """What was found.

    | field | meaning |
    |---|---|
    | horizons | numbers of steps that the return is taken over |
    | errors | median relative errors, (precisions, horizons, scales); of what is not finite the error is infinite |
    | overflowing | share of the derivatives that are not finite, (precisions, horizons) |
    | unrepeatable | the largest difference between two results of equal steps; 0 if they are the same bit for bit |
    | impure | whether that is more than rounding |
    | off | trajectories whose slope over all steps is off at every scale in float64 |
    | fault | which derivative of single steps is wrong on most of them, where, and what to do; None of none |
    """

    horizons: tuple[int, ...]
    errors: Tensor
    overflowing: Tensor
    unrepeatable: float
    impure: bool = False
    off: int = 0
    fault: Fault | None = None

    def lines(self) -> Iterator[str]:
        """The table, and what it says."""
        yield "Derivatives of the return by the actions against differences in float64 of this half-width:"
        yield "  dtype     steps  " + "".join(f"{scale:>10g}" for scale in SCALES)
        parts = zip(PRECISIONS, self.errors.tolist(), self.overflowing.tolist(), strict=True)
        for dtype, table, shares in parts:
            for horizon, errors, share in zip(self.horizons, table, shares, strict=True):
                name = str(dtype).removeprefix("torch.")
                beside = f"  not finite at {share:.0%}" if share else ""
                yield f"  {name:<9} {horizon:>5}  " + "".join(f"{error:>10.1e}" for error in errors) + beside
        yield f"  (median relative error along a random direction, {TRAJECTORIES} trajectories without a policy)"
        yield f"  {self.verdict}"
        yield "  Equal steps have equal results, " + (
            "bit for bit." if self.unrepeatable == 0 else f"but for {self.unrepeatable:.1e}."
        )

    @property
    def verdict(self) -> str:
        """Up to which scale derivatives over the whole horizon mean something, in words."""
        good = [scale for scale, error in zip(SCALES, self.errors[0, -1].tolist(), strict=True) if error < MEANINGFUL]
        wrong = f"Over {self.horizons[-1]} steps derivatives are off by more than {MEANINGFUL:.0%} at every scale"
        if not good:
            return f"{wrong}."
        if self.fault:
            return f"{wrong} on {self.off} of {TRAJECTORIES} trajectories."
        return f"Over {self.horizons[-1]} steps derivatives hold to {MEANINGFUL:.0%} up to a scale of {max(good):g}."


def auditable(environment: Environment) -> bool:
    """Whether it is a simulator with derivatives: several steps, and actions that are numbers."""
    return environment.horizon > 1 and environment.differentiable and not environment.discrete_actions


def audit(environment: Environment) -> Audit:
    """Compare an environment's derivatives with differences, over scale, horizon and precision."""
    steps = environment.horizon
    horizons = tuple(sorted({1, min(steps, max(1, round(steps**0.5))), steps}))
    generator = torch.Generator().manual_seed(21)
    shape = steps, TRAJECTORIES, environment.action_dim
    actions = (SPREAD * torch.randn(shape, generator=generator)).double()
    direction = torch.randn(shape, generator=generator).double()
    points = [draw_points(environment, TRAJECTORIES, seed=t) for t in range(steps)]
    noise = points[0]["initial noise"], torch.stack([each["process noise"] for each in points])

    differences = []
    for scale in SCALES:
        plus, minus = (_returns(environment, actions + side * scale * direction, *noise, horizons) for side in (1, -1))
        differences.append((plus - minus) / (2 * scale))
    expected = torch.stack(differences, -1)  # (horizons, trajectories, scales)
    errors, overflowing = [], []
    off = torch.zeros(TRAJECTORIES, dtype=torch.bool)
    for dtype in PRECISIONS:
        slopes = _slopes(environment, actions.to(dtype), direction, horizons, *(each.to(dtype) for each in noise))
        size = torch.maximum(slopes.abs()[..., None], expected.abs())
        relative = torch.where(size == 0, 0.0, (slopes[..., None] - expected).abs() / size)
        relative = torch.where(relative.isfinite(), relative, torch.inf)
        if dtype == torch.float64:
            off = (relative[-1] > MEANINGFUL).all(-1) & expected[-1].isfinite().any(-1)
        errors.append(relative.quantile(0.5, 1).nan_to_num(torch.inf, torch.inf))  # nan: between two infinities
        overflowing.append((~slopes.isfinite()).double().mean(1))
    unrepeatable, impure = _unrepeatable(environment)
    fault = None
    if off.sum() >= FEWEST and not impure:
        fault = wrong_steps(environment, actions[:, off], noise[0][off], noise[1][:, off], SCALES)
    return Audit(
        horizons, torch.stack(errors), torch.stack(overflowing), unrepeatable, impure, int(off.sum()), fault
    )  # fmt: skip


def _slopes(
    environment: Environment,
    actions: Tensor,
    direction: Tensor,
    horizons: tuple[int, ...],
    initial: Tensor,
    process: Tensor,
) -> Tensor:
    """Slopes of the returns over these horizons along the direction: (horizons, trajectories) in float64."""
    leaf = actions.detach().requires_grad_()
    returns = _returns(environment, leaf, initial, process, horizons)
    slopes = []
    for each in returns:
        (found,) = gradients(each.sum(), (leaf,), keep=True)
        slopes.append((found.double() * direction).sum((0, -1)))
    return torch.stack(slopes)


def _returns(
    environment: Environment, actions: Tensor, initial: Tensor, process: Tensor, horizons: tuple[int, ...]
) -> Tensor:
    """Returns without a policy, ended after so many steps: (horizons, trajectories)."""
    step = environment.differentiable_step if actions.requires_grad else environment.step
    state, total = environment.initial_state(initial), torch.zeros_like(actions[0, :, 0])
    returns = []
    for t, (action, disturbance) in enumerate(zip(actions, process, strict=True)):
        state, reward = step(state, action, disturbance)
        total = total + environment.discount**t * reward
        if t + 1 in horizons:
            returns.append(total + environment.discount ** (t + 1) * environment.terminal_reward(state))
    return torch.stack(returns)


def _unrepeatable(environment: Environment) -> tuple[float, bool]:
    """How far steps differ when they are taken again, in another order and after others; whether beyond rounding."""
    points = reachable_points(environment)
    first = outputs(environment, "step", points)
    order = torch.arange(len(points["action"])).flip(0)
    again = outputs(environment, "step", {name: value[order] for name, value in points.items()})
    differences, impure = [0.0], False
    for what, value in first.items():
        differences.append((again[what] - value[order]).abs().nan_to_num(0.0).max().item())
        size = value.abs().nan_to_num(0.0, 0.0, 0.0).max().item()
        impure = impure or differences[-1] > REPEATED * size
    return max(differences), impure
