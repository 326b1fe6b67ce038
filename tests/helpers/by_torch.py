"""The same network as a policy of a user's own, which torch evaluates and differentiates."""

from __future__ import annotations

from dataclasses import dataclass, replace

from scorepath.policies import Network
from scorepath.rollout import Simulator


@dataclass(frozen=True)
class TorchNetwork(Network):
    """A network that is none of those that have compiled kernels."""


def by_torch(simulator: Simulator) -> Simulator:
    """The same simulator without compiled kernels."""
    policy = simulator.policy
    assert isinstance(policy, Network)
    return replace(simulator, policy=TorchNetwork(policy.sizes, policy.bias))
