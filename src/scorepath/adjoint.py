"""Backpropagation through time by hand: the derivatives of all steps at once, then a recursion of small matrices.

    lambda_T = d rho_T / ds
    for t = T-1 .. 0:
        delta_t  = d_mu rho_t + f_mu^T lambda_{t+1}
        lambda_t = d_s rho_t + f_s^T lambda_{t+1} + mu_s^T delta_t

with `rho_t = gamma^t r_t(s_t, a_t, w_t)`, `s_{t+1} = f(s_t, a_t, w_t)`, the terminal reward `rho_T` and `a_t` as a
function of the policy's output `mu_t`. A step does not depend on the step before once its state is known, so one call
of the environment's step with all of them side by side, and a backward pass for the reward and for each coordinate of
the state, take the place of a graph of the whole simulation; what remains to be done in order of time is little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scorepath.noise import RolloutNoise
from scorepath.pullback import chunks_of_batches, unit_signals
from scorepath.rollout import Simulator, Trajectories

MOST_DERIVATIVES = 16_384
"""Entries of one step's `f_s` (trajectories x state_dim^2) up to which the derivatives of all steps are quicker than a
graph: a graph costs the start of every operation of every step, they cost a pass per coordinate. Measured for 1 to 20
coordinates (benchmarks/RESULTS.md), and fixed: results must not depend on the machine."""


@dataclass(frozen=True)
class Linearisation:
    """First derivatives of every step along the trajectories of some batches.

    Coordinates come before trajectories, so that sums over them are sums of long rows.

    | field | meaning | shape |
    |---|---|---|
    | batches | which of the rollout's batches they are | |
    | trajectories | those, and no others | |
    | reward_by_state | `d_s rho` | (horizon, state_dim, batches, samples) |
    | reward_by_mean | `d_mu rho` | (horizon, action_dim, batches, samples) |
    | next_by_state | `f_s`: of coordinate i by coordinate j | (horizon, state_dim, state_dim, batches, samples) |
    | next_by_mean | `f_mu` | (horizon, state_dim, action_dim, batches, samples) |
    | mean_by_state | `mu_s` | (horizon, action_dim, state_dim, batches, samples) |
    | terminal_by_state | `d rho_T / ds` | (state_dim, batches, samples) |
    """

    batches: slice
    trajectories: Trajectories
    reward_by_state: Tensor
    reward_by_mean: Tensor
    next_by_state: Tensor
    next_by_mean: Tensor
    mean_by_state: Tensor
    terminal_by_state: Tensor

    def pathwise(self, window: int | None = None, bridge: Tensor | None = None) -> Tensor:
        """The action signal of backpropagation through time, (batches, samples, horizon, action_dim).

        Args:
            window: cut at every `window`-th state: what comes after is taken as given.
            bridge: what takes the place of the adjoint there instead of nothing, (cuts, batches, samples, state_dim)
                of the whole rollout.
        """
        direct, closed_loop = self._closed_loop()
        adjoint, later = self.terminal_by_state, []
        for t in reversed(range(len(direct))):
            later.append(adjoint)
            if window and t % window == 0:
                cut = t // window - 1
                adjoint = torch.zeros_like(adjoint) if bridge is None else bridge[cut, self.batches].movedim(-1, 0)
            else:
                adjoint = direct[t] + vjp(closed_loop[t], adjoint)
        return self._signal(torch.stack(later[::-1]))

    def sliding(self, window: int) -> Tensor:
        """The signal that credits every action with the rewards of `window` steps: (batches, samples, horizon, ...)."""
        direct, closed_loop = self._closed_loop()
        end = self.terminal_by_state[None]
        later = torch.cat([torch.zeros_like(direct), end])  # by each state, the last one included: of no steps yet
        for _ in range(min(window, len(direct)) - 1):
            later = torch.cat([direct + vjp(closed_loop, later[1:]), end])
        return self._signal(later[1:])

    def _closed_loop(self) -> tuple[Tensor, Tensor]:
        """`d_s rho + mu_s^T d_mu rho` and `f_s + f_mu mu_s`: the policy answers the state."""
        direct = self.reward_by_state + vjp(self.mean_by_state, self.reward_by_mean)
        answer = self.next_by_mean[:, :, :, None] * self.mean_by_state[:, None]
        return direct, self.next_by_state + answer.sum(2)

    def _signal(self, later: Tensor) -> Tensor:
        """`delta` of all steps from the adjoints `lambda_{t+1}`, (horizon, state_dim, batches, samples)."""
        signal = self.reward_by_mean + vjp(self.next_by_mean, later)
        return signal.permute(2, 3, 0, 1)


def vjp(derivative: Tensor, signal: Tensor) -> Tensor:
    """Vector-Jacobian product: a signal on a derivative's rows becomes one on its columns.

    Args:
        derivative: (..., rows, columns, batches, samples).
        signal: (..., rows, batches, samples).
    """
    return (derivative * signal.unsqueeze(-3)).sum(-4)


def linearise(
    simulator: Simulator, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None = None
) -> tuple[Trajectories, Iterator[Linearisation]]:
    """A rollout and the derivatives along it, with `relax` as in `Simulator.rollout`.

    They are those of all steps, but of some batches at a time, for they grow with the square of state_dim.
    """
    environment = simulator.environment
    trajectories = simulator.rollout(draws, keep_steps=True, relax=relax)
    if environment.action_dim == 1:  # the derivative of the one output serves the pull-back too
        trajectories = replace(trajectories, unit_signals=unit_signals(trajectories, 0))
    batches, samples = draws.action.shape[:2]
    chunks = chunks_of_batches(batches, samples * environment.horizon * environment.state_dim**2)
    parts = (_linearise(trajectories.select(chunk), draws.select(chunk), relax, chunk) for chunk in chunks)
    return trajectories, parts


def _linearise(
    trajectories: Trajectories, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None, batches: slice
) -> Linearisation:
    simulator = trajectories.simulator
    environment, policy, parameters = simulator.environment, simulator.policy, simulator.parameters.to(draws.action)
    *states, last = trajectories.states
    state, mean = _leaf(states), _leaf(trajectories.means)
    with torch.enable_grad():
        action = simulator.act(mean, draws.action.movedim(2, 0), relax)
        next_state, reward = environment.step(state, action, draws.process.movedim(2, 0))
        observation = environment.observe(state)
        end = last.detach().requires_grad_()
        terminal = environment.discount**environment.horizon * environment.terminal_reward(end)
    discounts = state.new_tensor([environment.discount**t for t in range(environment.horizon)])
    of_reward = _gradients(reward, (state, mean), discounts[:, None, None].expand_as(reward))
    of_next = [_gradients(coordinate, (state, mean)) for coordinate in next_state.unbind(-1)]
    answers: list[Tensor] = []
    for coordinate in range(environment.action_dim):
        signals = trajectories.unit_signals or unit_signals(trajectories, coordinate)
        answer = policy.observation_gradient(parameters, trajectories.layer_inputs, signals)
        answers.append(*_gradients(observation, (state,), answer.movedim(2, 0)))
    return Linearisation(
        batches=batches,
        trajectories=trajectories,
        reward_by_state=of_reward[0].movedim(-1, 1),
        reward_by_mean=of_reward[1].movedim(-1, 1),
        next_by_state=torch.stack([by_state.movedim(-1, 1) for by_state, _ in of_next], 1),
        next_by_mean=torch.stack([by_mean.movedim(-1, 1) for _, by_mean in of_next], 1),
        mean_by_state=torch.stack([answer.movedim(-1, 1) for answer in answers], 1),
        terminal_by_state=_gradients(terminal, (end,))[0].movedim(-1, 0),
    )


def backpropagate(
    simulator: Simulator,
    draws: RolloutNoise,
    *,
    window: int | None = None,
    value: Callable[[Tensor], Tensor] | None = None,
    relax: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Trajectories, Tensor]:
    """A rollout and `dR / dmu_t` on it, (batches, samples, horizon, action_dim): by the action, where noise is added.

    Over one step, or for many trajectories of wide states, a graph of the whole rollout takes less time.

    Args:
        simulator: environment, policy, parameters and noise level.
        draws: the randomness of the rollout.
        window: cut at every `window`-th state: what comes after is taken as given.
        value: what takes its place: from the states at the cuts, (cuts, batches, samples, state_dim), to the returns
            expected from there, discounted to time 0: any shape, of which the sum is differentiated.
        relax: see `Simulator.rollout`.
    """
    environment = simulator.environment
    cuts = range(window, environment.horizon, window) if window else range(0)
    derivatives = draws.action.shape[:2].numel() * environment.state_dim**2
    if environment.horizon == 1 or derivatives > MOST_DERIVATIVES:
        trajectories = simulator.rollout(draws, differentiable=True, keep_steps=True, window=window, relax=relax)
        objective = trajectories.returns.sum()
        if value and cuts:
            objective = objective + value(torch.stack([trajectories.states[t] for t in cuts])).sum()
        return trajectories.detach(), trajectories.action_gradient(objective)
    trajectories, parts = linearise(simulator, draws, relax)
    bridge = None
    if value and cuts:
        ends = torch.stack([trajectories.states[t] for t in cuts]).requires_grad_()
        (bridge,) = torch.autograd.grad(value(ends).sum(), ends)
    return trajectories, torch.cat([part.pathwise(window, bridge) for part in parts])


def _leaf(steps: Sequence[Tensor]) -> Tensor:
    """(horizon, batches, samples, width) to differentiate by, each coordinate a long row in memory."""
    return torch.stack(list(steps)).movedim(-1, 1).contiguous().movedim(1, -1).detach().requires_grad_()


def _gradients(outputs: Tensor, leaves: tuple[Tensor, ...], weights: Tensor | None = None) -> tuple[Tensor, ...]:
    """Gradients of the outputs' (weighted) sum, also where they depend on nothing; the graph is kept."""
    if not outputs.requires_grad:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    weights = torch.ones_like(outputs) if weights is None else weights
    return torch.autograd.grad(outputs, leaves, weights, retain_graph=True, materialize_grads=True)
