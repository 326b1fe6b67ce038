"""Mean functions mu_theta and their transposed Jacobians.

A policy turns an observation into the mean of the action distribution (or into logits, for discrete actions) and, if
it has one of its own (`log_std`), into the logarithm of its standard deviation, which multiplies the noise level. All
its parameters live in one flat vector, shape `(P,)`: one policy, or `(batches, P)`: one policy per batch, which is how
a population is trained. Each policy also knows how to pull a signal on its output back to its parameters (the
vector-Jacobian product of its mean function), which is the whole derivative that an action-space estimator needs.

| symbol | tensor | shape |
|---|---|---|
| theta | parameters | (P,) or (batches, P) |
| o | observations | (batches, samples, horizon, observation_dim) |
| delta | signal on the policy's output | (batches, samples, horizon, output_dim) |
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
from torch.nn import functional

ACTIVATIONS = ("tanh", "relu", "elu", "silu", "gelu", "softplus", "sigmoid")
"""What a network may have between its layers, by the names in `torch.nn.functional`."""
Layers = Sequence[tuple[Tensor, Tensor | None]]
Inputs = Sequence[Tensor]
Signals = Sequence[Tensor]
Function = Callable[[Tensor, int], list[Tensor]]
"""From observations (..., samples, observation_dim) of step `t` to hidden activations (..., samples, width), if there
are any, and last the output (..., samples, output_dim)."""


class Policy(ABC):
    """A mean function with a flat parameter vector.

    Its output is the mean, `output_dim = action_dim`; with `log_std` it is the mean and then the logarithm of the
    standard deviation of each action coordinate, `output_dim = 2 action_dim`.
    """

    log_std: bool = False
    """Whether the policy has a standard deviation of its own, in units of the noise level."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """P, the length of the flat parameter vector."""

    @property
    @abstractmethod
    def output_dim(self) -> int:
        """Width of the output, which a signal lives on."""

    def output(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        """Output at step `t` for observations (..., samples, observation_dim): (..., samples, output_dim)."""
        return self.function(parameters)(observation, t)[-1]

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The output's mean and logarithm of the standard deviation, if it has one: each (..., action_dim)."""
        if not self.log_std:
            return output, None
        mean, log_std = output.chunk(2, -1)
        return mean, log_std

    def mean(self, parameters: Tensor, observation: Tensor, t: int) -> Tensor:
        """The output's mean alone: (..., samples, action_dim)."""
        return self.split(self.output(parameters, observation, t))[0]

    @abstractmethod
    def function(self, parameters: Tensor) -> Function:
        """The policy with these parameters, made ready for the steps of a rollout."""

    @abstractmethod
    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        """The signal on every layer's output, from `delta` on the last one's."""

    @abstractmethod
    def pull_back(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        """`g = sum_t (d mu_theta(o_t) / d theta)^T delta_t` for every trajectory: (batches, samples, P)."""

    @abstractmethod
    def pull_back_mean(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        """The mean of `pull_back` over each batch, (batches, P), without forming a row per trajectory."""

    @abstractmethod
    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        """`(d mu_theta(o_t) / d o)^T delta_t` for every step: (batches, samples, horizon, observation_dim)."""

    @abstractmethod
    def step_trace_variances(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
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

    @property
    def output_dim(self) -> int:
        return self.action_dim

    def layers(self, parameters: Tensor) -> Layers:
        return [(parameters.unflatten(-1, (self.horizon, self.action_dim)), None)]

    def function(self, parameters: Tensor) -> Function:
        ((means, _),) = self.layers(parameters)
        steps = means.unsqueeze(-3).unbind(-2)  # each (..., 1, action_dim)
        return lambda observation, t: [steps[t].expand(*observation.shape[:-1], self.action_dim)]

    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        return [signal]

    def pull_back(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].flatten(-2)

    def pull_back_mean(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].flatten(-2).mean(-2)

    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return torch.zeros_like(inputs[0])

    def step_trace_variances(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return signals[0].var(1).sum(-1)


@dataclass(frozen=True)
class Network(Policy):
    """Fully connected layers of the given sizes; two sizes and no bias make a linear gain `a = o @ W`.

    Raises:
        ValueError: for an activation that is none of `ACTIVATIONS`, or a log_std with an odd number of outputs.
    """

    sizes: tuple[int, ...]
    bias: bool = True
    activation: str = "tanh"
    log_std: bool = False

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.log_std and self.sizes[-1] % 2:
            raise ValueError(f"with log_std a network has two outputs for each action coordinate, got {self.sizes[-1]}")

    @property
    def parameter_count(self) -> int:
        return sum((inputs + self.bias) * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def output_dim(self) -> int:
        return self.sizes[-1]

    def layers(self, parameters: Tensor) -> Layers:
        """Weight (..., inputs, outputs) and bias (..., 1, outputs) of each layer, as views of the flat vector."""
        layers = []
        start = 0
        for inputs, outputs in pairwise(self.sizes):
            end = start + inputs * outputs
            weight = parameters[..., start:end].unflatten(-1, (inputs, outputs))
            start = end + outputs * self.bias
            layers.append((weight, parameters[..., end:start].unsqueeze(-2) if self.bias else None))
        return layers

    def function(self, parameters: Tensor) -> Function:
        return self._tanh_function(parameters) if self.activation == "tanh" else self._other_function(parameters)

    def _other_function(self, parameters: Tensor) -> Function:
        *to_hidden, to_output = (affine(*layer) for layer in self.layers(parameters))
        activation = getattr(functional, self.activation)

        def function(observation: Tensor, t: int) -> list[Tensor]:
            values, activations = observation, []
            for layer in to_hidden:
                values = activation(layer(values))
                activations.append(values)
            return [*activations, to_output(values)]

        return function

    def _tanh_function(self, parameters: Tensor) -> Function:
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
        layers = self.layers(parameters)
        for depth in range(len(layers) - 1, 0, -1):
            weight, values = layers[depth][0], inputs[depth]
            outputs = signals[-1].flatten(1, 2)
            # for one output a multiplication is quicker than a matrix product
            back = outputs * weight.mT if weight.shape[-1] == 1 else outputs @ weight.mT
            back = back.reshape(values.shape)
            if self.activation == "tanh":  # times 1 - tanh^2, its derivative, in place
                signals.append(torch.ops.aten.tanh_backward.grad_input(back, values, grad_input=back))
            else:
                signals.append(self._through_activation(layers[depth - 1], inputs[depth - 1], back))
        return signals[::-1]

    def _through_activation(self, layer: tuple[Tensor, Tensor | None], values: Tensor, back: Tensor) -> Tensor:
        """A signal on a hidden layer's activations becomes one on its output, which is computed anew from its input."""
        outputs = affine(*layer)(values.flatten(1, 2)).reshape(back.shape).detach().requires_grad_()
        with torch.enable_grad():
            activations = getattr(functional, self.activation)(outputs)
        return torch.autograd.grad(activations, outputs, back)[0]

    def pull_back(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        gradients = signals[0].new_empty(*signals[0].shape[:2], self.parameter_count)
        for (weight, bias), values, outputs in zip(self.layers(gradients), inputs, signals, strict=True):
            weight.copy_(_outer(values, outputs))
            if bias is not None:
                torch.sum(outputs, -2, keepdim=True, out=bias)
        return gradients

    def pull_back_mean(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
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

    def step_trace_variances(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
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


@dataclass(frozen=True)
class LearnedStd(Policy):
    """Another policy's mean, and a standard deviation per action coordinate that does not depend on the observation.

    The last `action_dim` parameters are its logarithms, which start at 0: the noise level itself.
    """

    base: Policy

    @property
    def log_std(self) -> bool:  # type: ignore[override]
        return True

    @property
    def parameter_count(self) -> int:
        return self.base.parameter_count + self.base.output_dim

    @property
    def output_dim(self) -> int:
        return 2 * self.base.output_dim

    def _parts(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of parameters (..., P), or of a signal on the output: the mean's, and the standard deviation's."""
        own = self.base.output_dim
        return values[..., :-own], values[..., -own:]

    def function(self, parameters: Tensor) -> Function:
        parameters, log_std = self._parts(parameters)
        of_mean, log_std = self.base.function(parameters), log_std.unsqueeze(-2)

        def function(observation: Tensor, t: int) -> list[Tensor]:
            *activations, mean = of_mean(observation, t)
            return [*activations, torch.cat([mean, log_std.expand_as(mean)], -1)]

        return function

    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        of_mean, of_std = self._parts(signal)
        return [*self.base.layer_signals(self._parts(parameters)[0], inputs, of_mean), of_std]

    def pull_back(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        *of_mean, of_std = signals
        return torch.cat([self.base.pull_back(self._parts(parameters)[0], inputs, of_mean), of_std.sum(-2)], -1)

    def pull_back_mean(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        *of_mean, of_std = signals
        mean = self.base.pull_back_mean(self._parts(parameters)[0], inputs, of_mean)
        return torch.cat([mean, of_std.sum(-2).mean(-2)], -1)

    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return self.base.observation_gradient(self._parts(parameters)[0], inputs, signals[:-1])

    def step_trace_variances(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        *of_mean, of_std = signals
        mean = self.base.step_trace_variances(self._parts(parameters)[0], inputs, of_mean)
        return mean + of_std.var(1).sum(-1)

    def initial_parameters(self, generator: np.random.Generator) -> Tensor:
        mean = self.base.initial_parameters(generator)
        return torch.cat([mean, mean.new_zeros(self.base.output_dim)])


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
