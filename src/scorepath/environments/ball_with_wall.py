"""A ball thrown at a wall: it clears the top edge or bounces back, and the return jumps between the two.

The wall is a thin screen with a spring behind it. Between events the flight and the contact both have closed-form
solutions, so the throw is computed without time steps: no integration error and no stability limit, at any stiffness.
The softer the spring, the less the ball is thrown back, and the smaller the jump at the top edge.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from scorepath.environments.base import Environment, ReferenceClass


@dataclass(frozen=True, kw_only=True)
class BallWithWall(Environment):
    """Throw a point mass as far as it goes. One decision: the launch angle in rad, `nominal_angle + a`.

    The return is the horizontal distance in m from the launch point at which the ball meets the ground. A ball that
    reaches the plane of the wall below `wall_height` pushes the screen back: it feels the horizontal force
    `-stiffness × penetration` until the spring has thrown it back or it meets the ground; gravity acts throughout and
    nothing dissipates. A ball that passes above goes on freely. Angles are not clamped: the return is bounded and
    periodic in them. It is continuous in the angle but for a jump at the wall's top edge, where the pathwise
    derivative does not exist.

    With the defaults the nominal throw hits the screen 0.27 m below the edge, and 0.05 rad more clear it.

    Attributes:
        stiffness: spring constant of the wall, in N/m.
        launch_speed: in m/s.
        launch_height: above the ground, in m.
        nominal_angle: launch angle of the action 0, above the horizontal, in rad.
        wall_distance: from the launch point, in m.
        wall_height: above the ground, in m.
        mass: of the ball, in kg.
        gravity: in m/s^2.
    """

    source: ClassVar[str] = "Scorepath; after Suh et al. 2022, section 3"
    reference_class: ClassVar[ReferenceClass] = "quadrature"
    continuous: ClassVar[bool] = False

    stiffness: float = 10000.0
    launch_speed: float = 10.0
    launch_height: float = 1.0
    nominal_angle: float = 0.5
    wall_distance: float = 6.0
    wall_height: float = 2.25
    mass: float = 1.0
    gravity: float = 9.81

    def __post_init__(self) -> None:
        super().__post_init__()
        for knob in ("stiffness", "launch_speed", "launch_height", "wall_distance", "wall_height", "mass", "gravity"):
            if not getattr(self, knob) > 0:
                raise ValueError(f"{knob} must be positive, got {getattr(self, knob)}")

    def step(self, state: Tensor, action: Tensor, process_noise: Tensor) -> tuple[Tensor, Tensor]:
        angle = self.nominal_angle + action[..., 0]
        forward, upward = self.launch_speed * torch.cos(angle), self.launch_speed * torch.sin(angle)
        # launched above the ground, the ball meets it exactly once, whatever the angle
        flight_time = (upward + (upward.square() + 2 * self.gravity * self.launch_height).sqrt()) / self.gravity
        free = forward * flight_time

        reaches_wall = free > self.wall_distance
        forward = torch.where(reaches_wall, forward, 1.0)  # keeps the unused branch finite, and its derivative
        wall_time = self.wall_distance / forward
        height = self.launch_height + upward * wall_time - self.gravity / 2 * wall_time.square()
        time_left = flight_time - wall_time
        blocked = self.wall_distance + self._contact(forward, time_left)
        return state, torch.where(reaches_wall, torch.lerp(blocked, free, self._clearance(height)), free)

    def _clearance(self, height: Tensor) -> Tensor:
        """Whether the ball clears the wall at this height above the ground: 1 or 0."""
        return (height >= self.wall_height).to(height)

    def smoothed(self, width: float) -> BallWithWall:
        """A top edge that is `width` high, in m, over which the two throws blend linearly."""
        return _BallWithFuzzyWall(**asdict(self), edge_width=width)

    def jump_locations(self, actions: Tensor, process: Tensor) -> Tensor:
        """The two launch angles, low and high, that just reach the top edge, in this turn and its two neighbours.

        With `u = tan(angle)` the height at the wall is `launch_height + distance u - drop (1 + u^2)`. Further turns
        matter only to noise of several rad.
        """
        drop = self.gravity * self.wall_distance**2 / (2 * self.launch_speed**2)
        discriminant = self.wall_distance**2 - 4 * drop * (drop + self.wall_height - self.launch_height)
        if discriminant <= 0:  # out of reach
            return actions.new_empty(*actions.shape, 0)
        angles = [
            math.atan((self.wall_distance + sign * math.sqrt(discriminant)) / (2 * drop)) + turn * 2 * math.pi
            for turn in (-1, 0, 1)
            for sign in (-1, 1)
        ]
        return (actions.new_tensor(angles) - self.nominal_angle).expand(*actions.shape, -1)

    def _contact(self, speed: Tensor, time: Tensor) -> Tensor:
        """Horizontal position relative to the wall, in m, `time` seconds after touching it at `speed`.

        Half a period of a harmonic oscillator on the spring, then free flight backwards.
        """
        frequency = math.sqrt(self.stiffness / self.mass)
        release = math.pi / frequency
        return torch.where(time < release, speed / frequency * torch.sin(frequency * time), speed * (release - time))


@dataclass(frozen=True, kw_only=True)
class _BallWithFuzzyWall(BallWithWall):
    """The same throw at a wall without a sharp edge: the return is continuous.

    Attributes:
        edge_width: height over which the share of the ball that passes rises from 0 to 1, centred at the edge, in m.
    """

    continuous: ClassVar[bool] = True

    edge_width: float

    def smoothed(self, width: float) -> BallWithWall:
        return replace(self, edge_width=self.edge_width + width)

    def _clearance(self, height: Tensor) -> Tensor:
        return ((height - self.wall_height) / self.edge_width + 0.5).clamp(0, 1)
