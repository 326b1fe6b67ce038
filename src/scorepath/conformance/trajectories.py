"""What every environment's whole trajectories must be: continuous where it says so, of the declared mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from scorepath.conformance.points import (
    TRAJECTORIES,
    Points,
    draw_points,
)
from scorepath.environments.base import Environment, SequentialEnvironment, make_policy
from scorepath.noise import Noise, Stream
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

FEW = 12
"""Steps after which episodes are cut short where continuity is checked."""


def whole_rollouts(environment: Environment) -> Iterator[str]:
    """The default policy can be rolled out in single precision, and the return is a function of the actions."""
    policy = make_policy(environment)
    parameters = policy.initial_parameters(np.random.default_rng(0)).float()
    draws = Noise(environment, Stream(0, "conformance", "rollout"), range(1), 16).rollout
    simulator = Simulator(environment, policy, parameters, 0.1)
    trajectories = simulator.rollout(draws, differentiable=environment.differentiable)
    if not trajectories.returns.isfinite().all():
        yield "returns are not finite under the default policy's first parameters at sigma = 0.1"
    if environment.differentiable and not environment.discrete_actions and not trajectories.returns.requires_grad:
        yield (
            "the return is cut off from the actions: torch cannot differentiate it at all; compute in torch "
            "throughout, or declare differentiable = False"
        )
    if isinstance(environment, SequentialEnvironment):
        noisy = dataclasses.replace(environment, reward_noise=0.5)
        if noisy.reward_noise != 0.5:
            yield "the knob reward_noise does nothing: do not override it"


def open_loop_returns(environment: Environment, points: Points, actions: Tensor) -> Tensor:
    """Returns (...,) of given actions (..., steps, action_dim) under given noise, ended after that many steps."""
    state, total = environment.initial_state(points["initial noise"]), torch.zeros(())
    steps = actions.shape[-2]
    for t in range(steps):
        state, reward = environment.step(state, actions[..., t, :], points["process noise"][..., t, :])
        total = total + environment.discount**t * reward
    return total + environment.discount**steps * environment.terminal_reward(state)


def continuity(environment: Environment) -> Iterator[str]:
    """`continuous` means that the return has no jump; one that is hidden between steep slopes may be overlooked.

    Along random segments of actions, the piece over which the return changes most is zoomed in on again and again:
    across a jump the change stays, elsewhere it shrinks with the piece. Long episodes are cut short, because chaos
    makes continuous returns too steep to be told from jumps in floating point.
    """
    if not environment.continuous or environment.discrete_actions:
        return
    jump = largest_jump(environment)
    if jump is not None:
        yield (
            f"continuous is True, but the return jumps by {jump:.3g} between two actions that are next to each other: "
            "declare continuous = False (then pathwise is not called unbiased), or smooth the jump"
        )


def largest_jump(environment: Environment, segments: int = 16, pieces: int = 64, zooms: int = 6) -> float | None:
    """The size of the largest jump of the return that was found, or None."""
    generator = torch.Generator().manual_seed(11)
    steps = min(environment.horizon, FEW)

    def randn(*shape: int) -> Tensor:
        return torch.randn(segments, 1, *shape, generator=generator, dtype=torch.float64)

    initial, process = randn(environment.initial_noise_dim), randn(steps, environment.process_noise_dim)
    centre, direction = randn(steps, environment.action_dim), randn(steps, environment.action_dim)
    count = pieces + 1
    points = {"initial noise": initial.expand(-1, count, -1), "process noise": process.expand(-1, count, -1, -1)}

    left, right = torch.full((segments, 1), -1.0).double(), torch.full((segments, 1), 1.0).double()
    changes = []
    for _ in range(zooms + 1):
        places = left + (right - left) * torch.linspace(0, 1, count, dtype=torch.float64)
        values = open_loop_returns(environment, points, centre + places[..., None, None] * direction)
        change, piece = values.diff(dim=1).abs().max(1, keepdim=True)
        changes.append(change)
        left, right = places.gather(1, piece), places.gather(1, piece + 1)
    # kinks and square roots shrink far below a thousandth; what is left of a constant is rounding
    jumps = (change > 1e-3 * changes[0]) & (change > 1e-9 * (1 + values.abs().amax(1, keepdim=True)))
    return change[jumps].max().item() if jumps.any() else None


def known_jumps(environment: Environment) -> Iterator[str]:
    """Where the environment says that the return jumps, it does."""
    points = draw_points(environment, TRAJECTORIES, seed=13)
    generator = torch.Generator().manual_seed(13)
    horizon, action_dim = environment.horizon, environment.action_dim
    actions = torch.randn(TRAJECTORIES, horizon, action_dim, generator=generator, dtype=torch.float64)
    process = torch.randn(
        TRAJECTORIES, horizon, environment.process_noise_dim, generator=generator, dtype=torch.float64
    )
    locations = environment.jump_locations(actions, process)
    if locations is None:
        return
    if locations.shape[:-1] != actions.shape:
        yield (
            f"jump_locations() has shape {tuple(locations.shape)} for actions of shape {tuple(actions.shape)}: it must "
            "have theirs and one more dimension"
        )
        return
    points["process noise"] = process
    real = []
    for t in range(horizon):
        for coordinate in range(action_dim):
            for place in locations[:, t, coordinate].unbind(-1):
                sides = []
                for offset in (-1e-7, 1e-7):
                    moved = actions.clone()
                    moved[:, t, coordinate] = torch.where(place.isfinite(), place + offset, moved[:, t, coordinate])
                    sides.append(open_loop_returns(environment, points, moved))
                jump, size = (sides[1] - sides[0]).abs(), torch.maximum(*(side.abs() for side in sides))
                real.append((jump > 1e-4 * size)[place.isfinite()])
    if real and not torch.cat(real).all():
        yield "jump_locations() names places where the return does not jump: it must be nan there"


def exact_objective(environment: Environment) -> Iterator[str]:
    """The exact objective is the mean of simulated returns, and its gradient the objective's own slope."""
    if environment.reference_class == "certified_monte_carlo":
        return
    policy = make_policy(environment)
    generator = torch.Generator().manual_seed(3)
    parameters = 0.2 * torch.randn(policy.parameter_count, generator=generator, dtype=torch.float64)
    samples = max(64, 2048 // environment.horizon)
    method = {"closed_form": "expected_return()", "recursion": "expected_return()"}.get(
        environment.reference_class, f"the {environment.reference_class} reference"
    )
    for sigma in (0.0, 0.3):
        exact = exact_reference(Simulator(environment, policy, parameters, sigma))
        noise = Noise(environment, Stream(3, "conformance", "objective"), range(16), samples, torch.float64)
        returns = Simulator(environment, policy, parameters, sigma).returns(noise.rollout).flatten()
        mean, scale = returns.mean().item(), returns.abs().mean().item() + abs(exact.objective)
        standard_error = returns.std().item() / len(returns) ** 0.5
        if not abs(mean - exact.objective) <= 6 * standard_error + 1e-6 * scale:
            yield (
                f"{method} gives {exact.objective:.6g} at sigma = {sigma:g}, but the mean of {len(returns)} simulated "
                f"returns is {mean:.6g} with standard error {standard_error:.2g}: mind discount, noise and last reward"
            )
            return
        if environment.reference_class == "quadrature":
            continue
        direction = torch.randn(len(parameters), generator=generator, dtype=torch.float64)
        ends = [
            exact_reference(Simulator(environment, policy, parameters + side * 1e-5 * direction, sigma)).objective
            for side in (1, -1)
        ]
        slope, expected = (exact.gradient @ direction).item(), (ends[0] - ends[1]) / 2e-5
        if not abs(slope - expected) <= 1e-4 * (abs(expected) + exact.gradient.norm().item()) + 1e-7 * scale:
            yield (
                f"torch's derivative of {method} along a random direction is {slope:.6g} at sigma = {sigma:g}, central "
                f"differences give {expected:.6g}: keep the parameters in the graph"
            )
            return
