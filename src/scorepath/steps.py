"""One step after another, backwards in time: by compiled vector-Jacobian products or torch's graphs of single steps.

The latter are slower, and as a graph of the whole rollout at every edge: they decide where a signal is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from scorepath.dynamics import Dynamics
from scorepath.environments._jacobians import gradients
from scorepath.noise import RolloutNoise
from scorepath.pullback import unit_signals
from scorepath.rollout import Trajectories


class Steps(Protocol):
    """The steps along the trajectories of some batches, as a recursion backwards in time wants them.

    Signals and adjoints have their coordinates first, (width, batches, samples). An adjoint may be None: nothing
    depends on that state, which is not the same as a derivative of zero where others are infinite.
    """

    @property
    def end(self) -> Tensor | None:
        """`d rho_T / ds`."""

    def back(
        self, t: int, adjoint: Tensor | None, mixed: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """`delta_t` and `lambda_t` from `lambda_{t+1}`, with what `mixed` makes of `delta_t` in its place."""

    def reach(self, t: int, adjoint: Tensor | None) -> Tensor:
        """`f_mu^T lambda_{t+1}`: what an adjoint contributes to the signal of step t."""


@dataclass(frozen=True)
class CompiledSteps:
    """The steps of a rollout whose environment has compiled derivatives: these are asked for as they are needed.

    | field | meaning | shape |
    |---|---|---|
    | states, actions, disturbances | of each step | (horizon, batches, samples, width) |
    | slopes | the policy's output by the observation | (horizon, batches, samples, action_dim, observation_dim) |
    | discounts | weights of the rewards | (horizon, batches, samples) |
    | terminal_by_state | `d rho_T / ds` | (batches, samples, state_dim) |
    """

    batches: slice
    trajectories: Trajectories
    dynamics: Dynamics
    states: Tensor
    actions: Tensor
    disturbances: Tensor
    slopes: Tensor
    discounts: Tensor
    terminal_by_state: Tensor
    graphs: Callable[[], StepGraphs]

    def pathwise(self, window: int | None = None, bridge: Tensor | None = None) -> Tensor:
        """See `scorepath.adjoint.Linearisation.pathwise`."""
        adjoint, signals = self.terminal_by_state, []
        for t in reversed(range(len(self.states))):
            by_state, signal = self._step(t, adjoint)
            signals.append(signal)
            if window and t and t % window == 0:
                adjoint = torch.zeros_like(adjoint) if bridge is None else bridge[t // window - 1]
            else:
                adjoint = by_state + self._answered(t, signal)
        signal = torch.stack(signals[::-1], 2)
        return signal if signal.isfinite().all() else self.graphs().pathwise(window, bridge)

    def sliding(self, window: int) -> Tensor:
        """See `scorepath.adjoint.Linearisation.sliding`."""
        steps = slice(None)
        end = self.terminal_by_state[None]
        later = torch.cat([torch.zeros_like(self.states), end])
        for _ in range(min(window, len(self.states)) - 1):
            by_state, signal = self._step(steps, later[1:])
            later = torch.cat([by_state + self._answered(steps, signal), end])
        signal = self._step(steps, later[1:])[1].movedim(0, 2)
        return signal if signal.isfinite().all() else self.graphs().sliding(window)

    @property
    def end(self) -> Tensor:
        return self.terminal_by_state.movedim(-1, 0)

    def back(
        self, t: int, adjoint: Tensor | None, mixed: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        assert adjoint is not None  # here every derivative is a number
        by_state, signal = self._step(t, adjoint.movedim(0, -1))
        if mixed:
            signal = mixed(signal.movedim(-1, 0)).movedim(0, -1)
        return signal.movedim(-1, 0), (by_state + self._answered(t, signal)).movedim(-1, 0)

    def reach(self, t: int, adjoint: Tensor | None) -> Tensor:
        assert adjoint is not None
        none = torch.zeros_like(self.discounts[t])
        return self._step(t, adjoint.movedim(0, -1), none)[1].movedim(-1, 0)

    def _step(self, t: int | slice, adjoint: Tensor, reward: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Signals on state and output of these steps, each by itself."""
        reward = self.discounts[t] if reward is None else reward
        by_state, by_mean = self.dynamics.step_vjp(
            self.states[t], self.actions[t], self.disturbances[t], adjoint, reward
        )
        return by_state, by_mean

    def _answered(self, t: int | slice, signal: Tensor) -> Tensor:
        """What a signal on the policy's output is on the state."""
        if signal.shape[-1] == 1:
            by_observation = signal * self.slopes[t, ..., 0, :]
        else:
            by_observation = (signal.unsqueeze(-2) @ self.slopes[t]).squeeze(-2)
        by_state: Tensor = self.dynamics.observe_vjp(self.states[t], by_observation)
        return by_state


