"""Exact references by quadrature, for one decision whose return varies in one direction.

The gradient is the integral of the return against the score, so no derivative of the return is used and jumps do no
harm: `J = ∫ R(mu + sigma e) phi(e) de`, `dJ/dmu = ∫ R(mu + sigma e) (e / sigma) phi(e) de`. The midpoint rule converges
faster than any power on smooth returns, because the integrand and all its derivatives vanish at the ends, and like
1 / nodes where the return jumps. There doubling the nodes often changes nothing: a jump in the first quarter of a cell
has the same error afterwards. So every rule is also four rules, of every fourth node, whose spread is six times
what a jump can cost wherever it lies. Of a policy with a standard deviation s of its own, sigma s takes the place of
sigma, and `dJ/dlog s = ∫ R(mu + sigma s e) (e^2 - 1) phi(e) de`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment
from scorepath.policies import Policy

LIMIT = 9.0  # in standard deviations: the mass beyond is 2e-19
FIRST_NODES = 2**10
MOST_NODES = 2**19
CHUNK = 2**16
PER_SIGMA = 400
"""Points of a shared lattice per standard deviation."""
NEAR = 6
"""How far a lattice is looked at, in standard deviations: the mass beyond is 2e-9."""


def objective_and_gradient(
    environment: Environment, policy: Policy, parameters: Tensor, sigma: float, tolerance: float = 1e-10
) -> tuple[float, Tensor, float]:
    """J_sigma, its gradient (P,) and the gradient's estimated error; at sigma = 0 of the noiseless policy's return.

    Args:
        environment: one decision, a return that varies in one direction, deterministic start and step.
        policy: any policy.
        parameters: flat, (P,), float64.
        sigma: noise level.
        tolerance: relative to the integrals of the integrands' sizes, so that it means the same in every unit of
            reward. Nodes double until the error is below it, or their number reaches 2^19; the error is the largest of
            the last two changes and of the spread of the rules of every fourth node.

    Raises:
        ValueError: for an environment that this rule does not cover.
    """
    require_scalar_decision(environment)
    theta = parameters.detach().requires_grad_()
    mean, log_std = _along(environment, *policy.split(environment.first_output(policy, theta)))
    if sigma == 0:
        noiseless = decision_return(environment, mean.reshape(1))[0]
        return noiseless.item(), gradients(noiseless, (theta,))[0], 0.0

    center = mean.detach()
    scale = sigma * math.exp(log_std.item())

    def moments(eps: Tensor) -> Tensor:
        returns = decision_return(environment, center + scale * eps)
        by_mean = returns * eps / scale
        return torch.stack([returns, by_mean, returns * (eps.square() - 1)] if policy.log_std else [returns, by_mean])

    integrals, changes = normal_expectation(moments, tolerance)
    objective, *slopes = integrals.tolist()
    quantities = (mean, log_std)[: len(slopes)]
    directions = [torch.autograd.grad(each, theta, retain_graph=True, materialize_grads=True)[0] for each in quantities]
    parts = [slope * direction for slope, direction in zip(slopes, directions, strict=True)]
    errors = zip(directions, changes[1:].tolist(), strict=True)
    return objective, sum(parts[1:], parts[0]), sum(direction.norm().item() * change for direction, change in errors)


def _along(environment: Environment, mean: Tensor, log_std: Tensor | None) -> tuple[Tensor, Tensor]:
    """Where the mean action lies along the environment's direction, and log s of the noise along it: scalars."""
    if log_std is None:
        return position(environment, mean), mean.new_zeros(())
    shares = _direction(environment).to(mean) * log_std.exp()
    return position(environment, mean), shares.square().sum().log() / 2


def normal_expectation(function: Callable[[Tensor], Tensor], tolerance: float = 1e-10) -> tuple[Tensor, Tensor]:
    """`E function(eps)` for a standard normal eps, and its estimated error.

    Args:
        function: from nodes (n,) to values (k, n), float64.
        tolerance: relative to `E |function(eps)|`, for each of the k.

    Returns:
        The k expectations and, for each, the largest of the last two changes under doubling of the nodes and of the
        spread of the rules of every fourth node.
    """

    def density(eps: Tensor) -> Tensor:
        return torch.exp(-eps.square() / 2) / math.sqrt(2 * math.pi)

    return expectation(function, density, -LIMIT, LIMIT, tolerance)


