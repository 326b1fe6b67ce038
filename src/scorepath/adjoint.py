"""Backpropagation through time by hand: the derivatives of all steps at once, then a recursion of small matrices.

    lambda_T = d rho_T / ds
    for t = T-1 .. 0:
        delta_t  = d_mu rho_t + f_mu^T lambda_{t+1}
        lambda_t = d_s rho_t + f_s^T lambda_{t+1} + mu_s^T delta_t

with `rho_t = gamma^t r_t(s_t, a_t, w_t)`, `s_{t+1} = f(s_t, a_t, w_t)`, the terminal reward `rho_T` and `a_t` as a
function of the policy's output `mu_t`, which holds log s as well where the policy has a standard deviation s. A step
does not depend on the step before once its state is known, so one call of the environment's step with all of them side
by side, and a backward pass for the reward and for each coordinate of the state, take the place of a graph of the whole
simulation; what remains to be done in order of time is little.

A product with a derivative that is not finite is not finite, but a graph's operations may stop it: backwards through
`relu` nothing passes where nothing came forward, not even nan. So where a signal comes out not finite, the recursion is
done again on graphs of the single steps, and these decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from scorepath.dynamics import Dynamics, dynamics
from scorepath.engine import Engine, engine
from scorepath.environments._jacobians import gradients
from scorepath.noise import RolloutNoise
from scorepath.pullback import chunks_of_batches
from scorepath.rollout import Simulator, Trajectories
from scorepath.steps import CompiledSteps, StepGraphs, compiled_steps, slopes, step_graphs

MOST_DERIVATIVES = 6_000
"""Entries of one step's `f_s` (trajectories x state_dim^2) up to which the derivatives of all steps are quicker than a
graph: a graph costs the start of every operation of every step, they cost a pass per coordinate. Measured for 1 to 8
coordinates with a compiled policy of 32-32, where it lies between 4,096 and 16,384; and fixed: results must not depend
on the machine."""


@dataclass(frozen=True)
class Linearisation:
    """First derivatives of every step along the trajectories of some batches.

    Coordinates come before trajectories, so that sums over them are sums of long rows.

    | field | meaning | shape |
    |---|---|---|
    | batches | which of the rollout's batches they are | |
    | trajectories | those, and no others | |
    | reward_by_state | `d_s rho` | (horizon, state_dim, batches, samples) |
    | reward_by_mean | `d_mu rho` | (horizon, output_dim, batches, samples) |
    | next_by_state | `f_s`: of coordinate i by coordinate j | (horizon, state_dim, state_dim, batches, samples) |
    | next_by_mean | `f_mu` | (horizon, state_dim, output_dim, batches, samples) |
    | mean_by_state | `mu_s` | (horizon, output_dim, state_dim, batches, samples) |
    | terminal_by_state | `d rho_T / ds` | (state_dim, batches, samples) |
    | graphs | forms the graphs of the same steps | |
    """

    batches: slice
    trajectories: Trajectories
    reward_by_state: Tensor
    reward_by_mean: Tensor
    next_by_state: Tensor
    next_by_mean: Tensor
    mean_by_state: Tensor
    terminal_by_state: Tensor
    graphs: Callable[[], StepGraphs]

    def pathwise(self, window: int | None = None, bridge: Tensor | None = None) -> Tensor:
        """The action signal of backpropagation through time, (batches, samples, horizon, output_dim).

        Args:
            window: cut at every `window`-th state: what comes after is taken as given.
            bridge: what takes the place of the adjoint there instead of nothing, (cuts, batches, samples, state_dim)
                of the whole rollout.
        """
        bridge = None if bridge is None else bridge[:, self.batches]
        direct, closed_loop = self._closed_loop()
        adjoint, later = self.terminal_by_state, []
        for t in reversed(range(len(direct))):
            later.append(adjoint)
            if window and t % window == 0:
                cut = t // window - 1
                adjoint = torch.zeros_like(adjoint) if bridge is None else bridge[cut].movedim(-1, 0)
            else:
                adjoint = direct[t] + vjp(closed_loop[t], adjoint)
        signal = self._signal(torch.stack(later[::-1]))
        return signal if signal.isfinite().all() else self.graphs().pathwise(window, bridge)

    def sliding(self, window: int) -> Tensor:
        """The signal that credits every action with the rewards of `window` steps: (batches, samples, horizon, ...)."""
        direct, closed_loop = self._closed_loop()
        end = self.terminal_by_state[None]
        later = torch.cat([torch.zeros_like(direct), end])  # by each state, the last one included: of no steps yet
        for _ in range(min(window, len(direct)) - 1):
            later = torch.cat([direct + vjp(closed_loop, later[1:]), end])
        signal = self._signal(later[1:])
        return signal if signal.isfinite().all() else self.graphs().sliding(window)

    @property
    def end(self) -> Tensor:
        return self.terminal_by_state

    def back(
        self, t: int, adjoint: Tensor | None, mixed: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        assert adjoint is not None  # here every derivative is a number
        signal = self.reward_by_mean[t] + self.reach(t, adjoint)
        if mixed:
            signal = mixed(signal)
        before = self.reward_by_state[t] + vjp(self.next_by_state[t], adjoint)
        return signal, before + vjp(self.mean_by_state[t], signal)

    def reach(self, t: int, adjoint: Tensor | None) -> Tensor:
        assert adjoint is not None
        return vjp(self.next_by_mean[t], adjoint)

    def _closed_loop(self) -> tuple[Tensor, Tensor]:
        """`d_s rho + mu_s^T d_mu rho` and `f_s + f_mu mu_s`: the policy answers the state."""
        direct = self.reward_by_state + vjp(self.mean_by_state, self.reward_by_mean)
        answer = self.next_by_mean[:, :, :, None] * self.mean_by_state[:, None]
        return direct, self.next_by_state + answer.sum(2)

    def _signal(self, later: Tensor) -> Tensor:
        """`delta` of all steps from the adjoints `lambda_{t+1}`, (horizon, state_dim, batches, samples)."""
        signal = self.reward_by_mean + vjp(self.next_by_mean, later)
        return signal.permute(2, 3, 0, 1)


Derivatives = Linearisation | CompiledSteps
"""Of the steps along a rollout, formed or still to be formed."""


def vjp(derivative: Tensor, signal: Tensor) -> Tensor:
    """Vector-Jacobian product: a signal on a derivative's rows becomes one on its columns.

    Args:
        derivative: (..., rows, columns, batches, samples).
        signal: (..., rows, batches, samples).
    """
    return (derivative * signal.unsqueeze(-3)).sum(-4)


def linearise(
    simulator: Simulator, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None = None
) -> tuple[Trajectories, Iterator[Derivatives]]:
    """A rollout and the derivatives along it, with `relax` as in `Simulator.rollout`.

    They are those of all steps, but of some batches at a time, for they grow with the square of state_dim; or, where
    the step is compiled, none yet.
    """
    environment = simulator.environment
    trajectories = simulator.rollout(draws, keep_steps=True, relax=relax)
    batches, samples = draws.action.shape[:2]
    if compiled := _compiled(simulator, draws, relax):
        return trajectories, iter([compiled_steps(trajectories, draws, compiled)])
    chunks = chunks_of_batches(batches, samples * environment.horizon * environment.state_dim**2)
    parts = (_linearise(trajectories.select(chunk), draws.select(chunk), relax, chunk) for chunk in chunks)
    return trajectories, parts


def _compiled(simulator: Simulator, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None) -> Dynamics | None:
    """The environment's compiled derivatives, where the output's own is that of the action."""
    environment, policy = simulator.environment, simulator.policy
    additive = not (relax or environment.discrete_actions or environment.moving_support or policy.log_std)
    return dynamics(environment, draws.action) if additive else None


def _linearise(
    trajectories: Trajectories, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None, batches: slice
) -> Linearisation:
    simulator = trajectories.simulator
    environment = simulator.environment
    *states, last = trajectories.states
    state, mean = _leaf(states), _leaf(trajectories.means)
    with torch.enable_grad():
        action = simulator.act(mean, draws.action.movedim(2, 0), relax)
        next_state, reward = environment.differentiable_step(state, action, draws.process.movedim(2, 0))
        observation = environment.observe(state)
        end = last.detach().requires_grad_()
        terminal = environment.discount**environment.horizon * environment.terminal_reward(end)
    discounts = state.new_tensor([environment.discount**t for t in range(environment.horizon)])
    of_reward = gradients(reward, (state, mean), discounts[:, None, None].expand_as(reward), keep=True)
    of_next = [gradients(coordinate, (state, mean), keep=True) for coordinate in next_state.unbind(-1)]
    answers = [gradients(observation, (state,), answer, keep=True)[0] for answer in slopes(trajectories)]
    return Linearisation(
        batches=batches,
        trajectories=trajectories,
        reward_by_state=of_reward[0].movedim(-1, 1),
        reward_by_mean=of_reward[1].movedim(-1, 1),
        next_by_state=torch.stack([by_state.movedim(-1, 1) for by_state, _ in of_next], 1),
        next_by_mean=torch.stack([by_mean.movedim(-1, 1) for _, by_mean in of_next], 1),
        mean_by_state=torch.stack([answer.movedim(-1, 1) for answer in answers], 1),
        terminal_by_state=gradients(terminal, (end,))[0].movedim(-1, 0),
        graphs=partial(step_graphs, trajectories, draws, relax),
    )


def backpropagate(
    simulator: Simulator,
    draws: RolloutNoise,
    *,
    window: int | None = None,
    value: Callable[[Tensor], Tensor] | None = None,
    relax: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Trajectories, Tensor]:
    """A rollout and `dR / dmu_t` on it, (batches, samples, horizon, output_dim): by the action, where noise is added.

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
    by_steps = _compiled(simulator, draws, relax) or (environment.horizon > 1 and derivatives <= MOST_DERIVATIVES)
    if not by_steps:

        def by_graph(compiled: Engine | None) -> tuple[Trajectories, Tensor]:
            trajectories = simulator.rollout(
                draws, differentiable=True, keep_steps=True, window=window, relax=relax, compiled=compiled
            )
            objective = trajectories.returns.sum()
            if value and cuts:
                objective = objective + value(torch.stack([trajectories.states[t] for t in cuts])).sum()
            return trajectories.detach(), trajectories.action_gradient(objective)

        compiled = engine(simulator.policy, simulator.parameters.to(draws.action))
        trajectories, signal = by_graph(compiled)
        return (trajectories, signal) if compiled is None or signal.isfinite().all() else by_graph(None)
    trajectories, parts = linearise(simulator, draws, relax)
    bridge = None
    if value and cuts:
        ends = torch.stack([trajectories.states[t] for t in cuts]).requires_grad_()
        (bridge,) = gradients(value(ends).sum(), (ends,))
    return trajectories, torch.cat([part.pathwise(window, bridge) for part in parts])


def _leaf(steps: Sequence[Tensor]) -> Tensor:
    """(horizon, batches, samples, width) to differentiate by, each coordinate a long row in memory."""
    return torch.stack(list(steps)).movedim(-1, 1).contiguous().movedim(1, -1).detach().requires_grad_()
