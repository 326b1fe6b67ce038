"""A ball bounces until a given time: each impact that the action moves past that time puts a kink into the return.

Nothing is stepped through time. Flights last `2 v / g` and their speeds fall by a constant factor, so the number of
impacts up to a time is the logarithm of a geometric sum, and the derivative includes how impact times move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass, require_positive


@dataclass(frozen=True, kw_only=True)
class BouncingBall(Environment):
    """Bounce to a height at a time. One decision: the vertical launch speed in m/s, `nominal_speed + a`.

    Between impacts the ball flies freely, `z'' = -gravity`; at the ground z = 0 an impact turns the vertical speed v
    into `-restitution v`. Below restitution 1 the impacts pile up at a finite time, after which the ball lies still.
    The return is minus the squared distance of its height at `time` from `target`. It is continuous in the action,
    with a kink where an impact happens at exactly `time`, and flat where the ball lies still by then.

    Attributes:
        restitution: speed after an impact over speed before it, between 0 and 1.
        nominal_speed: launch speed of the action 0, upwards, in m/s.
        launch_height: in m.
        time: at which the height counts, in s.
        target: height that is wanted then, in m.
        gravity: in m/s^2.
    """

    source: ClassVar[str] = "Scorepath; the textbook bouncing ball with Newton's impact law"
    reference_class: ClassVar[ReferenceClass] = "quadrature"
    variants: ClassVar[tuple[Mapping[str, Any], ...]] = ({"restitution": 0.6}, {"restitution": 1.0})

    restitution: float = 0.8
    nominal_speed: float = 3.0
    launch_height: float = 1.0
    time: float = 2.0
    target: float = 1.0
    gravity: float = 9.81

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.restitution <= 1:
            raise ValueError(f"restitution must lie between 0 and 1, got {self.restitution}")
        require_positive(self, "launch_height", "time", "gravity")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        return state, -(self._height(self.nominal_speed + action[..., 0]) - self.target).square()

    def _height(self, launch_speed: Tensor) -> Tensor:
        """Height at `time`, in m."""
        impact_speed = (launch_speed.square() + 2 * self.gravity * self.launch_height).sqrt()
        since_impact = self.time - (launch_speed + impact_speed) / self.gravity
        first_flight = self.launch_height + launch_speed * self.time - self.gravity / 2 * self.time**2

        # flight n = 1, 2, ... after the first impact starts at restitution^n impact_speed; the unit of time is the
        # flight of a ball that leaves the ground at impact_speed, so that flight n lasts restitution^n
        unit = 2 * impact_speed / self.gravity
        flights = self._flights((since_impact / unit).detach().clamp_min(0))
        lies_still = flights.isinf()
        flights = torch.where(lies_still, 0.0, flights)
        speed = impact_speed * self.restitution ** (flights + 1)
        since_bounce = since_impact - unit * self._duration(flights)
        bounced = since_bounce * (speed - self.gravity / 2 * since_bounce)
        return torch.where(since_impact < 0, first_flight, torch.where(lies_still, 0.0, bounced))

    def _duration(self, flights: Tensor) -> Tensor:
        """`restitution + restitution^2 + ...`, this many terms."""
        if self.restitution == 1:
            return flights
        return self.restitution * (1 - self.restitution**flights) / (1 - self.restitution)

    def _flights(self, duration: Tensor) -> Tensor:
        """The number of flights completed within this time: inf once the ball lies still."""
        if self.restitution == 1:
            return duration.floor()
        if self.restitution == 0:
            return torch.full_like(duration, math.inf)
        left = 1 - duration * (1 - self.restitution) / self.restitution  # restitution^flights, flights a real number
        return (left.clamp_min(0).log() / math.log(self.restitution)).floor()