def expectation(
    function: Callable[[Tensor], Tensor],
    density: Callable[[Tensor], Tensor],
    low: float,
    high: float,
    tolerance: float = 1e-10,
) -> tuple[Tensor, Tensor]:
    """`∫ function(x) density(x) dx` over [low, high] by midpoint rules of doubling size; see `normal_expectation`."""
    previous, _ = midpoint(function, density, low, high, FIRST_NODES)
    size, _ = midpoint(lambda points: function(points).abs(), density, low, high, FIRST_NODES)
    last_change = torch.full_like(previous, math.inf)
    nodes = FIRST_NODES
    while True:
        nodes *= 2
        current, spread = midpoint(function, density, low, high, nodes)
        change = (current - previous).abs()
        error = torch.maximum(torch.maximum(change, last_change), spread)
        if (error <= tolerance * size).all() or nodes >= MOST_NODES:
            return current, error
        previous, last_change = current, change


def midpoint(
    function: Callable[[Tensor], Tensor], density: Callable[[Tensor], Tensor], low: float, high: float, nodes: int
) -> tuple[Tensor, Tensor]:
    """The midpoint rule with this many nodes, in chunks, and the spread of the rules of every fourth one: (k,) each.

    A jump within a cell of the four rules moves them by three quarters of its height times that cell's length; the rule
    of all nodes is off by at most a sixth of that.
    """
    width = (high - low) / nodes
    total = torch.zeros((), dtype=torch.float64)
    fourths = torch.zeros(4, dtype=torch.float64)
    for start in range(0, nodes, CHUNK):
        index = torch.arange(start, min(start + CHUNK, nodes), dtype=torch.float64)
        points = low + (index + 0.5) * width
        values = function(points) * density(points)
        total = total + values.sum(-1) * width
        fourths = fourths + values.unflatten(-1, (-1, 4)).sum(-2) * (4 * width)
    return total, fourths.amax(-1) - fourths.amin(-1)


def decision_return(environment: Environment, action: Tensor) -> Tensor:
    """The return of a one-decision environment for positions along its direction, (n,) to (n,), differentiable."""
    state = environment.initial_state(action.new_zeros(len(action), 0))
    steered = action.unsqueeze(-1) * _direction(environment).to(action)
    state, reward = environment.differentiable_step(state, steered, state[..., :0])
    return reward + environment.discount * environment.terminal_reward(state)


def objectives(environment: Environment, positions: Tensor, sigma: float) -> Tensor:
    """J_sigma where the mean action lies at each of these positions along the direction, (n,) to (n,).

    The return is evaluated once, on a lattice that all positions share: where it jumps, the result is off by at most a
    part in a thousand of the jump.
    """
    if sigma == 0:
        return decision_return(environment, positions)
    width = sigma / PER_SIGMA
    first = torch.floor(positions / width).long() - NEAR * PER_SIGMA
    lattice = torch.arange(int(first.min()), int(first.max()) + 2 * NEAR * PER_SIGMA, dtype=torch.float64) * width
    returns = torch.cat([decision_return(environment, part) for part in lattice.split(CHUNK)])
    windows = (first - first.min())[:, None] + torch.arange(2 * NEAR * PER_SIGMA)
    weights = torch.exp(-((lattice[windows] - positions[:, None]) / sigma).square() / 2)
    return (weights * returns[windows]).sum(-1) / weights.sum(-1)


def position(environment: Environment, action: Tensor) -> Tensor:
    """Where an action (action_dim,) lies along the environment's direction: the action itself if it is scalar."""
    return _direction(environment).to(action) @ action


def is_scalar_decision(environment: Environment) -> bool:
    """Whether the return is a function of one normal variable: one step, one direction, no other noise on the state."""
    one_step = (environment.horizon, environment.initial_noise_dim, environment.process_noise_dim) == (1, 0, 0)
    normal = not (environment.discrete_actions or environment.moving_support)
    return one_step and normal and environment.ridge_direction() is not None


def require_scalar_decision(environment: Environment) -> None:
    """Raises ValueError unless `is_scalar_decision`."""
    if not is_scalar_decision(environment):
        raise ValueError(
            f"quadrature needs one decision with normal noise, a return that varies in one direction and no other "
            f"randomness; {type(environment).__name__} has horizon {environment.horizon}, action_dim "
            f"{environment.action_dim}, {environment.initial_noise_dim} initial and {environment.process_noise_dim} "
            f"process noises, discrete_actions {environment.discrete_actions} and moving_support "
            f"{environment.moving_support}"
        )


def _direction(environment: Environment) -> Tensor:
    direction = environment.ridge_direction()
    if direction is None:
        raise ValueError(f"the return of {type(environment).__name__} varies in more than one direction")
    return direction
