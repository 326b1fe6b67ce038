"""Any `torch.nn.Module` as a policy: its parameters in one flat vector, its gradients by `torch.func`.

A module brings no pull-back of its own. `torch.func.grad` differentiates the sum of outputs times signals by the
parameters, and `torch.func.vmap` does so for many trajectories at once, each by itself; the same operation gives a
population of policies. So a module has to be a function of one observation: no randomness, nothing written to its
buffers or its input, and each row by itself. `require_function` says where one is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from scorepath.policies import Function, Inputs, Policy, Signals

SAVE = "save them from a module of the same sizes"
EVAL = "call .eval() on it where it is made"
ROWS = 3
"""Observations that a module is tried with."""


@dataclass(frozen=True, eq=False)
class ModulePolicy(Policy):
    """A module from rows of observations (n, observation_dim) to rows of outputs (n, output_dim).

    Its parameters are those that require gradients, in the order of `named_parameters`; frozen ones stay as they are.

    Args:
        make: returns the module, initialised; called again wherever training starts anew, each time with torch's random
            numbers seeded, unless `weights` are given.
        observation_dim: width of its input.
        output_dim: width of its output: action_dim, or twice that with `log_std`.
        log_std: whether the second half of the output is the logarithm of the standard deviation.
        weights: a state dict, which every training starts from.

    Raises:
        ValueError: where the weights are not those of the module, or it is no function of one observation.

    >>> policy = ModulePolicy(lambda: nn.Sequential(nn.Linear(3, 8), nn.ELU(), nn.Linear(8, 2)), 3, 2)
    >>> policy.parameter_count
    50
    """

    make: Callable[[], nn.Module]
    observation_dim: int
    output_dim: int = 1
    log_std: bool = False
    weights: Mapping[str, Tensor] | None = None
    module: nn.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        module = self._seeded(0)
        if self.weights is not None:
            require_weights(module, self.weights)
            module.load_state_dict(self.weights)
        if not any(each.requires_grad for each in module.parameters()):
            raise ValueError(f"{type(module).__name__} has no parameters that require gradients: nothing can be learnt")
        object.__setattr__(self, "module", module)
        require_function(self)

    def _seeded(self, seed: int) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                module = self.make()
            except Exception as error:  # the user's code may raise anything
                raise ValueError(f"it cannot be made: {_line(error)}") from error
        if not isinstance(module, nn.Module):
            raise ValueError(
                f"it must be a torch.nn.Module or a function that returns one, got {type(module).__name__}"
            )
        return module

    @property
    def parameter_count(self) -> int:
        return sum(each.numel() for each in self.module.parameters() if each.requires_grad)

    def function(self, parameters: Tensor) -> Function:
        if parameters.dim() == 1:
            return lambda observation, t: [self._call(parameters, observation)]
        return lambda observation, t: [vmap(self._call)(parameters, observation)]

    def layer_signals(self, parameters: Tensor, inputs: Inputs, signal: Tensor) -> list[Tensor]:
        return [signal]

    def pull_back(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        of_samples = vmap(grad(self._weighted), in_dims=(None, 0, 0))
        return self._of_batches(of_samples, parameters, inputs[0], signals[0])

    def pull_back_mean(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return self._of_batches(grad(self._weighted), parameters, inputs[0], signals[0]) / signals[0].shape[1]

    def observation_gradient(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        return self._of_batches(grad(self._weighted, argnums=1), parameters, inputs[0], signals[0])

    def step_trace_variances(self, parameters: Tensor, inputs: Inputs, signals: Signals) -> Tensor:
        steps = zip(inputs[0].split(1, 2), signals[0].split(1, 2), strict=True)
        terms = (self.pull_back(parameters, [seen], [signal]) for seen, signal in steps)
        return torch.stack([term.var(1).sum(-1) for term in terms], -1)

    def initial_parameters(self, generator: np.random.Generator) -> Tensor:
        """The weights, or those of a module made anew with seeds from the generator."""
        module = self.module if self.weights is not None else self._seeded(int(generator.integers(2**62)))
        trained = [each.detach().double().flatten() for each in module.parameters() if each.requires_grad]
        return torch.cat(trained)

    def _call(self, parameters: Tensor, observation: Tensor) -> Tensor:
        """Output (..., output_dim) with parameters (P,), in their dtype.

        The module sees rows, (n, observation_dim): batch normalisation takes a second dimension for its channels.
        """
        values: dict[str, Tensor] = {}
        start = 0
        for name, each in self.module.named_parameters():
            if each.requires_grad:
                values[name] = parameters[start : start + each.numel()].view(each.shape)
                start += each.numel()
            else:
                values[name] = each.to(parameters)
        for name, buffer in self.module.named_buffers():
            values[name] = buffer.to(parameters) if buffer.is_floating_point() else buffer
        rows = observation.reshape(-1, observation.shape[-1])
        found: Tensor = functional_call(self.module, values, (rows,))
        return found.reshape(*observation.shape[:-1], found.shape[-1])

    def _weighted(self, parameters: Tensor, observations: Tensor, signal: Tensor) -> Tensor:
        return (self._call(parameters, observations) * signal).sum()

    @staticmethod
    def _of_batches(
        derivative: Callable[..., Tensor], parameters: Tensor, observations: Tensor, signal: Tensor
    ) -> Tensor:
        """Of each batch, under the parameters that all share, (P,), or under its own, (batches, P)."""
        shared = None if parameters.dim() == 1 else 0
        return vmap(derivative, in_dims=(shared, 0, 0))(parameters, observations, signal)


def require_weights(module: nn.Module, weights: Mapping[str, Any]) -> None:
    """Raises ValueError naming the first weight that does not fit."""
    own, name = module.state_dict(), type(module).__name__
    if lacking := [key for key in own if key not in weights]:
        raise ValueError(f"the weights have no {lacking[0]!r}, which {name} needs: {SAVE}")
    if foreign := [key for key in weights if key not in own]:
        raise ValueError(f"the weights have {foreign[0]!r}, which {name} has not: {SAVE}")
    for key, value in own.items():
        if tuple(weights[key].shape) != tuple(value.shape):
            raise ValueError(
                f"the weights have {key!r} of shape {tuple(weights[key].shape)}, but that of {name} is "
                f"{tuple(value.shape)}: {SAVE}"
            )
        if weights[key].is_floating_point() and not weights[key].isfinite().all():
            raise ValueError(f"the weights have numbers in {key!r} that are not finite: take those of an earlier time")


def require_function(policy: ModulePolicy) -> None:
    """Try a module on a few observations.

    Raises:
        ValueError: where it takes or returns other shapes, returns what is not finite, is random, writes to its buffers
            or its input, mixes rows, or is beyond what `torch.func` can differentiate.
    """
    module, name = policy.module, type(policy.module).__name__
    given = torch.linspace(-1, 1, ROWS * policy.observation_dim).reshape(ROWS, policy.observation_dim)
    parameters = policy.initial_parameters(np.random.default_rng(0)).float()
    seen, buffers = given.clone(), {key: each.clone() for key, each in module.named_buffers()}
    with torch.no_grad():
        try:
            output = module(seen)
        except Exception as error:  # the user's code may raise anything
            raise ValueError(
                f"{name} fails on observations of shape {tuple(given.shape)} (observation_dim is "
                f"{policy.observation_dim}): {_line(error)}"
            ) from error
        shape = tuple(getattr(output, "shape", ()))
        if shape != (ROWS, policy.output_dim):
            what = "twice action_dim, for a mean and a log standard deviation" if policy.log_std else "action_dim"
            raise ValueError(
                f"{name} returns {shape or type(output).__name__} for observations {tuple(given.shape)}, but must "
                f"return {(ROWS, policy.output_dim)}: {what}"
            )
        if not output.isfinite().all():
            raise ValueError(
                f"{name} returns numbers that are not finite for observations between -1 and 1: mend its weights, or "
                "what it computes"
            )
        if not torch.equal(seen, given):
            raise ValueError(f"{name} writes to the observations it is given: let it work on a copy")
        for key, each in module.named_buffers():
            if not torch.equal(each.nan_to_num(), buffers[key].nan_to_num()):
                raise ValueError(f"{name} writes to its buffer {key!r} when called: {EVAL}")
        if any(not torch.equal(module(given), output) for _ in range(2)):
            raise ValueError(f"{name} answers the same observation differently each time, as dropout does: {EVAL}")
    try:
        for dtype in (torch.float32, torch.float64):
            rows, theta = given.to(dtype), parameters.to(dtype)
            whole = policy.function(theta)(rows, 0)[-1]
            single = policy.function(theta)(rows[:1], 0)[-1]
            signal = torch.ones_like(whole)[:, None]
            # as a population, one trajectory of one step in each batch
            policy.pull_back(theta.expand(ROWS, -1), [rows[:, None, None]], [signal[:, None]])
    except Exception as error:
        raise ValueError(
            f"{name} cannot be differentiated by torch.func in float32 and float64 (no in-place writes, no choices by "
            f"a tensor's value, no dtype of its own): {_line(error)}"
        ) from error
    if not torch.allclose(whole[:1], single, rtol=1e-9, atol=1e-12):
        raise ValueError(f"{name} lets one row of observations enter another's output: each must stand by itself")


def _line(error: BaseException) -> str:
    """The first line of an error, for a sentence."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