@dataclass(frozen=True)
class StepGraph:
    """One step and the policy's answer to its state, with torch's graph of them from state and mean, which are leaves.

    All are (batches, samples, width) but the reward, which is (batches, samples) and discounted to time 0.
    """

    state: Tensor
    mean: Tensor
    next_state: Tensor
    reward: Tensor
    answer: Tensor

    def back(self, adjoint: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """`d_s rho + f_s^T lambda` and `d_mu rho + f_mu^T lambda`, (..., width); None where nothing depends."""
        weights = None if adjoint is None else adjoint.movedim(0, -1)
        outputs, ones = (self.next_state, self.reward), torch.ones_like(self.reward)
        by_state, by_mean = _backward(outputs, (self.state, self.mean), (weights, ones))
        return by_state, by_mean


@dataclass(frozen=True)
class StepGraphs:
    """The same steps as graphs: slower than a `Linearisation`, and as a graph of the whole rollout at every edge."""

    steps: Sequence[StepGraph]
    end: Tensor | None

    def back(
        self, t: int, adjoint: Tensor | None, mixed: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        step = self.steps[t]
        by_state, by_mean = step.back(adjoint)
        signal = (torch.zeros_like(step.mean) if by_mean is None else by_mean).movedim(-1, 0)
        if mixed:
            signal = mixed(signal)
        (answered,) = _backward((step.answer,), (step.state,), (signal.movedim(0, -1),))
        parts = [part for part in (by_state, answered) if part is not None]
        return signal, sum(parts[1:], parts[0]).movedim(-1, 0) if parts else None

    def reach(self, t: int, adjoint: Tensor | None) -> Tensor:
        step = self.steps[t]
        weights = None if adjoint is None else adjoint.movedim(0, -1)
        (by_mean,) = _backward((step.next_state,), (step.mean,), (weights,))
        return (torch.zeros_like(step.mean) if by_mean is None else by_mean).movedim(-1, 0)

    def pathwise(self, window: int | None = None, bridge: Tensor | None = None) -> Tensor:
        """See `scorepath.adjoint.Linearisation.pathwise`; the bridge's batches are those of these steps."""
        adjoint, signals = self.end, []
        for t in reversed(range(len(self.steps))):
            signal, adjoint = self.back(t, adjoint)
            signals.append(signal)
            if window and t and t % window == 0:
                adjoint = None if bridge is None else bridge[t // window - 1].movedim(-1, 0)
        return _in_time(signals[::-1])

    def sliding(self, window: int) -> Tensor:
        """See `scorepath.adjoint.Linearisation.sliding`."""
        horizon, signals = len(self.steps), []
        for t in range(horizon):
            stop = min(horizon, t + window)
            adjoint = self.end if stop == horizon else None
            for k in reversed(range(t, stop)):
                signal, adjoint = self.back(k, adjoint)
            signals.append(signal)
        return _in_time(signals)


def _in_time(signals: Sequence[Tensor]) -> Tensor:
    """Signals of the steps, each (output_dim, batches, samples): (batches, samples, horizon, output_dim)."""
    return torch.stack(list(signals)).permute(2, 3, 0, 1)


def compiled_steps(trajectories: Trajectories, draws: RolloutNoise, compiled: Dynamics) -> CompiledSteps:
    """Those of a rollout that has kept its steps."""
    environment = trajectories.simulator.environment
    *states, last = trajectories.states
    discounts = draws.action.new_tensor([environment.discount**t for t in range(environment.horizon)])
    end = last.detach().requires_grad_()
    with torch.enable_grad():
        terminal = environment.discount**environment.horizon * environment.terminal_reward(end)
    return CompiledSteps(
        batches=slice(None),
        trajectories=trajectories,
        dynamics=compiled,
        states=torch.stack(states),
        actions=trajectories.actions.movedim(2, 0).contiguous(),
        disturbances=draws.process.movedim(2, 0).contiguous(),
        slopes=torch.stack(slopes(trajectories), -2),
        discounts=discounts[:, None, None].expand(-1, *draws.action.shape[:2]).contiguous(),
        terminal_by_state=gradients(terminal, (end,))[0],
        graphs=partial(step_graphs, trajectories, draws, None),
    )


def slopes(trajectories: Trajectories) -> list[Tensor]:
    """Each of the policy's outputs by the observation, (horizon, batches, samples, observation_dim)."""
    simulator = trajectories.simulator
    coordinates = range(simulator.policy.output_dim)
    if trajectories.slopes:
        slopes = torch.stack(list(trajectories.slopes))
        return [slopes[..., coordinate, :] for coordinate in coordinates]
    parameters = simulator.parameters.detach().to(trajectories.observations)
    return [
        simulator.policy.observation_gradient(
            parameters, trajectories.layer_inputs, unit_signals(trajectories, coordinate)
        ).movedim(2, 0)
        for coordinate in coordinates
    ]


def step_graphs(
    trajectories: Trajectories, draws: RolloutNoise, relax: Callable[[Tensor], Tensor] | None
) -> StepGraphs:
    """Those of the same steps, with `relax` as in `Simulator.rollout`."""
    simulator = trajectories.simulator
    environment, parameters = simulator.environment, simulator.parameters.detach().to(draws.action)
    *states, last = (each.detach().requires_grad_() for each in trajectories.states)
    means = [each.detach().requires_grad_() for each in trajectories.means]
    noises = zip(draws.action.unbind(2), draws.process.unbind(2), strict=True)
    steps = []
    with torch.enable_grad():
        policy = simulator.policy.function(parameters)
        for t, (state, mean, (eps, disturbance)) in enumerate(zip(states, means, noises, strict=True)):
            action = simulator.act(mean, eps, relax)
            next_state, reward = environment.differentiable_step(state, action, disturbance)
            answer = policy(environment.observe(state), t)[-1]
            steps.append(StepGraph(state, mean, next_state, reward * environment.discount**t, answer))
        terminal = environment.terminal_reward(last) * environment.discount**environment.horizon
    (end,) = _backward((terminal,), (last,), (torch.ones_like(terminal),))
    return StepGraphs(steps, None if end is None else end.movedim(-1, 0))


def _backward(
    outputs: Sequence[Tensor], leaves: Sequence[Tensor], weights: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """Gradients of the weighted sum of those outputs that have a weight; None for a leaf that none depends on."""
    used = [(output, weight) for output, weight in zip(outputs, weights, strict=True) if weight is not None]
    used = [(output, weight) for output, weight in used if output.requires_grad]
    if not used:
        return (None,) * len(leaves)
    values, signals = zip(*used, strict=True)
    return torch.autograd.grad(values, leaves, signals, retain_graph=True, allow_unused=True)
