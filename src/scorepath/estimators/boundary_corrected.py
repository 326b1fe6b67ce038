"""Pathwise plus the boundary terms it misses: what the return jumps by, times the density of the action at the jump."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.environments.base import Environment
from scorepath.estimators._branching import Branching
from scorepath.estimators.base import ActionSignalEstimator
from scorepath.noise import Noise, RolloutNoise
from scorepath.policies import OpenLoop
from scorepath.rollout import Simulator, Trajectories

DISTANCE = 1e-8
"""From a jump to the two actions that bracket it, in units of action; branches are simulated in double precision."""


@dataclass(frozen=True, kw_only=True)
class BoundaryCorrected(ActionSignalEstimator):
    """Approximates grad J_sigma. With `delta_t = dR / da_t + sum_k phi(z_k) / sigma * [R(a_k+) - R(a_k-)]`.

    The a_k are the places where the return jumps in the action a_t, all other actions and noises held fixed, and
    `z_k = (a_k - mu_t) / sigma`: boundary terms of the integration by parts behind the pathwise gradient. Each
    trajectory branches at one step drawn uniformly, weighted by the horizon, into two rollouts per action coordinate
    and jump.

    Requires differentiable dynamics, normal noise, sigma > 0, jumps whose places the environment knows and, over more
    than one step, an open-loop policy.
    """

    source: ClassVar[str] = "Lee, Yu & Yang 2018"
    family: ClassVar[str] = "pathwise"
    bias: ClassVar[str] = "unbiased where the places of all jumps are known"
    needs_differentiable_dynamics: ClassVar[bool] = True
    needs_gaussian_noise: ClassVar[bool] = True
    needs_fixed_std: ClassVar[bool] = True

    def unbiased(self, environment: Environment) -> bool:
        return super().unbiased(environment) and _known_jumps(environment) is not None

    def environment_steps(self, environment: Environment) -> float:
        horizon, jumps = environment.horizon, _known_jumps(environment)
        branches = 2 * environment.action_dim * (jumps or 0)
        return horizon + branches * (horizon + 1) / 2

    def not_applicable(self, environment: Environment, sigma: float) -> str | None:
        if reason := super().not_applicable(environment, sigma):
            return reason
        return "places of the jumps not known" if _known_jumps(environment) is None else None

    def identical_to(self, environment: Environment, sigma: float) -> str | None:
        return "pathwise" if environment.continuous else None

    def signal(
        self, simulator: Simulator, noise: Noise, past: Trajectories | None = None
    ) -> tuple[Trajectories, Tensor]:
        """Without jumps it is the pathwise signal, whatever the policy.

        Raises:
            ValueError: where the policy would answer a changed action, so that the places of the jumps are unknown.
        """
        environment = simulator.environment
        trajectories, signal = backpropagate(simulator, noise.rollout)
        if environment.continuous:
            return trajectories, signal
        if environment.horizon > 1 and not isinstance(simulator.policy, OpenLoop):
            raise ValueError(
                f"boundary_corrected needs an open_loop policy over the {environment.horizon} steps of "
                f"{type(environment).__name__}: a policy with feedback moves the jumps"
            )
        precise = RolloutNoise(*(draws.double() for draws in noise.rollout))
        branching = replace(Branching.at_random_steps(simulator, noise), noise=precise)
        return trajectories, signal + branching.signal(_boundary_term(branching)).to(signal)


def _known_jumps(environment: Environment) -> int | None:
    """How many jumps an action may have; None where their places are not known."""
    if environment.continuous:
        return 0
    horizon = environment.horizon
    actions = torch.zeros(horizon, environment.action_dim, dtype=torch.float64)
    process = actions.new_zeros(horizon, environment.process_noise_dim)
    locations = environment.jump_locations(actions, process)
    return None if locations is None else locations.shape[-1]


def _boundary_term(branching: Branching) -> Tensor:
    """`sum_k phi(z_k) / sigma * [R(a_k+) - R(a_k-)]` at the branching step: (batches, samples, action_dim)."""
    simulator, noise = branching.simulator, branching.noise
    actions = simulator.rollout(noise).actions
    locations = simulator.environment.jump_locations(actions, noise.process)
    assert locations is not None  # or the estimator would not be applicable
    means = actions - simulator.sigma * noise.action
    z = branching.select((locations - means[..., None]) / simulator.sigma)  # (batches, samples, action_dim, jumps)
    exists = z.isfinite()
    z = torch.where(exists, z, 0.0)
    densities = torch.where(exists, torch.exp(-z.square() / 2) / (math.sqrt(2 * math.pi) * simulator.sigma), 0.0)
    term = torch.zeros_like(z[..., 0])
    for coordinate, jump in itertools.product(*map(range, z.shape[2:])):
        above, below = (
            branching.returns(coordinate, z[..., coordinate, jump] + side * DISTANCE / simulator.sigma)
            for side in (1, -1)
        )
        term[..., coordinate] += densities[..., coordinate, jump] * (above - below)
    return term
