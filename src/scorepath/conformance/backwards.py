"""What every environment's derivatives backwards in time must be: finite, and the same whichever way they are taken.

What overflows in single precision and is finite in double precision is no fault, only worth knowing: such samples are
recorded as not finite. Where no precision helps, the operations are named that made it so.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scorepath.adjoint import linearise
from scorepath.conformance.findings import Remark, source_file
from scorepath.dynamics import torch_alone
from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment, make_policy
from scorepath.noise import Noise, RolloutNoise, Stream
from scorepath.rollout import Simulator

TRAJECTORIES = 16
TOLERANCE = 1e-6
"""Relative to the largest entry of a trajectory's signal; chaos amplifies what rounding does to float64."""
Case = tuple[Simulator, RolloutNoise]


def finite_derivatives(environment: Environment) -> Iterator[str]:
    """The return's derivative by the actions is finite."""
    if not _differentiable(environment):
        return
    simulator, draws = _cases(environment)[0]
    single = RolloutNoise(*(each.float() for each in draws))
    found = _by_graph(simulator, single)
    if found is None or found.isfinite().all():
        return
    share = (~found.isfinite()).any(-1).double().mean().item()
    precise = _by_graph(simulator, RolloutNoise(*(each.double() for each in single)))
    assert precise is not None
    if precise.isfinite().all():
        yield Remark(
            f"the derivative of the return by the actions is beyond single precision at {share:.0%} of the actions "
            f"tried (up to {precise.abs().max().item():.1g}): such samples are recorded as not finite"
        )
        return

    def returns() -> tuple[Tensor, Sequence[Tensor]]:
        trajectories = simulator.rollout(single, differentiable=True)
        return trajectories.returns.sum(), trajectories.means

    yield (
        f"the derivative of the return by the actions is not finite at {share:.0%} of them: "
        f"{breaking_operations(environment, returns)}"
    )


def adjoint_is_the_graph(environment: Environment) -> Iterator[str]:
    """Derivatives of all steps at once give what torch's graph of the whole rollout gives."""
    if not _differentiable(environment):
        return
    for simulator, draws in _cases(environment):
        expected = _by_graph(simulator, draws)
        if expected is None:
            return
        with torch_alone():
            _, parts = linearise(simulator, draws)
            found = torch.cat([part.pathwise() for part in parts])
        finite = expected.isfinite()
        largest = torch.where(finite, expected, 0.0).abs().amax((-2, -1), keepdim=True)
        wrong = (found.isfinite() != finite) | (finite & ~((found - expected).abs() <= TOLERANCE * largest))
        if wrong.any():
            yield (
                f"the derivative of the return differs at {wrong.any(-1).double().mean().item():.0%} of the actions "
                "when the steps are differentiated side by side: step() and observe() must take any leading "
                "dimensions, and depend on nothing but their inputs"
            )
            return


def breaking_operations(environment: Environment, objective: Callable[[], tuple[Tensor, Sequence[Tensor]]]) -> str:
    """Operations whose derivative is not finite although what came back to them was, with their lines in the file.

    Args:
        environment: in whose file the lines are looked for.
        objective: computes what is differentiated, and what by.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anomaly detection is slow, which is all that torch warns of
        with torch.autograd.set_detect_anomaly(True, check_nan=False):
            value, leaves = objective()
    own = source_file(type(environment))
    found: dict[str, None] = {}

    def note(node: torch.autograd.graph.Node) -> None:
        def hook(results: tuple[Tensor | None, ...], given: tuple[Tensor | None, ...]) -> None:
            if _finite(given) and not _finite(results):
                found[_operation(node, str(own))] = None

        node.register_hook(hook)

    waiting, seen = [value.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            note(node)
            waiting.extend(following for following, _ in node.next_functions)
    gradients(value, leaves)
    return ", ".join(found) or "look for sqrt, norm, acos or 0/0 at 0"


def _finite(values: tuple[Tensor | None, ...]) -> bool:
    return all(value is None or bool(value.isfinite().all()) for value in values)


def _operation(node: torch.autograd.graph.Node, file: str) -> str:
    """Such as `sqrt at line 12 of mine.py`."""
    name = re.sub(r"Backward\d*$", "", node.name()).lower()
    frames = [re.search(rf'File "{re.escape(file)}", line (\d+)', text) for text in _stack(node)]
    lines = [match[1] for match in frames if match]
    return f"{name} at line {lines[-1]} of {file.rpartition('/')[2]}" if lines else name


def _stack(node: torch.autograd.graph.Node) -> list[str]:
    """Where the operation was called, as anomaly detection notes it; torch's stub takes the note for a method."""
    notes: Any = node.metadata
    return list(notes.get("traceback_", ()))


def _differentiable(environment: Environment) -> bool:
    return environment.differentiable and not environment.discrete_actions


def _cases(environment: Environment) -> list[Case]:
    """The default policy's first parameters with little noise, and a policy in generic position with much."""
    policy = make_policy(environment)
    first = policy.initial_parameters(np.random.default_rng(0))
    generic = first + 0.3 * torch.randn(len(first), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    draws = Noise(environment, Stream(0, "conformance", "rollout"), range(1), TRAJECTORIES, torch.float64).rollout
    return [(Simulator(environment, policy, first, 0.1), draws), (Simulator(environment, policy, generic, 1.0), draws)]


def _by_graph(simulator: Simulator, draws: RolloutNoise) -> Tensor | None:
    """The signal from a graph of the whole rollout; None where the return is cut off from the actions."""
    trajectories = simulator.rollout(draws, differentiable=True)
    return trajectories.action_gradient(trajectories.returns) if trajectories.returns.requires_grad else None
