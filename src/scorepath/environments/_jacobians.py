"""A step's Jacobians: taken by torch, or brought by the environment, and then a step that torch can differentiate.

A simulator of another system has no graph. It gives the numbers of its Jacobians instead, and one operation stands for
its whole step in torch's graph: forwards it is the step, backwards a product with these numbers, which are asked for
once, however often the graph is pulled through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From state, action and process noise to next state and reward."""


class StepJacobians(NamedTuple):
    """First derivatives of one step, for rows of any number, in the dtype of the state.

    | field | of | by | shape |
    |---|---|---|---|
    | next_by_state | next state | state | (..., state_dim, state_dim) |
    | next_by_action | next state | action | (..., state_dim, action_dim) |
    | reward_by_state | reward | state | (..., state_dim) |
    | reward_by_action | reward | action | (..., action_dim) |
    """

    next_by_state: Tensor
    next_by_action: Tensor
    reward_by_state: Tensor
    reward_by_action: Tensor


def gradients(
    outputs: Tensor, leaves: Sequence[Tensor], weights: Tensor | None = None, *, keep: bool = False
) -> tuple[Tensor, ...]:
    """Those of the outputs' (weighted) sum by each leaf, and 0 where nothing depends on it.

    So it is of a constant, which has no graph. With `keep` the graph can be pulled through again.
    """
    if not outputs.requires_grad:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    weights = torch.ones_like(outputs) if weights is None else weights
    return torch.autograd.grad(outputs, leaves, weights, retain_graph=keep, materialize_grads=True)


def by_torch(step: Step, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
    """Those of a `step` that is written in torch: a pass back for each coordinate of the state, and one for the reward.

    They are zero where nothing depends.
    """
    leaves = state.detach().requires_grad_(), action.detach().requires_grad_()
    with torch.enable_grad():
        next_state, reward = step(*leaves, process_noise)
        outputs = [*next_state.unbind(-1), reward]
    *of_next, of_reward = (gradients(output, leaves, keep=True) for output in outputs)
    return StepJacobians(*(torch.stack(each, -2) for each in zip(*of_next, strict=True)), *of_reward)


def jacobians_by_differences(
    step: Step, state: Tensor, action: Tensor, process_noise: Tensor, width: float = 1e-6
) -> StepJacobians:
    """Central differences of a `step` whose state can be set, over this half-width, in float64.

    For a simulator that nobody can differentiate, as its `step_jacobians`. Each takes `2 (state_dim + action_dim)`
    steps. Next to a jump it is no derivative.
    """
    dim = state.shape[-1]
    point = torch.cat([state, action], -1).detach().double()
    offsets = width * torch.eye(point.shape[-1]).to(point)
    moved = point[..., None, None, :] + torch.stack([offsets, -offsets])
    noise = process_noise.double()[..., None, None, :].expand(*moved.shape[:-1], -1)
    ends, paid = step(moved[..., :dim], moved[..., dim:], noise)
    by = ((ends[..., 0, :, :] - ends[..., 1, :, :]) / (2 * width)).transpose(-1, -2)
    reward = (paid[..., 0, :] - paid[..., 1, :]) / (2 * width)
    found = by[..., :dim], by[..., dim:], reward[..., :dim], reward[..., dim:]
    return StepJacobians(*(each.to(state) for each in found))


def with_jacobians(step: Step, jacobians: Callable[[Tensor, Tensor, Tensor], StepJacobians]) -> Step:
    """The same step in torch's graph, with these derivatives."""
    return lambda state, action, process_noise: _Step.apply(step, jacobians, state, action, process_noise)


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        step: Step,
        jacobians: Callable[[Tensor, Tensor, Tensor], StepJacobians],
        state: Tensor,
        action: Tensor,
        process_noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.jacobians, ctx.found = jacobians, None
        ctx.save_for_backward(state, action, process_noise)
        return step(state.detach(), action.detach(), process_noise)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, next_state: Tensor, reward: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.found is None:
            given = [each.detach() for each in ctx.saved_tensors]
            ctx.found = _of_shape(ctx.jacobians(*given), *given[:2])
        found: StepJacobians = ctx.found
        by_state = _vjp(found.next_by_state, next_state) + found.reward_by_state * reward[..., None]
        by_action = _vjp(found.next_by_action, next_state) + found.reward_by_action * reward[..., None]
        return None, None, by_state, by_action, None


def _vjp(jacobian: Tensor, signal: Tensor) -> Tensor:
    return (signal.unsqueeze(-2) @ jacobian).squeeze(-2)


def _of_shape(found: StepJacobians, state: Tensor, action: Tensor) -> StepJacobians:
    """The same, if they have their shapes: others would be broadcast to numbers that mean nothing.

    Raises:
        ValueError: naming the first that has another.
    """
    *rows, dim = state.shape
    wanted = ((*rows, dim, dim), (*rows, dim, action.shape[-1]), (*rows, dim), (*rows, action.shape[-1]))
    for name, value, shape in zip(StepJacobians._fields, found, wanted, strict=True):
        if value.shape != shape:
            raise ValueError(f"{name} of step_jacobians() has shape {tuple(value.shape)}: it must be {shape}")
    return StepJacobians(*(each.to(state) for each in found))
