"""What is asked about: simulators, one per noise level, from whatever somebody has in hand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from scorepath.environments.base import Environment, make_policy, require_whole
from scorepath.policies import LearnedStd, OpenLoop, Policy
from scorepath.rollout import Simulator

NOISE_LEVELS = (0.03, 0.1, 0.3)
"""Where none are given."""


def simulators_of(
    subject: Simulator | Environment,
    policy: str | Policy | None,
    noise_levels: float | Sequence[float] | None,
    horizon: int | None,
) -> list[Simulator]:
    """One per noise level, in rising order; the arguments are those of `scorepath.advise`.

    Raises:
        TypeError: for noise levels that are no numbers, or a horizon that is no whole one.
        ValueError: for a noise level, horizon or policy that cannot be.
    """
    environment = subject.environment if isinstance(subject, Simulator) else subject
    if horizon is not None:
        if "horizon" not in {each.name for each in fields(environment)}:
            raise ValueError(f"horizon is no knob of {type(environment).__name__}, whose episodes have its own length")
        require_whole("horizon", horizon, 1)
        environment = _with_horizon(environment, horizon)
    if isinstance(policy, str) or policy is None:
        policy = make_policy(environment, policy)
    parameters = None
    if isinstance(subject, Simulator) and policy == subject.policy:
        parameters = subject.parameters
        if parameters.dim() != 1:
            raise ValueError("advice is about one policy, but this simulator's parameters are those of a population")
        parameters = parameters.double()
    own = (subject.sigma,) if isinstance(subject, Simulator) and subject.sigma > 0 else NOISE_LEVELS
    levels = _numbers(own if noise_levels is None else noise_levels)
    if not levels or not all(0 < sigma < math.inf for sigma in levels):
        raise ValueError(f"noise levels must be positive numbers, got {levels or 'none'}: a score function needs noise")
    simulators = [Simulator(environment, policy, parameters, sigma) for sigma in levels]
    _require_fit(simulators[0])
    return simulators


def _numbers(levels: float | Sequence[float]) -> list[float]:
    """One number or several, in rising order and each once.

    Raises:
        TypeError: if they are none.
    """
    try:
        return sorted({float(each) for each in (levels if isinstance(levels, Iterable) else [levels])})
    except (TypeError, ValueError) as error:
        raise TypeError(f"noise_levels must be numbers, got {levels!r}") from error


def _with_horizon(environment: Environment, horizon: int) -> Environment:
    knob: dict[str, Any] = {"horizon": horizon}
    return replace(environment, **knob)


def _require_fit(simulator: Simulator) -> None:
    """One trajectory's first step, so that shapes that don't fit are heard of in a sentence."""
    environment = simulator.environment
    means = _means(simulator.policy)
    if isinstance(means, OpenLoop) and means.horizon != environment.horizon:
        raise ValueError(
            f"the policy is an open loop of {means.horizon} steps, but an episode has {environment.horizon}; "
            "`open_loop` makes one that fits"
        )
    observation = environment.observe(
        environment.initial_state(torch.zeros(1, 1, environment.initial_noise_dim).double())
    )
    try:
        mean = simulator.policy.mean(simulator.parameters.double(), observation, 0)
    except RuntimeError as error:
        raise ValueError(
            f"the policy does not fit: the environment's observations have {observation.shape[-1]} entries ({error})"
        ) from error
    if mean.shape[-1] != environment.action_dim:
        raise ValueError(f"the policy gives {mean.shape[-1]} numbers, but an action has {environment.action_dim}")


def cut(simulator: Simulator, horizon: int) -> Simulator:
    """The same over fewer steps, where the horizon is a knob."""
    environment = _with_horizon(simulator.environment, horizon)
    policy, parameters = simulator.policy, simulator.parameters
    means = _means(policy)
    if isinstance(means, OpenLoop):
        shorter = OpenLoop(horizon, environment.action_dim)
        kept = [parameters[: shorter.parameter_count], parameters[means.parameter_count :]]
        parameters, policy = torch.cat(kept), LearnedStd(shorter) if means is not policy else shorter
    return Simulator(environment, policy, parameters, simulator.sigma)


def _means(policy: Policy) -> Policy:
    """The part of a policy that gives the means."""
    return policy.base if isinstance(policy, LearnedStd) else policy
