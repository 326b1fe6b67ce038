"""Mean functions mu_theta and their transposed Jacobians.

A policy turns an observation into the mean of the action distribution (or into logits, for discrete actions). All
its parameters live in one flat vector, shape `(P,)`: one policy, or `(batches, P)`: one policy per batch, which is how
a population is trained. Each policy also knows how to pull a signal on its output back to its parameters, which is
the whole derivative of the policy that an action-space estimator needs.

| symbol | tensor | shape |
|---|---|---|
| theta | parameters | (P,) or (batches, P) |
| o | observations | (batches, samples, horizon, observation_dim) |
| delta | signal on the policy's output | (batches, samples, horizon, action_dim) |
| g | gradient of each trajectory | (batches, samples, P) |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from scorepath.environments.base import Environment


class Policy(ABC):
    """A mean function with a flat parameter vector."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """P, the length of the flat parameter vector."""

    @abstractmethod
    def mean(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        """Output at step `t` for observations (..., samples, observation_dim): (..., samples, action_dim)."""

    @abstractmethod
    def pull_back(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        """`g = sum_t (d mu_theta(o_t) / d theta)^T delta_t` for every trajectory: (batches, samples, P)."""

    @abstractmethod
    def pull_back_mean(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        """The mean of `pull_back` over each batch, (batches, P), without forming a row per trajectory."""

    @abstractmethod
    def step_trace_variances(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        """Trace of the sample covariance within each batch of the terms of `pull_back`'s sum: (batches, horizon)."""

    def initial_parameters(self, generator: np.random.Generator) -> Tensor:
        """Where training starts, (P,) in float64: zeros unless the policy needs broken symmetry."""
        return torch.zeros(self.parameter_count, dtype=torch.float64)


@dataclass(frozen=True)
class OpenLoop(Policy):
    """One free mean per step and action coordinate, whatever is observed: `theta` reshaped (horizon, action_dim)."""

    horizon: int
    action_dim: int

    @property
    def parameter_count(self) -> int:
        return self.horizon * self.action_dim

    def mean(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        means = parameters.unflatten(-1, (self.horizon, self.action_dim))[..., t, :]
        return means.unsqueeze(-2).expand(*observation.shape[:-1], self.action_dim)

    def pull_back(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        return signal.flatten(-2)

    def pull_back_mean(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        return signal.flatten(-2).mean(-2)

    def step_trace_variances(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        return signal.var(1).sum(-1)


@dataclass(frozen=True)
class Network(Policy):
    """Fully connected tanh layers of the given sizes; two sizes and no bias make a linear gain `a = o @ W`."""

    sizes: tuple[int, ...]
    bias: bool = True

    @property
    def parameter_count(self) -> int:
        return sum((inputs + self.bias) * outputs for inputs, outputs in pairwise(self.sizes))

    def layers(self, parameters: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Weight (..., inputs, outputs) and bias (..., 1, outputs) of each layer, as views of the flat vector."""
        start = 0
        for inputs, outputs in pairwise(self.sizes):
            end = start + inputs * outputs
            weight = parameters[..., start:end].unflatten(-1, (inputs, outputs))
            start = end + outputs * self.bias
            yield weight, parameters[..., end:start].unsqueeze(-2) if self.bias else None

    def activations(self, parameters: Tensor, observation: Tensor) -> list[Tensor]:
        """The input of every layer and, last, the network's output."""
        values = [observation]
        for weight, bias in self.layers(parameters):
            # tanh between layers only: the output is linear
            inputs = values[-1] if len(values) == 1 else torch.tanh(values[-1])
            values[-1] = inputs
            values.append(inputs @ weight if bias is None else inputs @ weight + bias)
        return values

    def mean(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        return self.activations(parameters, observation)[-1]

    def layer_signals(self, parameters: Tensor, rows: Tensor, signal: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Each layer's input and the signal that reaches its output, both (batches, rows, width)."""
        weights = [weight for weight, _ in self.layers(parameters)]
        inputs = self.activations(parameters, rows)[:-1]
        pairs = []
        for layer in reversed(range(len(weights))):
            pairs.append((inputs[layer], signal))
            if layer:
                signal = (signal @ weights[layer].mT) * (1 - inputs[layer].square())
        return pairs[::-1]

    def pull_back(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        batches, samples, horizon = signal.shape[:3]
        parts = []
        for inputs, outputs in self.layer_signals(parameters, observations.flatten(1, 2), signal.flatten(1, 2)):
            inputs = inputs.reshape(batches * samples, horizon, -1)
            outputs = outputs.reshape(batches * samples, horizon, -1)
            parts.append((inputs.mT @ outputs).flatten(-2))
            if self.bias:
                parts.append(outputs.sum(-2))
        return torch.cat(parts, dim=-1).unflatten(0, (batches, samples))

    def pull_back_mean(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        samples = signal.shape[1]
        parts = []
        for inputs, outputs in self.layer_signals(parameters, observations.flatten(1, 2), signal.flatten(1, 2)):
            parts.append((inputs.mT @ outputs).flatten(-2))
            if self.bias:
                parts.append(outputs.sum(-2))
        return torch.cat(parts, dim=-1) / samples

    def step_trace_variances(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        samples = signal.shape[1]
        squares = torch.zeros_like(signal[:, 0, :, 0])
        for inputs, outputs in self.layer_signals(parameters, observations.flatten(1, 2), signal.flatten(1, 2)):
            if self.bias:  # the weight of a constant input
                inputs = torch.cat([inputs, torch.ones_like(inputs[..., :1])], -1)
            inputs, outputs = inputs.unflatten(1, (samples, -1)), outputs.unflatten(1, (samples, -1))
            # a term is an outer product, whose norm needs no matrix; only its mean over the batch does
            squares += (inputs.square().sum(-1) * outputs.square().sum(-1)).sum(1)
            squares -= torch.einsum("bsti,bsto->btio", inputs, outputs).square().sum((-2, -1)) / samples
        return squares.clamp_min(0) / (samples - 1)

    def initial_parameters(self, generator: np.random.Generator) -> Tensor:
        """Weights of variance 1 / inputs, a last layer ten times smaller, zero biases; a linear gain starts at 0."""
        parameters = super().initial_parameters(generator)
        if len(self.sizes) > 2:
            layers = list(self.layers(parameters))
            for depth, (weight, _) in enumerate(layers):
                scale = 0.1 if depth == len(layers) - 1 else 1.0
                draws = generator.standard_normal(tuple(weight.shape))
                weight.copy_(torch.from_numpy(draws) * scale / weight.shape[-2] ** 0.5)
        return parameters


def make_policy(environment: Environment, kind: str | None = None, hidden: tuple[int, ...] = (32, 32)) -> Policy:
    """The policy of this kind (`open_loop`, `linear` or `mlp`; by default the environment's own) that fits.

    Raises:
        ValueError: for an unknown kind.
    """
    kind = kind or environment.default_policy
    match kind:
        case "open_loop":
            return OpenLoop(environment.horizon, environment.action_dim)
        case "linear":
            return Network((environment.observation_dim, environment.action_dim), bias=False)
        case "mlp":
            return Network((environment.observation_dim, *hidden, environment.action_dim))
    raise ValueError(f"policy kind {kind!r} is unknown; choose open_loop, linear or mlp")
