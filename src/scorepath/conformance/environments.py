"""What every environment must be: pure, batched, differentiable where it says so, and truthful in what it declares.

Single steps are checked at points of trajectories under random actions, so that states are ones that do occur. All
draws have fixed seeds.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from scorepath.conformance.findings import knobs
from scorepath.environments.base import Environment, ReferenceClass, SequentialEnvironment
from scorepath.noise import Noise, Stream
from scorepath.policies import make_policy
from scorepath.references.exact import exact_reference
from scorepath.rollout import Simulator

Points = dict[str, Tensor]
"""Inputs of single steps by name: initial noise, state, action and process noise, each (..., its size)."""

TAKES = {
    "initial_state": ("initial noise",),
    "observe": ("state",),
    "step": ("state", "action", "process noise"),
    "terminal_reward": ("state",),
    "active": ("state",),
}
BATCHES = ((), (5,), (2, 3))
ROWS, STEPS = 8, 6
"""Trajectories, and their first steps, at whose points single steps are checked."""
LARGE = 30.0
"""Factor of the large actions."""
NEARLY_ALL = 0.9
"""Share of points that have to agree where a jump or kink may lie at some."""
ROUNDING = 1e-9
"""Relative difference granted to float64 sums in another order."""
DIFFERENCE = 1e-6
"""Step of central differences, in units of state and action."""
FEW = 12
"""Steps after which episodes are cut short where continuity is checked."""


# --- inputs and outputs -----------------------------------------------------------------------------------------------


def draw_points(environment: Environment, *batch: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Points:
    """Generic inputs at first states; the numbers are those of single precision whatever the dtype."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (environment.initial_noise_dim, environment.action_dim, environment.process_noise_dim)
    initial, action, process = (torch.randn(*batch, size, generator=generator).to(dtype) for size in sizes)
    if environment.discrete_actions:
        action = torch.nn.functional.one_hot(action.argmax(-1), environment.action_dim).to(dtype)
    state = environment.initial_state(initial.clone())
    return {"initial noise": initial, "state": state, "action": action, "process noise": process}


