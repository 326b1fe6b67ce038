"""Many trajectories at once: `a_t = mu_theta(o_t) + sigma * eps_t`, then the environment's step.

A policy with a standard deviation of its own acts by `mu_theta(o_t) + sigma * s_theta(o_t) * eps_t`: the noise level
multiplies it, and 0 is the deterministic policy as ever. Signals live on the policy's output, which is then mu and
log s; what is a signal on the action becomes one on both here (`Trajectories.through_action`), and nowhere else.

The rollout needs no parameter gradients. With `differentiable=True` the policy's outputs are kept with their graph, and
the derivative of any function of the rewards with respect to one of them is the total derivative with respect to the
action: through the reward, the dynamics and every later evaluation of the policy. `scorepath.adjoint` has that of the
return without such a graph, and sooner.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from scorepath.dynamics import dynamics
from scorepath.engine import Answer, Engine, engine
from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment, make_policy, require_instance
from scorepath.noise import RolloutNoise
from scorepath.policies import Policy


@dataclass(frozen=True)
class Trajectories:
    """What a rollout leaves behind. `batches` are the batches an optimiser step would average separately.

    | field | meaning | shape |
    |---|---|---|
    | observations | what the policy saw (differentiably) | (batches, samples, horizon, observation_dim) |
    | hidden | activations of each hidden layer, if kept | each (batches, samples, horizon, width) |
    | slopes | outputs by observation, if kept | horizon × (batches, samples, output_dim, observation_dim) |
    | rewards | `gamma^t r_t`; the last one includes the terminal reward | (batches, samples, horizon) |
    | action_noise | `eps` as drawn, before any clipping | (batches, samples, horizon, action_dim) |
    | choice_probabilities | softmax(logits / sigma), discrete actions only | (batches, samples, horizon, action_dim) |
    | actions | as taken | (batches, samples, horizon, action_dim) |
    | means | the policy's outputs, if kept or differentiable | horizon × (batches, samples, output_dim) |
    | stds | the policy's own standard deviations s, or None if it has none | (batches, samples, horizon, action_dim) |
    | states | before each step and after the last one, if kept | (horizon + 1) × (batches, samples, state_dim) |
    | active | whether the episode still went on, or None if it never ends early | (batches, samples, horizon) |
    """

    simulator: Simulator
    observations: Tensor
    actions: Tensor
    rewards: Tensor
    action_noise: Tensor
    choice_probabilities: Tensor | None
    means: Sequence[Tensor]
    states: Sequence[Tensor] = ()
    hidden: Sequence[Tensor] = ()
    slopes: Sequence[Tensor] = ()
    active: Tensor | None = None
    stds: Tensor | None = None

    @property
    def returns(self) -> Tensor:
        """R, the discounted return: (batches, samples)."""
        return self.rewards.sum(-1)

    @property
    def rewards_to_go(self) -> Tensor:
        """`G_t = sum_{k >= t} gamma^k r_k`, discounted to time 0: (batches, samples, horizon)."""
        return self.rewards.flip(-1).cumsum(-1).flip(-1)

    @property
    def layer_inputs(self) -> list[Tensor]:
        """What a pull-back starts from: the inputs of the policy's layers, each (batches, samples, horizon, width)."""
        return [self.observations.detach(), *self.hidden]

    @cached_property
    def score(self) -> Tensor:
        """`d log pi(a_t | o_t) / d output`, (batches, samples, horizon, output_dim): `eps / sigma` for Gaussian noise.

        With a standard deviation s of the policy's own, `eps / (sigma s)` by mu and `eps^2 - 1` by log s.
        For discrete actions it is the score with respect to the logits, `(onehot(a) - pi) / sigma`. Where the support
        moves, it is that of the density inside the support, `1 / (2 sqrt 3 sigma |1 + mu|)`, namely `-1 / (1 + mu)`.

        Raises:
            ValueError: without noise a policy has no density, hence no score.
        """
        sigma = self.simulator.sigma
        if sigma == 0:
            raise ValueError("at sigma = 0 the policy has no density and no score function")
        if self.choice_probabilities is not None:
            return (self.actions - self.choice_probabilities) / sigma
        if self.simulator.environment.moving_support:
            return -(1 + sigma * self.action_noise) / self.actions
        if self.stds is not None:
            return torch.cat([self.action_noise / (sigma * self.stds), self.action_noise.square() - 1], -1)
        return self.action_noise / sigma

    def through_action(self, signal: Tensor) -> Tensor:
        """The signal on the policy's output that a signal on the action is, (..., action_dim) to (..., output_dim).

        That is `delta` by mu and, if the policy has a standard deviation s, `delta * sigma * s * eps` by log s.
        """
        if self.stds is None:
            return signal
        return torch.cat([signal, signal * self.simulator.sigma * self.stds * self.action_noise], -1)

    def action_gradient(self, objective: Tensor) -> Tensor:
        """Total derivative of an objective's sum by each output: (batches, samples, horizon, output_dim).

        By mu it is that by the action, to which mu is added. It frees the graph: call it once per rollout.
        """
        return torch.stack(gradients(objective.sum(), self.means), dim=-2)

    def detach(self) -> Trajectories:
        """The same trajectories without the graph behind them."""
        rewards, observations = self.rewards.detach(), self.observations.detach()
        return replace(self, rewards=rewards, observations=observations, means=(), states=(), slopes=())

    def select(self, batches: slice) -> Trajectories:
        """Those of some of the batches."""
        return replace(
            self,
            simulator=self.simulator.select(batches),
            observations=self.observations[batches],
            actions=self.actions[batches],
            rewards=self.rewards[batches],
            action_noise=self.action_noise[batches],
            choice_probabilities=None if self.choice_probabilities is None else self.choice_probabilities[batches],
            means=[each[batches] for each in self.means],
            states=[each[batches] for each in self.states],
            hidden=[each[batches] for each in self.hidden],
            slopes=[each[batches] for each in self.slopes],
            active=None if self.active is None else self.active[batches],
            stds=None if self.stds is None else self.stds[batches],
        )


