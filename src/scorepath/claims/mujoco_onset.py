"""MuJoCo's contacts jump at their onset unless `solimp`'s d0 is 0, and pathwise gradients have the wrong sign."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch import Tensor

from scorepath.claims._lab import Claim, Finding, Lab, exactly, near
from scorepath.environments.mujoco import MuJoCo

MEAN, SIGMA = -0.7, 0.1
NODES, REACH = 1001, 5.0
BALL = """
<mujoco model="falling ball">
  <option timestep="0.002" integrator="Euler"/>
  <worldbody>
    <geom type="plane" size="1 1 0.1"/>
    <body pos="0 0 0.2">
      <joint name="height" type="slide" axis="0 0 1"/>
      <geom type="sphere" size="0.1" mass="1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="height" gear="10"/>
  </actuator>
</mujoco>
"""


@dataclass(frozen=True, kw_only=True)
class FallingBall(MuJoCo):
    """That of config/falling_ball.py: pushed for 0.16 s while it falls; the return is its height at the end, in m."""

    model: str = BALL
    default_policy: ClassVar[str] = "open_loop"

    horizon: int = 1
    frame_skip: int = 80
    ends: bool = False

    def observe(self, state: Tensor) -> Tensor:
        return state

    def initial_state(self, noise: Tensor) -> Tensor:
        return self.start_from(0 * noise)

    def reward(self, state: Tensor, action: Tensor, next_state: Tensor) -> Any:
        return self.parts(next_state).qpos[..., 0]


def experiment(lab: Lab) -> Iterator[Finding]:
    """One decision in one dimension: expectations over the action noise are sums over a grid of actions."""
    if find_spec("mujoco") is None:
        yield Finding("a ball that falls on a plane", (math.nan, -math.inf, math.inf), None, (0.0, 1.0))
        return
    noise = _noise()
    jumping, smooth = (
        moments(noise, *_responses(d0, mean), SIGMA)
        for d0, mean in ((lab.setting("d0", 0.9), MEAN), (lab.setting("cured", 0.0), lab.setting("mean", MEAN)))
    )
    place = f"a ball falls on a plane, sigma = {SIGMA:g}"
    yield Finding(
        f"{place}, d0 = 0.9 (MuJoCo's default): the mean of pathwise over the gradient is negative",
        exactly(jumping.pathwise / jumping.gradient), None, (-math.inf, 0.0),
    )  # fmt: skip
    yield Finding(
        f"{place}, d0 = 0: the mean of pathwise is the gradient (within 5 %)",
        exactly(smooth.pathwise / smooth.gradient), 1.0, near(1.0, 0.05),
    )  # fmt: skip
    yield Finding(
        f"{place}: the gradient at d0 = 0 is that at 0.9 (within 10 %)",
        exactly(smooth.gradient / jumping.gradient), 1.0, near(1.0, 0.1),
    )  # fmt: skip
    yield Finding(
        f"{place}: pathwise's variance at d0 = 0 is more than ten times that at 0.9",
        exactly(smooth.variance / jumping.variance), None, (10.0, math.inf),
    )  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Means and variances per sample of the score function (with the mean return as baseline) and of pathwise."""

    gradient: float
    """By Stein's identity, E[f eps] / sigma, which needs no derivative of f."""
    pathwise: float
    score_variance: float
    variance: float


def responses(environment: MuJoCo, actions: Tensor) -> tuple[Tensor, Tensor]:
    """The returns of a single decision with these actions (n,), and their derivatives by MuJoCo's Jacobian."""
    nothing = actions.new_zeros(len(actions), 0)
    state = environment.initial_state(actions.new_zeros(len(actions), environment.initial_noise_dim))
    returns = environment.step(state, actions[:, None], nothing)[1]
    return returns, environment.step_jacobians(state, actions[:, None], nothing).reward_by_action[:, 0]


def _noise() -> Tensor:
    return torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)


@cache
def _responses(d0: float, mean: float) -> tuple[Tensor, Tensor]:
    """At the nodes around a mean action; mutants differ from the claim in one of both systems, and share the other."""
    return responses(FallingBall(solimp_d0=d0), mean + SIGMA * _noise())


def moments(noise: Tensor, returns: Tensor, slopes: Tensor, sigma: float) -> Moments:
    """Expectations over the action noise as sums over a grid of it, (n,), whatever its width."""
    weights = torch.softmax(-noise.square() / 2, 0)
    score = (returns - weights @ returns) * noise / sigma
    means = [weights @ each for each in (score, slopes)]
    variances = [weights @ each.square() - mean.square() for each, mean in zip((score, slopes), means, strict=True)]
    return Moments(*(each.item() for each in (*means, *variances)))


CLAIM = Claim(
    source="Todorov 2014; Le Lidec 2024",
    prediction=(
        "At the onset of a contact with d0 > 0 the state jumps with the action, so pathwise gradients lack a boundary"
        " term; d0 = 0 cures the bias at the price of variance and leaves the gradient as it is."
    ),
    experiment=experiment,
    mutants=({"d0": 0.0}, {"cured": 0.9}, {"mean": -0.5}),
    why=(
        "With another d0 it is another contact, whose gradient is 5 % larger; and its smooth onset is still stiff, so"
        " that sums over a grid of actions are right to a few tenths of a percent. Not tried without MuJoCo:"
        " pip install --editable '.[mujoco]' in Scorepath's folder."
    ),
)
