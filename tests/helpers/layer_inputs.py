"""What a rollout keeps of the policy's evaluations, for observations that no rollout has made."""

from __future__ import annotations

from torch import Tensor

from scorepath.policies import Policy


def layer_inputs(policy: Policy, parameters: Tensor, observations: Tensor) -> list[Tensor]:
    """The inputs of the policy's layers at observations (batches, samples, horizon, observation_dim)."""
    samples, horizon = observations.shape[1:3]
    *hidden, _ = policy.function(parameters)(observations.flatten(1, 2), 0)
    return [observations, *(each.unflatten(1, (samples, horizon)) for each in hidden)]
