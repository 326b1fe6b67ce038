"""One door to every exact reference: the objective and its gradient, and how far off they may be."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.policies import Policy
from scorepath.references import quadrature, tabular


class ExactReference(NamedTuple):
    """J_sigma and its gradient, in float64."""

    objective: float
    gradient: Tensor  # (P,)
    error: float  # estimated numerical error of the gradient's norm; 0 where nothing but rounding is left


def exact_reference(
    environment: Environment, policy: Policy, parameters: Tensor, sigma: float, tolerance: float = 1e-10
) -> ExactReference:
    """The exact objective and gradient, by the method that the environment's `reference_class` names.

    Args:
        environment: any environment but those of the class certified_monte_carlo.
        policy: its policy.
        parameters: flat, (P,), float64.
        sigma: noise level; 0 is the noiseless policy.
        tolerance: of a quadrature, relative to the larger of 1 and the gradient's norm.

    Raises:
        ValueError: where no exact reference exists, or for parameters that are not one float64 vector.
    """
    if parameters.dtype != torch.float64 or parameters.shape != (policy.parameter_count,):
        raise ValueError(
            f"parameters must be a float64 vector of length {policy.parameter_count}, "
            f"got {parameters.dtype} of shape {tuple(parameters.shape)}"
        )
    if environment.reference_class == "quadrature":
        return ExactReference(*quadrature.objective_and_gradient(environment, policy, parameters, sigma, tolerance))

    theta = parameters.detach().requires_grad_()
    match environment.reference_class:
        case "closed_form" | "recursion":
            objective = environment.expected_return(policy, theta, sigma)
        case "linear_solve":
            objective = tabular.expected_return(environment, policy, theta, sigma)
        case other:
            raise ValueError(f"{type(environment).__name__} has no exact gradient: its reference class is {other}")
    (gradient,) = torch.autograd.grad(objective, theta, materialize_grads=True)
    return ExactReference(objective.item(), gradient, 0.0)


def objective_and_gradient(
    environment: Environment, policy: Policy, parameters: Tensor, sigma: float
) -> tuple[float, Tensor]:
    """The first two fields of `exact_reference`: J_sigma and its gradient (P,), float64."""
    reference = exact_reference(environment, policy, parameters, sigma)
    return reference.objective, reference.gradient
