"""Exact references for tabular environments, twice: by a linear solve and by the policy gradient theorem.

Time is part of the state: pairs (t, s) make a finite horizon a Markov chain that a single solve of
`(I - gamma P_pi) V = r_pi` values. The policy is `softmax(logits / sigma)`: the choice that Gumbel noise of scale
sigma makes. At sigma = 0 it is greedy, and its gradient is zero.

An environment qualifies by `transition_matrix() -> (S, A, S)`, `reward_table() -> (S, A)` and
`initial_distribution() -> (S,)`, all float64, with one-hot states and no terminal reward.
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.policies import Policy


class Tabular(Protocol):
    """What the solve reads of an environment."""

    discount: float

    @property
    def horizon(self) -> int: ...

    def transition_matrix(self) -> Tensor: ...

    def reward_table(self) -> Tensor: ...

    def initial_distribution(self) -> Tensor: ...


def expected_return(environment: Environment, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
    """J_sigma, a scalar that torch can differentiate."""
    tables = as_tabular(environment)
    probabilities = action_probabilities(environment, policy, parameters, sigma)
    return tables.initial_distribution() @ state_values(tables, probabilities)[0]


def policy_gradient_theorem(environment: Environment, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
    """`sum_t gamma^t sum_s d_t(s) sum_a grad pi_t(a|s) Q_t(s, a)`, (P,): Sutton et al. 2000, with a finite horizon."""
    tables = as_tabular(environment)
    theta = parameters.detach().requires_grad_()
    probabilities = action_probabilities(environment, policy, theta, sigma)
    fixed = probabilities.detach()
    visits, values = discounted_visits(tables, fixed), action_values(tables, fixed)
    objective = torch.einsum("ti,tia,tia->", visits, probabilities, values)
    return torch.autograd.grad(objective, theta, materialize_grads=True)[0]


def discounted_visits(tables: Tabular, probabilities: Tensor) -> Tensor:
    """`gamma^t P(s_t = s)` under a policy (T, S, A): (T, S)."""
    visits = [tables.initial_distribution()]
    for chosen in probabilities[:-1]:
        visits.append(tables.discount * torch.einsum("i,ia,iaj->j", visits[-1], chosen, tables.transition_matrix()))
    return torch.stack(visits)


def action_values(tables: Tabular, probabilities: Tensor) -> Tensor:
    """`Q_t(s, a)`, the expected discounted reward from step t on after this action, (T, S, A)."""
    following = state_values(tables, probabilities)[1:]
    following = torch.cat([following, torch.zeros_like(probabilities[:1, :, 0])])
    return tables.reward_table() + tables.discount * torch.einsum("iaj,tj->tia", tables.transition_matrix(), following)


def state_values(tables: Tabular, probabilities: Tensor) -> Tensor:
    """`V_t(s)`, the expected discounted reward from step t on, (T, S), by one solve over all pairs (t, s)."""
    horizon, states, _ = probabilities.shape
    transitions = torch.einsum("tia,iaj->tij", probabilities, tables.transition_matrix())
    rewards = torch.einsum("tia,ia->ti", probabilities, tables.reward_table())
    # step t leads to step t + 1; nothing follows the last step
    next_step = torch.diag(torch.ones(horizon - 1, dtype=torch.float64), 1)
    chain = torch.einsum("tu,tij->tiuj", next_step, transitions).reshape(horizon * states, horizon * states)
    system = torch.eye(horizon * states, dtype=torch.float64) - tables.discount * chain
    values: Tensor = torch.linalg.solve(system, rewards.reshape(-1))
    return values.reshape(horizon, states)


def action_probabilities(environment: Environment, policy: Policy, parameters: Tensor, sigma: float) -> Tensor:
    """`pi_t(a|s)`, (T, S, A): softmax(logits / sigma), or the first of the largest logits at sigma = 0."""
    observations = environment.observe(torch.eye(environment.state_dim, dtype=torch.float64))
    logits = torch.stack([policy.mean(parameters, observations, t) for t in range(environment.horizon)])
    if sigma > 0:
        return torch.softmax(logits / sigma, dim=-1)
    return torch.nn.functional.one_hot(logits.argmax(-1), environment.action_dim).to(logits) + 0 * logits


def as_tabular(environment: Environment) -> Tabular:
    """The same object, known to have tables.

    Raises:
        ValueError: when it has none.
    """
    for method in ("transition_matrix", "reward_table", "initial_distribution"):
        if not hasattr(environment, method):
            raise ValueError(f"a linear_solve reference needs {type(environment).__name__} to have {method}()")
    return cast(Tabular, environment)
