"""One door to every exact reference: the objective and its gradient, and how far off they may be."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.environments._jacobians import gradients
from scorepath.environments.base import Environment, ReferenceClass
from scorepath.policies import Policy
from scorepath.references import quadrature, tabular
from scorepath.rollout import Simulator


class ExactReference(NamedTuple):
    """J_sigma and its gradient, in float64."""

    objective: float
    gradient: Tensor  # (P,)
    error: float  # largest numerical error of the gradient to be expected; 0 where nothing but rounding is left


def reference_class(environment: Environment, policy: Policy) -> ReferenceClass:
    """How the exact gradient is obtained for this policy: as the environment says.

    But for a policy with a standard deviation of its own, of which no family's formula knows: by quadrature if it is
    one decision in one direction, else by certified Monte Carlo.
    """
    if not policy.log_std:
        return environment.reference_class
    return "quadrature" if quadrature.is_scalar_decision(environment) else "certified_monte_carlo"


def exact_reference(simulator: Simulator, tolerance: float = 1e-10) -> ExactReference:
    """The exact objective and gradient, by the method that `reference_class` names.

    Args:
        simulator: any environment but those of the class certified_monte_carlo, its policy, one vector of parameters
            (P,) in float64, and the noise level; at 0 it is the noiseless policy's return.
        tolerance: of a quadrature, relative to the size of what it integrates.

    Raises:
        ValueError: where no exact reference exists, or for parameters that are not one float64 vector.
    """
    environment, policy, parameters, sigma = _parts(simulator)
    kind = reference_class(environment, policy)
    if kind == "quadrature":
        return ExactReference(*quadrature.objective_and_gradient(environment, policy, parameters, sigma, tolerance))
    theta = parameters.detach().requires_grad_()
    objective = _objective(environment, policy, theta, sigma, kind)
    (gradient,) = gradients(objective, (theta,))
    return ExactReference(objective.item(), gradient, 0.0)


def exact_objective(simulator: Simulator, tolerance: float = 1e-4) -> float:
    """The objective alone, for a fraction of the time: there is no way back to the parameters."""
    environment, policy, parameters, sigma = _parts(simulator)
    kind = reference_class(environment, policy)
    if kind == "quadrature":
        return quadrature.objective_and_gradient(environment, policy, parameters, sigma, tolerance)[0]
    with torch.no_grad():
        return float(_objective(environment, policy, parameters, sigma, kind))


def _objective(environment: Environment, policy: Policy, theta: Tensor, sigma: float, kind: ReferenceClass) -> Tensor:
    """By a formula or a linear solve."""
    match kind:
        case "closed_form" | "recursion":
            return environment.expected_return(policy, theta, sigma)
        case "linear_solve":
            return tabular.expected_return(environment, policy, theta, sigma)
        case other:
            raise ValueError(f"{type(environment).__name__} has no exact gradient: its reference class is {other}")


def _parts(simulator: Simulator) -> tuple[Environment, Policy, Tensor, float]:
    """Raises ValueError for parameters that are not one float64 vector."""
    policy, parameters = simulator.policy, simulator.parameters
    if parameters.dtype != torch.float64 or parameters.shape != (policy.parameter_count,):
        raise ValueError(
            f"parameters must be a float64 vector of length {policy.parameter_count}, "
            f"got {parameters.dtype} of shape {tuple(parameters.shape)}"
        )
    return simulator.environment, policy, parameters, simulator.sigma
