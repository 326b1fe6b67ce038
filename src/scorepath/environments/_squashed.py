"""Actions squashed into an interval, as a part of the environment: what it is given it takes as `bound * tanh(a)`.

So to every estimator and reference the policy acts with normal noise, as ever, and the squashing is physics.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

import torch
from torch import Tensor

from scorepath.environments._jacobians import StepJacobians
from scorepath.environments.base import Environment, require_positive

OF_INNER = (
    "source", "differentiable", "continuous", "terminal_reward_only", "search_steps", "steps_in_float64",
    "default_policy", "horizon", "state_dim", "observation_dim", "action_dim", "initial_noise_dim", "process_noise_dim",
    "additive_state_noise", "reward_noise", "brings_jacobians",
)  # fmt: skip
"""Facts that squashing leaves as they are. Formulas of the family, of which it leaves nothing, are not among them."""


@dataclass(frozen=True, kw_only=True)
class Squashed(Environment):
    """`inner` with `bound * tanh(a)` in the place of every action a; made by `squashed`.

    Raises:
        ValueError: for a bound that is not positive, or actions that are discrete or have no normal noise.
    """

    inner: Environment
    bound: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "bound")
        if self.inner.discrete_actions or self.inner.moving_support:
            raise ValueError(f"squash: {type(self.inner).__name__} has no real-valued actions with normal noise")

    @property
    def reference_class(self) -> str:  # type: ignore[override]
        """No formula of the family holds; one decision over one action without other noise is left to a quadrature."""
        sizes = (self.horizon, self.action_dim, self.initial_noise_dim, self.process_noise_dim)
        return "quadrature" if sizes == (1, 1, 0, 0) else "certified_monte_carlo"

    def squash(self, action: Tensor) -> Tensor:
        """What the inner environment is given."""
        return self.bound * torch.tanh(action)

    def initial_state(self, noise: Tensor) -> Tensor:
        return self.inner.initial_state(noise)

    def observe(self, state: Tensor) -> Tensor:
        return self.inner.observe(state)

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.inner.step(state, self.squash(action), process_noise)

    def step_jacobians(self, state: Tensor, action: Tensor, process_noise: Tensor) -> StepJacobians:
        found = self.inner.step_jacobians(state, self.squash(action), process_noise)
        slope = self.bound * (1 - torch.tanh(action).square())
        return found._replace(
            next_by_action=found.next_by_action * slope.unsqueeze(-2), reward_by_action=found.reward_by_action * slope
        )

    def terminal_reward(self, state: Tensor) -> Tensor:
        return self.inner.terminal_reward(state)

    def active(self, state: Tensor) -> Tensor | None:
        return self.inner.active(state)

    def smoothed(self, width: float) -> Environment | None:
        inner = self.inner.smoothed(width)
        return None if inner is None else squashed(inner, self.bound)

    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor | None:
        """Those of the inner environment that lie within the bound, as actions before squashing."""
        found = self.inner.jump_locations(self.squash(actions), process)
        return None if found is None else torch.atanh(found / self.bound)  # nan beyond the bound


for _fact in OF_INNER:
    setattr(Squashed, _fact, property(attrgetter(f"inner.{_fact}")))


def squashed(environment: Environment, bound: float = 1.0) -> Squashed:
    """The same environment, whose actions are squashed into (-bound, bound)."""
    return Squashed(inner=environment, bound=bound, discount=environment.discount)