def reachable_points(environment: Environment, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> Points:
    """The points of a few trajectories under random actions, (trajectories * steps, ...)."""
    parts: list[Points] = []
    for t in range(min(environment.horizon, STEPS)):
        points = draw_points(environment, ROWS, seed=t, dtype=dtype)
        if not environment.discrete_actions:
            points["action"] = scale * points["action"]
        if parts:
            before = parts[-1]
            points["state"] = environment.step(*(before[name].clone() for name in TAKES["step"]))[0]
        parts.append(points)
    return {name: torch.cat([part[name] for part in parts]).detach() for name in parts[0]}


def outputs(environment: Environment, method: str, points: Points) -> dict[str, Tensor]:
    """What a method returns at these points, by the words that name it in a finding."""
    returned: Any = getattr(environment, method)(*(points[name] for name in TAKES[method]))
    if method == "step":
        next_state, reward = returned
        return {"the next state of step()": next_state, "the reward of step()": reward}
    return {} if returned is None else {f"the result of {method}()": returned}


def same(one: Tensor, two: Tensor) -> bool:
    """Whether two tensors are equal, nan for nan."""
    return torch.allclose(one.double(), two.double(), rtol=0, atol=0, equal_nan=True)


def agree(one: Tensor, two: Tensor, relative: float, absolute: float | None = None) -> Tensor:
    """Whether each row agrees, in all of its entries: (rows,) of bool."""
    absolute = relative if absolute is None else absolute
    close = torch.isclose(one.double(), two.double(), rtol=relative, atol=absolute, equal_nan=True)
    return close.reshape(len(close), -1).all(1)


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
    sizes: dict[str, tuple[int, ...]] = {
        "the result of initial_state()": (environment.state_dim,),
        "the result of observe()": (environment.observation_dim,),
        "the next state of step()": (environment.state_dim,),
        "the reward of step()": (),
        "the result of terminal_reward()": (),
        "the result of active()": (),
    }
    for method in TAKES:
        for batch in BATCHES:
            for dtype in (torch.float64, torch.float32):
                points = draw_points(environment, *batch, dtype=dtype)
                if method == "step":
                    step: Any = environment.step
                    returned = step(*(points[name] for name in TAKES[method]))
                    if not isinstance(returned, tuple) or len(returned) != 2:
                        yield f"step() must return two tensors, next state and reward, got {type(returned).__name__}"
                        return
                results: dict[str, Any] = outputs(environment, method, points)
                for what, value in results.items():
                    right = torch.bool if method == "active" else dtype
                    if not isinstance(value, Tensor):
                        yield f"{what} must be a tensor, got {type(value).__name__}"
                    elif value.shape != (*batch, *sizes[what]):
                        yield (
                            f"{what} has shape {tuple(value.shape)} where the batch has shape {batch}: it must be "
                            f"{(*batch, *sizes[what])}"
                        )
                    elif value.dtype != right:
                        yield f"{what} is {value.dtype} where its inputs are {dtype}: it must be {right}"
                    else:
                        continue
                    return  # what follows from it would only repeat it


# --- single steps -----------------------------------------------------------------------------------------------------


def random_states() -> list[Any]:
    """The states of the global generators of torch, numpy and Python."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    return [torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2:], random.getstate()]


def purity(environment: Environment) -> Iterator[str]:
    """Inputs stay as they are, equal inputs give equal outputs, and no other random numbers are drawn."""
    points = reachable_points(environment)
    for method, names in TAKES.items():
        given = {name: points[name].clone() for name in names}
        generators = random_states()
        first = outputs(environment, method, given)
        first = {what: value.clone() for what, value in first.items()}
        for name in names:
            if not same(given[name], points[name]):
                yield f"{method}() changed its input `{name}` in place: return new tensors instead"
        second = outputs(environment, method, {name: points[name].clone() for name in names})
        if random_states() != generators or not all(same(first[what], second[what]) for what in first):
            yield (
                f"{method}() draws random numbers of its own: use the standard normals it is given, and declare how "
                "many in initial_noise_dim or process_noise_dim"
            )


def rows_are_independent(environment: Environment) -> Iterator[str]:
    """A row's results do not depend on its neighbours, nor on its place among them."""
    points = reachable_points(environment)
    rows = len(points["action"])
    mirrored = torch.arange(rows - 1, -1, -1)
    for method in TAKES:
        together = outputs(environment, method, points)
        for order in (torch.arange((rows + 1) // 2), mirrored):
            others = outputs(environment, method, {name: value[order] for name, value in points.items()})
            for what, value in others.items():
                if not agree(value, together[what][order], ROUNDING).all():
                    yield (
                        f"{what} changes for one row of a batch when the other rows do: let every row depend on itself "
                        "alone (sums and means only over the last dimension)"
                    )
                    break


def finiteness(environment: Environment) -> Iterator[str]:
    """No nan and no infinity, whether actions are moderate or large."""
    for size, scale in (("moderate", 1.0), ("large", LARGE)):
        points = reachable_points(environment, scale)
        for method in TAKES:
            for what, value in outputs(environment, method, points).items():
                if not value.isfinite().all():
                    share = (~value.isfinite()).double().mean().item()
                    yield f"{what} is not finite at {share:.0%} of the points tried, with {size} actions"


def precision(environment: Environment) -> Iterator[str]:
    """Single precision gives what double precision gives, but for rounding."""
    points = {name: value.float() for name, value in reachable_points(environment).items()}
    for method in TAKES:
        double = outputs(environment, method, {name: value.double() for name, value in points.items()})
        for what, value in outputs(environment, method, points).items():
            exact = double[what]
            scale = exact.double().abs().max().item() if exact.numel() else 0.0
            if agree(value, exact, 1e-3, 1e-4 * scale).double().mean() < NEARLY_ALL:
                yield f"{what} differs between float32 and float64 by more than rounding: compute in the inputs' dtype"


def process_noise(environment: Environment) -> Iterator[str]:
    """Declared noise has an effect: on the next state or the reward."""
    if environment.process_noise_dim and not _has_noise(environment):
        yield "process_noise_dim is positive, but step() does not use its process noise: use it, or declare 0"
    if isinstance(environment, SequentialEnvironment) and environment.process_noise == 0:
        noisy = dataclasses.replace(environment, process_noise=0.1)
        if not noisy.process_noise_dim:
            yield "the knob process_noise does nothing: declare process_noise_dim for process_noise > 0, and use it"
        elif not _has_noise(noisy):
            yield "the knob process_noise does nothing: add process_noise times the noise given to step()"


def _has_noise(environment: Environment) -> bool:
    points = reachable_points(environment)
    moved = {**points, "process noise": 1 - points["process noise"]}
    one, two = outputs(environment, "step", points), outputs(environment, "step", moved)
    return not all(torch.equal(one[what], two[what]) for what in one)


def terminal_rewards(environment: Environment) -> Iterator[str]:
    """`terminal_reward_only` means that no step pays."""
    if environment.terminal_reward_only:
        _, reward = environment.step(*(reachable_points(environment)[name] for name in TAKES["step"]))
        if (reward != 0).any():
            yield "terminal_reward_only is declared, but step() pays rewards: declare it False"


def early_ends(environment: Environment) -> Iterator[str]:
    """An episode that has ended stays so, and pays nothing more."""
    points = draw_points(environment, 64)
    if environment.active(points["state"]) is None:
        return
    state = points["state"]
    for t in range(environment.horizon):
        points = draw_points(environment, 64, seed=t)
        going = environment.active(state)
        state, reward = environment.step(state, points["action"], points["process noise"])
        after = environment.active(state)
        if going is None or after is None:
            yield "active() must always return a tensor, or always None"
            return
        if (after & ~going).any():
            yield "active() is True again after an episode's end: let the state stay in the end"
            return
        if (reward[~going] != 0).any():
            yield "step() pays a reward after an episode's end, where active() is False: it must be 0"
            return


def derivatives(environment: Environment) -> Iterator[str]:
    """What torch differentiates are the derivatives: along random directions they are central differences."""
    inputs: tuple[str, ...] = ("state", "action") if environment.differentiable else ()
    if environment.discrete_actions:
        inputs = ("action",) if environment.relaxed_actions else inputs[:1]
    points, generator = reachable_points(environment), torch.Generator().manual_seed(9)

    def like(value: Tensor) -> Tensor:
        return torch.randn(value.shape, generator=generator, dtype=value.dtype)

    if environment.discrete_actions:
        points["action"] = torch.softmax(like(points["action"]), -1)
    elif environment.differentiable:
        # states may lie exactly on a kink, such as a clipped speed; next to it they do not
        points["state"] = points["state"] + 1e-3 * like(points["state"])
    for method in ("step", "observe", "terminal_reward"):
        for name in (name for name in inputs if name in TAKES[method]):
            leaf, direction = points[name].clone().requires_grad_(), like(points[name])
            values = outputs(environment, method, {**points, name: leaf})
            ends = [
                outputs(environment, method, {**points, name: points[name] + side * DIFFERENCE * direction})
                for side in (1, -1)
            ]
            for what, value in values.items():
                weights = like(value)
                by_torch = torch.zeros_like(points[name])
                if value.requires_grad:
                    objective = (weights * value).sum()
                    (by_torch,) = torch.autograd.grad(objective, leaf, retain_graph=True, materialize_grads=True)
                slope = (by_torch * direction).sum(-1)
                difference = weights * (ends[0][what] - ends[1][what]) / (2 * DIFFERENCE)
                expected = difference.reshape(len(difference), -1).sum(-1)
                agrees = agree(slope, expected, 1e-4, 1e-5 * expected.abs().max().item() + 1e-7)
                if agrees.double().mean() < NEARLY_ALL:
                    wrong = int((~agrees).sum())
                    cut = "" if by_torch.any() else " (it is 0 everywhere: is something detached?)"
                    yield (
                        f"torch's derivative of {what} by the {name} differs from central differences at {wrong} of "
                        f"{len(agrees)} points{cut}: compute in torch throughout, or declare differentiable = False"
                    )


# --- whole trajectories -----------------------------------------------------------------------------------------------


def whole_rollouts(environment: Environment) -> Iterator[str]:
    """The default policy can be rolled out in single precision, and the return differentiated by the actions."""
    policy = make_policy(environment)
    parameters = policy.initial_parameters(np.random.default_rng(0)).float()
    draws = Noise(environment, Stream(0, "conformance", "rollout"), range(1), 16).rollout
    simulator = Simulator(environment, policy, parameters, 0.1)
    trajectories = simulator.rollout(draws, differentiable=environment.differentiable)
    if not trajectories.returns.isfinite().all():
        yield "returns are not finite under the default policy's first parameters at sigma = 0.1"
    if environment.differentiable and not environment.discrete_actions:
        if not trajectories.returns.requires_grad:
            yield (
                "the return is cut off from the actions: torch cannot differentiate it at all; compute in torch "
                "throughout, or declare differentiable = False"
            )
        elif not trajectories.action_gradient(trajectories.returns).isfinite().all():
            yield "the derivative of the return by the actions is not finite: look for sqrt, norm, acos or 0/0 at 0"
    if isinstance(environment, SequentialEnvironment):
        noisy = dataclasses.replace(environment, reward_noise=0.5)
        if noisy.reward_noise != 0.5:
            yield "the knob reward_noise does nothing: do not override it"


def open_loop_returns(environment: Environment, points: Points, actions: Tensor) -> Tensor:
    """Returns (...,) of given actions (..., steps, action_dim) under given noise, ended after that many steps."""
    state, total = environment.initial_state(points["initial noise"]), torch.zeros(())
    steps = actions.shape[-2]
    for t in range(steps):
        state, reward = environment.step(state, actions[..., t, :], points["process noise"][..., t, :])
        total = total + environment.discount**t * reward
    return total + environment.discount**steps * environment.terminal_reward(state)


def continuity(environment: Environment) -> Iterator[str]:
    """`continuous` means that the return has no jump; one that is hidden between steep slopes may be overlooked.

    Along random segments of actions, the piece over which the return changes most is zoomed in on again and again:
    across a jump the change stays, elsewhere it shrinks with the piece. Long episodes are cut short, because chaos
    makes continuous returns too steep to be told from jumps in floating point.
    """
    if not environment.continuous or environment.discrete_actions:
        return
    jump = largest_jump(environment)
    if jump is not None:
        yield (
            f"continuous is True, but the return jumps by {jump:.3g} between two actions that are next to each other: "
            "declare continuous = False (then pathwise is not called unbiased), or smooth the jump"
        )


def largest_jump(environment: Environment, segments: int = 16, pieces: int = 64, zooms: int = 6) -> float | None:
    """The size of the largest jump of the return that was found, or None."""
    generator = torch.Generator().manual_seed(11)
    steps = min(environment.horizon, FEW)

    def randn(*shape: int) -> Tensor:
        return torch.randn(segments, 1, *shape, generator=generator, dtype=torch.float64)

    initial, process = randn(environment.initial_noise_dim), randn(steps, environment.process_noise_dim)
    centre, direction = randn(steps, environment.action_dim), randn(steps, environment.action_dim)
    count = pieces + 1
    points = {"initial noise": initial.expand(-1, count, -1), "process noise": process.expand(-1, count, -1, -1)}

    left, right = torch.full((segments, 1), -1.0).double(), torch.full((segments, 1), 1.0).double()
    changes = []
    for _ in range(zooms + 1):
        places = left + (right - left) * torch.linspace(0, 1, count, dtype=torch.float64)
        values = open_loop_returns(environment, points, centre + places[..., None, None] * direction)
        change, piece = values.diff(dim=1).abs().max(1, keepdim=True)
        changes.append(change)
        left, right = places.gather(1, piece), places.gather(1, piece + 1)
    # kinks and square roots shrink far below a thousandth; what is left of a constant is rounding
    jumps = (change > 1e-3 * changes[0]) & (change > 1e-9 * (1 + values.abs().amax(1, keepdim=True)))
    return change[jumps].max().item() if jumps.any() else None


def known_jumps(environment: Environment) -> Iterator[str]:
    """Where the environment says that the return jumps, it does."""
    points = draw_points(environment, ROWS, seed=13)
    generator = torch.Generator().manual_seed(13)
    horizon, action_dim = environment.horizon, environment.action_dim
    actions = torch.randn(ROWS, horizon, action_dim, generator=generator, dtype=torch.float64)
    process = torch.randn(ROWS, horizon, environment.process_noise_dim, generator=generator, dtype=torch.float64)
    locations = environment.jump_locations(actions, process)
    if locations is None:
        return
    if locations.shape[:-1] != actions.shape:
        yield (
            f"jump_locations() has shape {tuple(locations.shape)} for actions of shape {tuple(actions.shape)}: it must "
            "have theirs and one more dimension"
        )
        return
    points["process noise"] = process
    real = []
    for t in range(horizon):
        for coordinate in range(action_dim):
            for place in locations[:, t, coordinate].unbind(-1):
                sides = []
                for offset in (-1e-7, 1e-7):
                    moved = actions.clone()
                    moved[:, t, coordinate] = torch.where(place.isfinite(), place + offset, moved[:, t, coordinate])
                    sides.append(open_loop_returns(environment, points, moved))
                real.append(((sides[1] - sides[0]).abs() > 1e-4)[place.isfinite()])
    if real and not torch.cat(real).all():
        yield "jump_locations() names places where the return does not jump: it must be nan there"


def exact_objective(environment: Environment) -> Iterator[str]:
    """The exact objective is the mean of simulated returns, and its gradient the objective's own slope."""
    if environment.reference_class == "certified_monte_carlo":
        return
    policy = make_policy(environment)
    generator = torch.Generator().manual_seed(3)
    parameters = 0.2 * torch.randn(policy.parameter_count, generator=generator, dtype=torch.float64)
    samples = max(64, 2048 // environment.horizon)
    method = {"closed_form": "expected_return()", "recursion": "expected_return()"}.get(
        environment.reference_class, f"the {environment.reference_class} reference"
    )
    for sigma in (0.0, 0.3):
        exact = exact_reference(environment, policy, parameters, sigma)
        noise = Noise(environment, Stream(3, "conformance", "objective"), range(16), samples, torch.float64)
        returns = Simulator(environment, policy, parameters, sigma).returns(noise.rollout).flatten()
        mean, scale = returns.mean().item(), returns.abs().mean().item() + abs(exact.objective)
        standard_error = returns.std().item() / len(returns) ** 0.5
        if not abs(mean - exact.objective) <= 6 * standard_error + 1e-6 * scale:
            yield (
                f"{method} gives {exact.objective:.6g} at sigma = {sigma:g}, but the mean of {len(returns)} simulated "
                f"returns is {mean:.6g} with standard error {standard_error:.2g}: mind discount, noise and last reward"
            )
            return
        if environment.reference_class == "quadrature":
            continue
        direction = torch.randn(len(parameters), generator=generator, dtype=torch.float64)
        ends = [
            exact_reference(environment, policy, parameters + side * 1e-5 * direction, sigma).objective
            for side in (1, -1)
        ]
        slope, expected = (exact.gradient @ direction).item(), (ends[0] - ends[1]) / 2e-5
        if not abs(slope - expected) <= 1e-4 * (abs(expected) + exact.gradient.norm().item()) + 1e-7 * scale:
            yield (
                f"torch's derivative of {method} along a random direction is {slope:.6g} at sigma = {sigma:g}, central "
                f"differences give {expected:.6g}: keep the parameters in the graph"
            )
            return


def devices(environment: Environment) -> Iterator[str]:
    """A CUDA device, where there is one, gives the same numbers."""
    if not torch.cuda.is_available():
        return
    points = reachable_points(environment)
    for method in TAKES:
        here = outputs(environment, method, points)
        for what, value in outputs(environment, method, {name: v.cuda() for name, v in points.items()}).items():
            if not value.is_cuda:
                yield f"{what} is on {value.device} where its inputs are on a CUDA device: create tensors on theirs"
            elif agree(value.cpu(), here[what], 1e-7).double().mean() < NEARLY_ALL:
                yield f"{what} differs on a CUDA device"


CHECKS = (
    (declarations,),
    (shapes,),
    (purity,),
    (rows_are_independent, finiteness, precision, process_noise, terminal_rewards, early_ends, derivatives),
    (whole_rollouts, continuity, known_jumps, exact_objective, devices),
)
"""In this order; each group takes for granted what those before it found in order. About a second in all."""
