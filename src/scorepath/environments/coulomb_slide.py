"""A block on a rough floor: below the friction limit nothing moves, so pathwise derivatives see nothing.

Regularising the friction law, as differentiable simulators do, lets the block creep: a small slope where there was
none. Both laws have a closed form, so the limit of no regularisation is exact and free of time steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_not_negative, require_positive


@dataclass(frozen=True, kw_only=True)
class CoulombSlide(Environment):
    """Shove a block to a goal. One decision: the push in N, `nominal_push + a`, held for `push_time` seconds.

    From rest, `mass v' = push - friction mass gravity clamp(v / regularisation, -1, 1)`; with regularisation 0 that is
    Coulomb's law with equal static and kinetic coefficients. After the push the block slides to rest. The return is
    minus the squared distance of its whole displacement d from `goal`. Momentum and work give d: with
    `f = push / (friction mass gravity)` and, where abs(f) > 1, the time `h = push_time - (regularisation /
    (friction gravity)) ln(abs(f) / (abs(f) - 1))` of full sliding under the push, if that is positive,

        d = f (regularisation push_time + friction gravity (abs(f) - 1) h^2 / 2).

    The return is continuous in the push. Without regularisation it is flat while abs(f) <= 1, with a kink at the
    friction limit, 0.98 N with the defaults.

    Attributes:
        regularisation: speed nu at which friction reaches its limit, in m/s; 0 is Coulomb's law.
        nominal_push: push of the action 0, in N.
        push_time: in s.
        friction: coefficient mu.
        goal: displacement that is wanted, in m.
        mass: of the block, in kg.
        gravity: in m/s^2.
    """

    source: ClassVar[str] = "Scorepath; Coulomb's law of friction"
    reference_class: ClassVar[ReferenceClass] = "quadrature"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"regularisation": 0.05}, {"regularisation": 0.5})

    regularisation: float = 0.0
    nominal_push: float = 0.9
    push_time: float = 0.5
    friction: float = 0.25
    goal: float = 1.0
    mass: float = 0.4
    gravity: float = 9.81

    def __post_init__(self) -> None:
        super().__post_init__()
        require_not_negative(self, "regularisation")
        require_positive(self, "push_time", "friction", "mass", "gravity")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        deceleration = self.friction * self.gravity
        f = (self.nominal_push + action[..., 0]) / (self.mass * deceleration)
        beyond = f.abs() > 1
        ratio = torch.where(beyond, f.abs(), 2.0)  # keeps the unused branch finite, and its derivative
        rise = self.regularisation / deceleration * torch.log(ratio / (ratio - 1))
        sliding = torch.where(beyond, torch.relu(self.push_time - rise), 0.0)
        drift = self.regularisation * self.push_time + deceleration / 2 * (ratio - 1) * sliding.square()
        return state, -(f * drift - self.goal).square()

    def smoothed(self, width: float) -> CoulombSlide:
        """With `width` in m/s more regularisation of the friction law."""
        return dataclasses.replace(self, regularisation=self.regularisation + width)
