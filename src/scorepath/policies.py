"""Mean functions mu_theta and their transposed Jacobians.

A policy turns an observation into the mean of the action distribution (or into logits, for discrete actions). All
its parameters live in one flat vector, shape `(P,)`: one policy, or `(batches, P)`: one policy per batch, which is how
a population is trained. Each policy also knows how to pull a signal on its output back to its parameters (the
vector-Jacobian product of its mean function), which is the whole derivative that an action-space estimator needs.

| symbol | tensor | shape |
|---|---|---|
| theta | parameters | (P,) or (batches, P) |
| o | observations | (batches, samples, horizon, observation_dim) |
| delta | signal on the policy's output | (batches, samples, horizon, action_dim) |
| g | gradient of each trajectory | (batches, samples, P) |
| inputs | of every layer: observations, then hidden activations | each (batches, samples, horizon, width) |
| signals | on every layer's output: what delta becomes there | each (batches, samples, horizon, width) |

A pull-back starts from the inputs of every layer, which a rollout has computed already. It has two halves: back through
the layers, which is linear in delta, and from there to the parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Layers = Sequence[tuple[Tensor, Tensor | None]]
Inputs = Sequence[Tensor]
Signals = Sequence[Tensor]
Function = Callable[[Tensor, int], list[Tensor]]
"""From observations (..., samples, observation_dim) of step `t` to hidden activations (..., samples, width), if there
are any, and last the output (..., samples, action_dim)."""


class Policy(ABC):
    """A mean function with a flat parameter vector."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """P, the length of the flat parameter vector."""

    def mean(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        """Output at step `t` for observations (..., samples, observation_dim): (..., samples, action_dim)."""
        return self.function(parameters)(observation, t)[-1]

    @abstractmethod
    def layers(self, parameters: Tensor) -> Layers:
        """Weight (..., inputs, outputs) and bias (..., 1, outputs) of each layer, as views of the flat vector."""

    @abstractmethod
    def function(self, parameters: Tensor) -> Function:
        """The policy with these parameters, made ready for the steps of a rollout."""

    @abstractmethod
    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        """The signal on every layer's output, from `delta` on the last one's."""

    @abstractmethod
    def pull_back(self, inputs: Inputs, signals: Signals) -> Tensor:
        """`g = sum_t (d mu_theta(o_t) / d theta)^T delta_t` for every trajectory: (batches, samples, P)."""

    @abstractmethod
    def pull_back_mean(self, inputs: Inputs, signals: Signals) -> Tensor:
        """The mean of `pull_back` over each batch, (batches, P), without forming a row per trajectory."""

    @abstractmethod
    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        """`(d mu_theta(o_t) / d o)^T delta_t` for every step: (batches, samples, horizon, observation_dim)."""

    @abstractmethod
    def step_trace_variances(self, inputs: Inputs, signals: Signals) -> Tensor:
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

    def layers(self, parameters: Tensor) -> Layers:
        return [(parameters.unflatten(-1, (self.horizon, self.action_dim)), None)]

    def function(self, parameters: Tensor) -> Function:
        ((means, _),) = self.layers(parameters)
        steps = means.unsqueeze(-3).unbind(-2)  # each (..., 1, action_dim)
        return lambda observation, t: [steps[t].expand(*observation.shape[:-1], self.action_dim)]

    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        return [signal]

    def pull_back(self, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].flatten(-2)

    def pull_back_mean(self, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].flatten(-2).mean(-2)

    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return torch.zeros_like(inputs[0])

    def step_trace_variances(self, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].var(1).sum(-1)


@dataclass(frozen=True)
class Network(Policy):
    """Fully connected tanh layers of the given sizes; two sizes and no bias make a linear gain `a = o @ W`."""

    sizes: tuple[int, ...]
    bias: bool = True

    @property
    def parameter_count(self) -> int:
        return sum((inputs + self.bias) * outputs for inputs, outputs in pairwise(self.sizes))

    def layers(self, parameters: Tensor) -> Layers:
        layers = []
        start = 0
        for inputs, outputs in pairwise(self.sizes):
            end = start + inputs * outputs
            weight = parameters[..., start:end].unflatten(-1, (inputs, outputs))
            start = end + outputs * self.bias
            layers.append((weight, parameters[..., end:start].unsqueeze(-2) if self.bias else None))
        return layers

    def function(self, parameters: Tensor) -> Function:
        *hidden, last = self.layers(parameters)
        # tanh x = 1 - 2 sigmoid(-2 x) takes a fifth to a half of `torch.tanh`'s time on a CPU; its error is that of
        # rounding a number near 1, also where tanh x is small. To multiply a layer by -2 rounds nothing.
        to_hidden = [affine(-2 * weight, None if bias is None else -2 * bias) for weight, bias in hidden]
        to_output = affine(*last)
        one = parameters.new_ones(())
        # in place a graph would have to mend the layer's output, which is a view
        sigmoid = torch.sigmoid if torch.is_grad_enabled() else torch.sigmoid_

        def function(observation: Tensor, t: int) -> list[Tensor]:
            values, activations = observation, []
            for layer in to_hidden:
                values = torch.sub(one, sigmoid(layer(values)), alpha=2)
                activations.append(values)
            return [*activations, to_output(values)]

        return function

    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        signals = [signal]
        for (weight, _), values in zip(self.layers(parameters)[:0:-1], inputs[:0:-1], strict=True):
            outputs = signals[-1].flatten(1, 2)
            # for one output a multiplication is quicker than a matrix product
            back = outputs * weight.mT if weight.shape[-1] == 1 else outputs @ weight.mT
            back = back.reshape(values.shape)
            # times 1 - tanh^2, the derivative of tanh, in place
            signals.append(torch.ops.aten.tanh_backward.grad_input(back, values, grad_input=back))
        return signals[::-1]

    def pull_back(self, inputs: Inputs, signals: Signals) -> Tensor:
        gradients = signals[0].new_empty(*signals[0].shape[:2], self.parameter_count)
        for (weight, bias), values, outputs in zip(self.layers(gradients), inputs, signals, strict=True):
            weight.copy_(_outer(values, outputs))
            if bias is not None:
                torch.sum(outputs, -2, keepdim=True, out=bias)
        return gradients

    def pull_back_mean(self, inputs: Inputs, signals: Signals) -> Tensor:
        samples = signals[0].shape[1]
        parts = []
        for values, outputs in zip(inputs, signals, strict=True):
            values, outputs = values.flatten(1, 2), outputs.flatten(1, 2)
            parts.append(_outer(values, outputs).flatten(-2))
            if self.bias:
                parts.append(outputs.sum(-2))
        return torch.cat(parts, dim=-1) / samples

    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        ((weight, _), *_) = self.layers(parameters)
        return (signals[0].flatten(1, 2) @ weight.mT).reshape(inputs[0].shape)

    def step_trace_variances(self, inputs: Inputs, signals: Signals) -> Tensor:
        samples = signals[0].shape[1]
        squares = torch.zeros_like(signals[0][:, 0, :, 0])
        for values, outputs in zip(inputs, signals, strict=True):
            if self.bias:  # the weight of a constant input
                values = torch.cat([values, torch.ones_like(values[..., :1])], -1)
            # a term is an outer product, whose norm needs no matrix; only its mean over the batch does
            squares += (values.square().sum(-1) * outputs.square().sum(-1)).sum(1)
            squares -= torch.einsum("bsti,bsto->btio", values, outputs).square().sum((-2, -1)) / samples
        return squares.clamp_min(0) / (samples - 1)

    def initial_parameters(self, generator: np.random.Generator) -> Tensor:
        """Weights of variance 1 / inputs, a last layer ten times smaller, zero biases; a linear gain starts at 0."""
        parameters = super().initial_parameters(generator)
        if len(self.sizes) > 2:
            layers = self.layers(parameters)
            for depth, (weight, _) in enumerate(layers):
                scale = 0.1 if depth == len(layers) - 1 else 1.0
                draws = generator.standard_normal(tuple(weight.shape))
                weight.copy_(torch.from_numpy(draws) * scale / weight.shape[-2] ** 0.5)
        return parameters


def _outer(values: Tensor, outputs: Tensor) -> Tensor:
    """`values^T outputs`, by way of its transpose where that has fewer rows: far quicker than few columns."""
    narrow = outputs.shape[-1] < values.shape[-1]
    return (outputs.mT @ values).mT if narrow else values.mT @ outputs


def affine(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """`inputs @ weight + bias` as one operation, for a shared layer or one per batch."""
    if bias is None:
        return lambda inputs: inputs @ weight
    if weight.dim() == 2:
        weight, bias = weight.mT.contiguous(), bias.squeeze(-2)
        return lambda inputs: torch.nn.functional.linear(inputs, weight, bias)
    if weight.shape[-1] < weight.shape[-2]:  # few columns, as in `_outer`
        weight, bias = weight.mT.contiguous(), bias.mT
        return lambda inputs: torch.baddbmm(bias, weight, inputs.mT).mT
    return lambda inputs: torch.baddbmm(bias, inputs, weight)
