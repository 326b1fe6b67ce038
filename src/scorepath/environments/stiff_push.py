"""A pusher drives a box through a penalty spring: the stiffer the contact, the closer the return comes to a jump.

The pusher leaves at a fixed time. Whether that is before, during or after an impact decides how fast the box slides
on, and an impact lasts `pi sqrt(mass / stiffness)`: the return has slopes that grow like the root of the stiffness, on
a part of the actions that shrinks likewise, so that pathwise second moments grow with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_not_negative, require_positive

PHASE_STEP = 0.25  # rad of the contact's oscillation per time step
LEAST_STEPS = 64
"""With the default knobs the action 0 touches after 0.75 s, which then falls half way between two steps. Where it falls
on a step, as with 50, the discrete return has a kink at this action, and its derivative there is one-sided."""


@dataclass(frozen=True, kw_only=True)
class StiffPush(Environment):
    """Push a box to a goal. One decision: the pusher's speed in m/s, `nominal_speed + a`, for `push_time` seconds.

    With p(t) the pusher's position and x(t) the near side of the box, which starts at rest at x = `gap`:
    `mass x'' = stiffness max(p - x, 0) - damping x'`. Then the pusher draws back and the box slides to rest,
    `x' mass / damping` further. The return is minus the squared distance of the box's displacement from `goal`. It is
    continuous, and flat for a pusher that does not arrive in time.

    Integrator: leapfrog (drift at half steps, exact decay of the damped speed), with as many steps as resolve the
    contact's oscillation by 0.25 rad each, so every stiffness is stable. The force has no
    jump at first touch, so the discrete return is continuous as well.

    Attributes:
        stiffness: spring constant of the contact, in N/m.
        nominal_speed: of the pusher for the action 0, in m/s.
        push_time: in s.
        gap: between pusher and box at the start, in m.
        goal: displacement of the box that is wanted, in m.
        mass: of the box, in kg.
        damping: of its sliding, in N s/m.
    """

    source: ClassVar[str] = "Scorepath; after Suh et al. 2022, section 5"
    reference_class: ClassVar[ReferenceClass] = "quadrature"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"stiffness": 10.0}, {"stiffness": 100.0})

    stiffness: float = 1000.0
    nominal_speed: float = 0.4
    push_time: float = 1.0
    gap: float = 0.3
    goal: float = 1.0
    mass: float = 1.0
    damping: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "stiffness", "push_time", "mass", "damping")
        require_not_negative(self, "gap")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        speed = self.nominal_speed + action[..., 0]
        phase = self.push_time * math.sqrt(self.stiffness / self.mass)
        steps = max(LEAST_STEPS, math.ceil(phase / PHASE_STEP))
        dt = self.push_time / steps
        decay = math.exp(-self.damping * dt / self.mass)
        kick = math.sqrt(decay) * dt * self.stiffness / self.mass
        # box_speed lives at full steps, displacement half a step ahead of it
        displacement = box_speed = torch.zeros_like(speed)
        for step in range(steps):
            penetration = speed * ((step + 0.5) * dt) - self.gap - displacement
            box_speed = decay * box_speed + kick * torch.relu(penetration)
            displacement = displacement + dt * box_speed
        at_rest = displacement + box_speed * (self.mass / self.damping - dt / 2)
        return state, -(at_rest - self.goal).square()
