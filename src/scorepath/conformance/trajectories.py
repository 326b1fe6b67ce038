"""What every environment's whole trajectories must be: continuous where it says so, of the declared mean."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from scorepath.conformance.findings import Remark
from scorepath.conformance.points import TRAJECTORIES, Points, draw_points
from scorepath.environments.base import Environment, SequentialEnvironment, make_policy
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.policies import Policy
from scorepath.references.exact import exact_reference
from scorepath.references.jumps import PIECES, Jump, described, find_jump, refutation
from scorepath.references.noise_lines import draw_lines
from scorepath.rollout import Simulator

LINES = 96
"""Straight lines between two draws of action noise on which a jump is searched for."""
SCALES = (0.03, 0.3, 1.0, 3.0)
"""Standard deviations of the action noise on them."""
CLIMBING = 8
"""Trajectories behind a step of the short training, and random policies of which the best is taken."""
CLIMB = 12
"""Steps of the short training."""
CUT_OFF = (
    "no derivative reaches the return: if the simulator has none, declare differentiable = False "
    "(docs/add-an-environment.md); if it should have one, something detaches it"
)
"""Of an environment that is declared differentiable; where it is used all the same, derivatives are 0."""


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
        yield CUT_OFF
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
    """`continuous` means that the return has no jump, under any policy; one that is rare may be overlooked.

    So may a late one in chaos, where rounding has grown to its size before it is reached. A ramp so steep that it is as
    good as a jump to some thousand trajectories is no fault, but worth knowing.

    Searched for in closed loop and over the whole horizon, from hardly any noise to a lot of it, under the first
    policy, random ones, and those that a short training reaches.
    """
    if not environment.continuous or environment.discrete_actions:
        return
    jump = largest_jump(environment)
    if jump is None:
        return
    if jump.share == 0:
        yield f"{refutation(environment, jump)} (then pathwise is not called unbiased), or smooth the jump"
    else:
        yield Remark(
            f"{described(environment, jump)}: where a study finds it at a policy and noise level, verdicts on pathwise "
            "are withheld there; widen the ramp, or declare continuous = False"
        )


def largest_jump(environment: Environment) -> Jump | None:
    """The largest jump of the return that was found under policies of the environment's own kind, or None."""
    policy, generator = make_policy(environment), torch.Generator().manual_seed(11)
    # where one step is slow, the search for reference policies says how many may be taken
    affordable = environment.search_steps / (8 * (PIECES + 1) * environment.horizon)
    count = int(max(len(SCALES), min(LINES, affordable)))
    policies = list(_policies(environment, policy, generator))
    rows = torch.stack([policies[line % len(policies)] for line in range(count)])
    scales = torch.tensor([SCALES[line // len(policies) % len(SCALES)] for line in range(count)], dtype=torch.float64)
    jump = find_jump(environment, policy, draw_lines(environment, rows, scales, generator, drift=1.0))
    if jump is None or jump.share == 0:
        return jump
    # how many trajectories a ramp meets is told by lines of one policy and one noise level only
    alike = rows[jump.line].expand(count // len(SCALES), -1)
    for scale in SCALES:
        lines = draw_lines(environment, alike, torch.full((len(alike),), scale), generator)
        if (jump := find_jump(environment, policy, lines)) is not None:
            return jump
    return None


def _policies(environment: Environment, policy: Policy, generator: torch.Generator) -> Iterator[Tensor]:
    """The parameters of several policies: the first, random ones of three sizes, and some that return more."""
    first = policy.initial_parameters(np.random.default_rng(0))
    size = 1 / max(1.0, first.norm().item())  # a network is far from 0 at first
    yield first
    for scale in (0.3, 1.0, 2.0):
        draw = torch.randn(len(first), generator=generator, dtype=torch.float64)
        yield first + size * scale * draw
    if not math.isinf(environment.search_steps):
        return
    noise = Noise(environment, Stream(11, "conformance", "climb"), range(1), CLIMBING, torch.float64).rollout
    draws = torch.randn(CLIMBING, len(first), generator=generator, dtype=torch.float64)
    many = torch.cat([first + size * draws, first + 3 * size * draws])
    shared = type(noise)(*(each.expand(len(many), *each.shape[1:]) for each in noise))
    returns = Simulator(environment, policy, many, 0.3).returns(shared).mean(1)
    yield many[returns.nan_to_num(-torch.inf).argmax()]
    if environment.differentiable:
        yield from _climb(environment, policy, first, noise)


def _climb(environment: Environment, policy: Policy, first: Tensor, noise: RolloutNoise) -> Iterator[Tensor]:
    """A few steps of Adam up the return, by its derivative: half-way and at the end."""
    parameters = first.clone().requires_grad_()
    optimiser = torch.optim.Adam([parameters], lr=0.3 / len(first) ** 0.25)
    for step in range(CLIMB):
        returns = Simulator(environment, policy, parameters, 0.3).rollout(noise, differentiable=True).returns
        if not returns.requires_grad:  # whole_rollouts says so
            return
        (gradient,) = torch.autograd.grad(-returns.mean(), parameters)
        if not gradient.isfinite().all():
            return
        parameters.grad = gradient
        optimiser.step()
        if step + 1 in (CLIMB // 2, CLIMB):
            yield parameters.detach().clone()


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
