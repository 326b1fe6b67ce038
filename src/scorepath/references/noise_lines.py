"""Straight lines in the space of action noise, and the trajectories at places on them.

All else of a line (start, process noise, policy) is its own and held fixed, and the whole horizon is simulated in
float64. What few trajectories meet, few random lines do: so others end in outliers among some thousand trajectories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.noise import RolloutNoise
from scorepath.policies import Policy
from scorepath.rollout import Simulator

TRAJECTORIES = 4096
"""That are to meet a ramp where nothing is said of them: those of a study's cell by default."""
TRAJECTORIES_AT_ONCE = 4096
OUTLIERS = 3
"""Trajectories of each of four kinds that lines end in."""


@dataclass(frozen=True)
class Lines:
    """Straight lines in the space of action noise, each under a policy and noise of its own.

    | field | meaning | shape |
    |---|---|---|
    | parameters | of the policy | (lines, P), float64 |
    | initial, process | the rest of the noise | (lines, initial_noise_dim), (lines, horizon, process_noise_dim) |
    | start, direction | of what is added to the policy's output | (lines, horizon, action_dim) |
    | alike | whether all are drawn alike: one policy, one noise level | |
    | typical | whether they are drawn as trajectories are: of others nothing tells how often a ramp is met | |
    """

    parameters: Tensor
    initial: Tensor
    process: Tensor
    start: Tensor
    direction: Tensor
    alike: bool = False
    typical: bool = True

    def __len__(self) -> int:
        return len(self.parameters)


class Rewards(NamedTuple):
    """Of points on lines: each step's discounted reward and, last, the return; how many steps the episode lasted."""

    values: Tensor  # (lines, points, horizon + 1)
    lasted: Tensor  # (lines, points)


def draw_lines(
    environment: Environment, parameters: Tensor, scales: Tensor, generator: torch.Generator, drift: float = 0.0
) -> Lines:
    """A line for each policy and scale: half of them part at time 0, the others later; a quarter starts without noise.

    Args:
        environment: any with continuous actions.
        parameters: of each line's policy, (lines, P).
        scales: standard deviation of the action noise on each line, (lines,).
        generator: of the numbers.
        drift: size of what half of the lines add to all actions of an episode, in units of their scale.
    """
    count, horizon, action_dim = len(parameters), environment.horizon, environment.action_dim

    def randn(*shape: int) -> Tensor:
        return torch.randn(count, *shape, generator=generator, dtype=torch.float64)

    number = torch.arange(count)
    start, end = (randn(horizon, action_dim) + drift * randn(1, action_dim) * (number % 2)[:, None, None] for _ in "se")
    start = torch.where((number % 4 == 3)[:, None, None], 0.0, start)
    parts = (torch.rand(count, generator=generator) * horizon).long() * ((number // 2) % 2)
    later = torch.arange(horizon) >= parts[:, None]
    direction = (end - start) * later[..., None]
    return Lines(
        parameters.double(),
        randn(environment.initial_noise_dim),
        randn(horizon, environment.process_noise_dim),
        scales[:, None, None] * start,
        scales[:, None, None] * direction,
        alike=drift == 0 and all(bool((each == each[:1]).all()) for each in (parameters, scales)),
    )


def outlying_lines(
    environment: Environment, policy: Policy, parameters: Tensor, scale: float, generator: torch.Generator,
    among: int = TRAJECTORIES,
) -> Lines:  # fmt: skip
    """Lines to the outliers of so many trajectories, each from another draw of action noise: those that stand out of
    their step's rewards, those of highest and of lowest return, and the shortest episodes.

    Args:
        environment: any with continuous actions.
        policy: of all lines.
        parameters: its, (P,).
        scale: standard deviation of the action noise.
        generator: of the numbers.
        among: trajectories; an event of less than one in so many is met by luck only.
    """
    horizon, action_dim = environment.horizon, environment.action_dim

    def randn(*shape: int) -> Tensor:
        return torch.randn(1, among, *shape, generator=generator, dtype=torch.float64)

    drawn = RolloutNoise(
        initial=randn(environment.initial_noise_dim),
        action=scale * randn(horizon, action_dim),
        process=randn(horizon, environment.process_noise_dim),
        reward=torch.zeros(1, among, horizon, 1, dtype=torch.float64),
    )
    simulator = Simulator(environment, policy, parameters.double()[None], 1.0)
    parts = [
        simulator.rollout(RolloutNoise(*(each[:, i : i + TRAJECTORIES_AT_ONCE] for each in drawn)), keep_hidden=False)
        for i in range(0, among, TRAJECTORIES_AT_ONCE)
    ]
    rewards = torch.cat([part.rewards[0] for part in parts])
    away = ((rewards - rewards.median(0).values).abs() / rewards.std(0)).nan_to_num(0.0, 0.0, 0.0).amax(1)
    returns = rewards.sum(-1).nan_to_num(0.0, 0.0, 0.0)
    scores = [away, returns, -returns]
    if parts[0].active is not None:
        scores.append(-torch.cat([part.active[0].sum(-1) for part in parts if part.active is not None]).double())
    ends = torch.cat([score.topk(min(OUTLIERS, among)).indices for score in scores]).unique()
    start = drawn.action[0, (ends + 1) % among]
    return Lines(
        parameters.double().expand(len(ends), -1), drawn.initial[0, ends], drawn.process[0, ends],
        start, drawn.action[0, ends] - start, typical=False,
    )  # fmt: skip


def simulate(
    environment: Environment, policy: Policy, lines: Lines, which: Tensor, places: Tensor, shaken: Tensor | None = None
) -> Rewards:
    """The trajectories at these places (C, K) of the lines `which` (C,).

    `shaken`, (K, horizon, action_dim), is added to the actions, in units of the line's largest entry.
    """
    step = max(1, TRAJECTORIES_AT_ONCE // places.shape[1])
    parts = []
    for i in range(0, len(which), step):
        own, at = which[i : i + step], places[i : i + step, :, None, None]
        direction = lines.direction[own, None]
        action = lines.start[own, None] + at * direction
        if shaken is not None:
            action = action + shaken * direction.abs().amax((1, 2, 3), keepdim=True)
        count, points = action.shape[:2]
        noise = RolloutNoise(
            initial=lines.initial[own, None].expand(-1, points, -1),
            action=action,
            process=lines.process[own, None].expand(-1, points, -1, -1),
            reward=action.new_zeros(count, points, environment.horizon, 1),
        )
        found = Simulator(environment, policy, lines.parameters[own], 1.0).rollout(noise, keep_hidden=False)
        rewards, active = found.rewards, found.active
        lasted = torch.zeros_like(rewards[..., 0]) if active is None else active.sum(-1).to(rewards)
        parts.append(Rewards(torch.cat([rewards, rewards.sum(-1, keepdim=True)], -1), lasted))
    return Rewards(*(torch.cat(each) for each in zip(*parts, strict=True)))