@dataclass(frozen=True, init=False)
class Simulator:
    """An environment, a policy with its parameters, and a noise level.

    Args:
        environment: any.
        policy: by default the environment's own.
        parameters: (P,), or (batches, P) for a population; by default where the policy's training would start, with
            the seed 0, in float64.
        sigma: standard deviation of the action noise (the scale of Gumbel noise where actions are discrete); it has to
            be given, and 0 is the noiseless policy.

    Raises:
        ValueError: if sigma is not given, negative or not finite, or parameters are not those of the policy.
        TypeError: if one of them is of another kind.

    >>> import scorepath as sp
    >>> simulator = sp.Simulator(sp.environments.Cosine(frequency=10.0, phase=1.0), sigma=0.1)
    >>> simulator.parameters
    tensor([0.], dtype=torch.float64)
    """

    environment: Environment
    policy: Policy
    parameters: Tensor
    sigma: float

    def __init__(
        self,
        environment: Environment,
        policy: Policy | None = None,
        parameters: Tensor | None = None,
        sigma: float = math.nan,
    ) -> None:
        require_instance("environment", environment, Environment)
        require_instance("sigma", sigma, Real)
        if not 0 <= sigma < math.inf:
            raise ValueError(
                f"sigma, the standard deviation of the action noise, must be given, finite and at least 0: {sigma}"
            )
        policy = make_policy(environment) if policy is None else policy
        if parameters is None:
            parameters = policy.initial_parameters(np.random.default_rng(0))
        require_instance("parameters", parameters, Tensor)
        if parameters.dim() not in (1, 2) or parameters.shape[-1] != policy.parameter_count:
            raise ValueError(
                f"parameters have shape {tuple(parameters.shape)}, but must have ({policy.parameter_count},), or "
                f"(batches, {policy.parameter_count}) for a population"
            )
        # a frozen dataclass, whose fields have their defaults from each other
        object.__setattr__(self, "environment", environment)
        object.__setattr__(self, "policy", policy)
        object.__setattr__(self, "parameters", parameters)
        object.__setattr__(self, "sigma", sigma)

    def with_sigma(self, sigma: float) -> Simulator:
        """The same policy at another noise level."""
        return replace(self, sigma=sigma)

    def select(self, batches: slice) -> Simulator:
        """With the policies of some of the batches, if each has its own."""
        return self if self.parameters.dim() == 1 else replace(self, parameters=self.parameters[batches])

    def returns(self, noise: RolloutNoise) -> Tensor:
        """The returns alone, (batches, samples)."""
        return self.rollout(noise, keep_hidden=False).returns

    def rollout(
        self,
        noise: RolloutNoise,
        *,
        differentiable: bool = False,
        keep_hidden: bool = True,
        keep_steps: bool = False,
        window: int | None = None,
        relax: Callable[[Tensor], Tensor] | None = None,
        compiled: Engine | None = None,
    ) -> Trajectories:
        """Simulate every trajectory of `noise`.

        Args:
            noise: initial, action and process noise; its dtype and device are those of the rollout.
            differentiable: keep the graph that `Trajectories.action_gradient` needs.
            keep_hidden: keep the activations that a pull-back starts from, if torch evaluates the policy.
            keep_steps: keep the states, the policy's outputs and its derivatives if it is compiled, which
                `scorepath.adjoint` starts from.
            window: cut the graph after every `window`-th state; the states kept are those before the cut.
            relax: for discrete actions, what takes the place of the choice: from the perturbed logits divided by
                sigma, (batches, samples, action_dim), to the action.
            compiled: the policy's kernels, in a graph; by default torch has the policy in it, and where there is no
                graph it is compiled if it can be.
        """
        environment, sigma = self.environment, self.sigma
        observe: Callable[[Tensor], Tensor] = environment.observe
        step: Callable[..., tuple[Tensor, Tensor]]
        step = environment.differentiable_step if differentiable else environment.step
        parameters = self.parameters.to(noise.action)
        observations, actions, rewards, probabilities, means, states, active = [], [], [], [], [], [], []
        stds: list[Tensor] = []
        hidden: list[Tensor] = []
        slopes: list[Tensor] = []
        rooms: list[tuple[Tensor, ...]] = []
        action_noise, process_noise = noise.action.unbind(-2), noise.process.unbind(-2)
        if not differentiable:
            compiled = engine(self.policy, parameters, backwards=keep_steps)
            if quick := dynamics(environment, noise.action):
                observe, step = quick.observe, quick.step
        with torch.set_grad_enabled(differentiable):
            policy = None if compiled else self.policy.function(parameters)
            state = environment.initial_state(noise.initial)
            for t in range(environment.horizon):
                if keep_steps:
                    states.append(state)
                if window and t % window == 0:
                    state = state.detach()
                observation = observe(state)
                observations.append(observation)
                activations: list[Tensor] = []
                if policy is not None:
                    *activations, output = policy(observation, t)
                elif compiled and differentiable:
                    output = Answer.apply(observation, compiled)
                elif compiled:
                    output, slope = compiled.step(observation, keep_steps)
                    if slope is not None:
                        slopes.append(slope)
                if keep_hidden and not hidden:
                    hidden = [_room(each, environment.horizon) for each in activations]
                    rooms = [each.unbind(-2) for each in hidden]
                for steps, values in zip(rooms, activations, strict=False):
                    steps[t].copy_(values.detach())
                if differentiable:
                    # the first depends on nothing, unless it is the parameters that are differentiated
                    means.append(output if output.requires_grad else output.requires_grad_())
                elif keep_steps:
                    means.append(output)
                log_std = self.policy.split(output)[1]
                action = self.act(output, action_noise[t], relax)
                if environment.discrete_actions and sigma > 0:
                    probabilities.append(torch.softmax(output.detach() / sigma, -1))
                if log_std is not None:
                    stds.append(log_std.detach().exp())
                if (going := environment.active(state)) is not None:
                    active.append(going)
                state, reward = step(state, action, process_noise[t])
                if environment.reward_noise > 0:
                    disturbance = environment.reward_noise * noise.reward[..., t, 0]
                    reward = reward + (disturbance if going is None else disturbance * going)
                actions.append(action.detach())
                rewards.append(reward * environment.discount**t if environment.discount < 1 else reward)
            if keep_steps:
                states.append(state)
            rewards[-1] = rewards[-1] + environment.terminal_reward(state) * environment.discount**environment.horizon
            return Trajectories(
                simulator=self,
                observations=torch.stack(observations, dim=-2),
                actions=torch.stack(actions, dim=-2),
                rewards=torch.stack(rewards, dim=-1),
                action_noise=noise.action,
                choice_probabilities=torch.stack(probabilities, dim=-2) if probabilities else None,
                means=means,
                states=states,
                hidden=hidden,
                slopes=slopes,
                active=torch.stack(active, dim=-1) if active else None,
                stds=torch.stack(stds, dim=-2) if stds else None,
            )

    def act(self, output: Tensor, eps: Tensor, relax: Callable[[Tensor], Tensor] | None) -> Tensor:
        """The action (..., action_dim) for the policy's output, (..., output_dim), and the noise, (..., action_dim)."""
        mean, log_std = self.policy.split(output)
        if log_std is not None:
            eps = log_std.exp() * eps
        if self.environment.moving_support:
            return (1 + mean) * (1 + self.sigma * eps)
        perturbed = torch.add(mean, eps, alpha=self.sigma)
        if not self.environment.discrete_actions:
            return perturbed
        if relax is not None:
            return relax(perturbed / self.sigma)
        return torch.nn.functional.one_hot(perturbed.argmax(-1), mean.shape[-1]).to(mean)


def _room(values: Tensor, steps: int) -> Tensor:
    """Memory for values (..., width) of so many steps: (..., steps, width)."""
    return values.new_empty(*values.shape[:-1], steps, values.shape[-1])
