"""Backpropagation through time by hand: one local vector-Jacobian product per step, so that signals can be mixed in.

    lambda_T = d rho_T / ds
    for t = T-1 .. 0:
        delta_t  = d_a rho_t + f_a^T (d_s' rho_t + lambda_{t+1})
        lambda_t = d_s rho_t + f_s^T (d_s' rho_t + lambda_{t+1}) + mu_s^T delta_t

with `rho_t = gamma^t r_t(s_t, a_t, s')`, `s' = f(s_t, a_t, w_t)` and the terminal reward `rho_T`. Total propagation
puts an inverse-variance mixture in the place of `delta_t`, or of `lambda_{t+1}` in both lines, and goes on with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from scorepath.mixing import inverse_variance_weight
from scorepath.noise import RolloutNoise
from scorepath.pullback import step_trace_variances
from scorepath.rollout import Trajectories


class LocalStep(NamedTuple):
    """The graph of one step, cut off from its neighbours: `state` and `action` are leaves."""

    state: Tensor
    action: Tensor
    mean: Tensor  # mu_theta(observe(state)): a function of the state
    next_state: Tensor
    reward: Tensor

    def pull(self, adjoint: Tensor, reward_weight: float, *, keep: bool = False) -> tuple[Tensor, Tensor]:
        """Gradient of `<adjoint, next_state> + reward_weight * reward` by action and by state, the action held fixed.

        Args:
            adjoint: (batches, samples, state_dim).
            reward_weight: the power of the discount; 0 for the next state alone.
            keep: keep the graph for another call.
        """
        objective = (adjoint * self.next_state).sum() + reward_weight * self.reward.sum()
        leaves = (self.action, self.state)
        action, state = torch.autograd.grad(objective, leaves, retain_graph=keep, materialize_grads=True)
        return action, state

    def pull_mean(self, signal: Tensor) -> Tensor:
        """`mu_s^T delta`: (batches, samples, state_dim)."""
        return _gradient(signal * self.mean, self.state)


@dataclass(frozen=True)
class Replay:
    """Trajectories taken step by step once more, for gradients by state and action (not by parameters).

    | field | meaning | shape |
    |---|---|---|
    | steps | the graph of each step | horizon |
    | last_state | the state after the last step, a leaf | (batches, samples, state_dim) |
    | terminal | `gamma^T` × the terminal reward | (batches, samples) |
    """

    trajectories: Trajectories
    steps: Sequence[LocalStep]
    last_state: Tensor
    terminal: Tensor

    def sweep(
        self, at: Literal["action", "state"], score: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The recursion with `k_t * derivative + (1 - k_t) * score_t` in the place of one derivative. Call it once.

        Args:
            at: which derivative: `delta_t` (action) or `lambda_{t+1}` (state).
            score: estimates of that derivative of another kind, (batches, samples, horizon, action_dim or state_dim).
            weights: k, (batches, horizon). By default `V_score / (V_score + V_derivative)`, the trace variances over
                the batch of what either one contributes to the gradient through step t's action.

        Returns:
            The action signal, (batches, samples, horizon, action_dim), and the weights.
        """
        discount = self.trajectories.simulator.environment.discount
        adjoint = _gradient(self.terminal, self.last_state)
        signals, used = [], []
        for t, step in reversed(list(enumerate(self.steps))):
            rival = score[..., t, :]
            k = None if weights is None else weights[:, t]
            if at == "state":
                if k is None:
                    k = self._weight(t, *(step.pull(each, 0.0, keep=True)[0] for each in (adjoint, rival)))
                adjoint = _mixed(k, adjoint, rival)
                used.append(k)
            signal, direct = step.pull(adjoint, discount**t)
            if at == "action":
                if k is None:
                    k = self._weight(t, signal, rival)
                signal = _mixed(k, signal, rival)
                used.append(k)
            adjoint = direct + step.pull_mean(signal)
            signals.append(signal)
        return torch.stack(signals[::-1], dim=-2), torch.stack(used[::-1], dim=-1)

    def _weight(self, t: int, derivative: Tensor, score: Tensor) -> Tensor:
        """Inverse-variance weight (batches,) of the derivative; both are signals on step t's action."""
        variances = [step_trace_variances(self.trajectories, each.unsqueeze(2), t) for each in (derivative, score)]
        return inverse_variance_weight(*variances).squeeze(-1)


def replay(trajectories: Trajectories, draws: RolloutNoise) -> Replay:
    """Take the steps of a rollout with Gaussian action noise again; `draws` is the noise that it was made with.

    It only gives each step a graph of its own: nothing is simulated that a rollout could not have kept.
    """
    simulator = trajectories.simulator
    environment, parameters = simulator.environment, simulator.parameters.detach().to(draws.action)
    steps = []
    state = environment.initial_state(draws.initial)
    with torch.enable_grad():
        for t in range(environment.horizon):
            state = state.detach().requires_grad_()
            action = trajectories.actions[..., t, :].detach().requires_grad_()
            mean = simulator.policy.mean(parameters, environment.observe(state), t)
            next_state, reward = environment.step(state, action, draws.process[..., t, :])
            steps.append(LocalStep(state, action, mean, next_state, reward))
            state = next_state
        state = state.detach().requires_grad_()
        terminal = environment.discount**environment.horizon * environment.terminal_reward(state)
    return Replay(trajectories, steps, state, terminal)


def _gradient(outputs: Tensor, leaf: Tensor) -> Tensor:
    """Gradient of the sum of the outputs, also where they do not depend on anything."""
    if not outputs.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(outputs.sum(), leaf, materialize_grads=True)
    return gradient


def _mixed(weight: Tensor, derivative: Tensor, score: Tensor) -> Tensor:
    """`k * derivative + (1 - k) * score` with k of shape (batches,)."""
    k = weight.to(derivative)[:, None, None]
    return k * derivative + (1 - k) * score
