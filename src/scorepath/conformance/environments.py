"""What every environment must be: pure, batched, differentiable where it says so, and truthful in what it declares.

Single steps are checked at points of trajectories under random actions, so that states are ones that do occur. All
draws have fixed seeds.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from scorepath.conformance.backwards import adjoint_is_the_graph, finite_derivatives
from scorepath.conformance.findings import describe, knobs
from scorepath.conformance.points import (
    BATCHES,
    TAKES,
    Points,
    draw_points,
    outputs,
)
from scorepath.conformance.steps import (
    derivatives,
    devices,
    early_ends,
    finiteness,
    precision,
    process_noise,
    purity,
    rows_are_independent,
    terminal_rewards,
)
from scorepath.conformance.trajectories import continuity, exact_objective, known_jumps, whole_rollouts
from scorepath.environments.base import Environment, ReferenceClass

ROLLOUT = (1, 4)
"""Leading dimensions of a first call: batches and samples of a small rollout."""

# --- inputs and outputs -----------------------------------------------------------------------------------------------


# --- declarations -----------------------------------------------------------------------------------------------------


def declarations(environment: Environment) -> Iterator[str]:
    """Sizes are sizes and declarations do not contradict each other."""
    source = getattr(environment, "source", None)
    if not isinstance(source, str) or not source.strip():
        yield "source must be declared: author and year of the dynamics, or your own name"
    reference_class, known = getattr(environment, "reference_class", None), get_args(ReferenceClass)
    if reference_class not in known:
        yield f"reference_class must be one of {', '.join(known)}, got {reference_class!r}"
    for name, least in [
        *((name, 1) for name in ("horizon", "state_dim", "observation_dim", "action_dim")),
        *((name, 0) for name in ("initial_noise_dim", "process_noise_dim")),
    ]:
        size: Any = getattr(environment, name)
        if not isinstance(size, int) or isinstance(size, bool) or size < least:
            yield f"{name} must be an integer of at least {least}, got {size!r}"
    for name in (
        *("discrete_actions", "differentiable", "continuous", "terminal_reward_only"),
        *("relaxed_actions", "moving_support"),
    ):
        if not isinstance(getattr(environment, name), bool):
            yield f"{name} must be True or False, got {getattr(environment, name)!r}"
    if environment.discrete_actions and environment.moving_support:
        yield "discrete_actions and moving_support exclude each other: declare one of them"
    if environment.relaxed_actions and not environment.discrete_actions:
        yield "relaxed_actions is declared, but the actions are continuous: drop it, or declare discrete_actions = True"
    if environment.default_policy not in ("open_loop", "linear", "mlp"):
        yield f"default_policy must be open_loop, linear or mlp, got {environment.default_policy!r}"
    yield from knobs(environment)


def shapes(environment: Environment) -> Iterator[str]:
    """Every method gives its own size after any leading dimensions, in the dtype of its inputs."""
    for method in TAKES:
        for batch in BATCHES:
            for dtype in (torch.float64, torch.float32):
                results, wrong = _called(environment, method, draw_points(environment, *batch, dtype=dtype), batch)
                if wrong:
                    yield wrong
                    return  # what follows from it would only repeat it
                for what, value in results.items():
                    right = torch.bool if method == "active" else dtype
                    if value.dtype != right:
                        yield f"{what} is {value.dtype} where its inputs are {dtype}: it must be {right}"
                        return


def first_calls(environment: Environment) -> Iterator[str]:
    """Every method once, as a rollout calls it: whether it can be, and whether what it gives has its size.

    Raises:
        Exception: what the environment's code raises, unless it does so in torch's graph alone.
    """
    points = draw_points(environment, *ROLLOUT)
    for method in TAKES:
        _, wrong = _called(environment, method, points, ROLLOUT)
        if wrong:
            yield f"{wrong} ({method}() begins at {_begins(environment, method)})"
            return
    if environment.differentiable and not environment.discrete_actions:
        leaves = {name: points[name].clone().requires_grad_() for name in ("state", "action")}
        try:
            outputs(environment, "step", {**points, **leaves}, differentiable=True)
        except Exception as error:  # without a graph there was none
            yield f"{describe(error, type(environment))}; where torch cannot follow, declare differentiable = False"


def _called(
    environment: Environment, method: str, points: Points, batch: tuple[int, ...]
) -> tuple[dict[str, Tensor], str]:
    """What a method gives, by name, and what is wrong with its kind or shape, or ""."""
    sizes: dict[str, tuple[int, ...]] = {
        "the result of initial_state()": (environment.state_dim,),
        "the result of observe()": (environment.observation_dim,),
        "the next state of step()": (environment.state_dim,),
        "the reward of step()": (),
        "the result of terminal_reward()": (),
        "the result of active()": (),
    }
    if method == "step":
        step: Any = environment.step
        returned = step(*(points[name] for name in TAKES[method]))
        if not isinstance(returned, tuple) or len(returned) != 2:
            return {}, f"step() must return two tensors, next state and reward, got {type(returned).__name__}"
    results: dict[str, Any] = outputs(environment, method, points)
    for what, value in results.items():
        if not isinstance(value, Tensor):
            return {}, f"{what} must be a tensor, got {type(value).__name__}"
        if value.shape != (*batch, *sizes[what]):
            return {}, (
                f"{what} has shape {tuple(value.shape)} where the batch has shape {batch}: it must be "
                f"{(*batch, *sizes[what])}"
            )
    return results, ""


def _begins(environment: Environment, method: str) -> str:
    """Line and file of a method's definition."""
    function = getattr(type(environment), method)
    try:
        return f"line {inspect.getsourcelines(function)[1]} of {Path(inspect.getfile(function)).name}"
    except (TypeError, OSError):
        return f"{type(environment).__name__}.{method}"


# --- single steps -----------------------------------------------------------------------------------------------------


# --- whole trajectories -----------------------------------------------------------------------------------------------


CHECKS = (
    (declarations,),
    (shapes,),
    (purity,),
    (rows_are_independent, finiteness, precision, process_noise, terminal_rewards, early_ends, derivatives),
    (whole_rollouts, finite_derivatives, adjoint_is_the_graph, continuity, known_jumps, exact_objective, devices),
)
"""In this order; each group takes for granted what those before it found in order. About a second in all."""
