"""Does the return jump? A search along straight lines between two draws of action noise, in closed loop.

All else (start, process noise, policy) is held fixed, and the whole horizon is simulated in float64. Pieces of a line
over which a reward changes out of line with its neighbours, or over which episodes end at another step, are zoomed in
on until their ends are the same number but for the last bits. A jump is what is left then *and* stands between calm
neighbours: across the last interval the reward changes, across equally long and much longer ones beside it next to
nothing. A steep slope changes as much beside as across, a kink or a root shrinks on the way, and where chaos has
magnified the last bits everything changes; so a jump is seen in the first reward that it reaches, before chaos hides
it, and lines that part only late in the episode have early rewards there.
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

PIECES = 32
"""Into which every line is cut at first."""
PARTS = 8
"""Into which a piece is cut each time it is zoomed in on."""
CANDIDATES = 1
"""Pieces of every line that are zoomed in on, of each of three kinds."""
PATIENCE = 3
"""Times that every candidate is zoomed in on: what varies smoothly beside a jump is 512 times smaller by then."""
LAST_LENGTH = 1e-13
"""Of the last interval, as a part of the line: a few hundred roundings of the action."""
SURVIVES = 0.5
"""Share of a change that must be left when its piece is cut into `PARTS`: a root leaves a third, a kink an eighth."""
BESIDE = 8
"""Intervals on either side of the last one that have to be calm."""
CALM = 1 / 30
"""How much of the jump may happen there. Of a slope it is 8, of a root 2."""
FAR = 1e-10
"""Length of further intervals that have to be calm."""
SHAKE = 1e-12
"""Size of random changes of all actions, as a part of the line's length, that have to leave it calm on either side.
Rounding makes steps everywhere; where chaos has magnified them to what looks like a jump, it magnifies these too."""
SHAKEN = 4
"""Such changes on either side."""
ROUNDING = 1e-12
"""What is not told from rounding, as a part of the sum of a trajectory's absolute rewards."""
SMALLEST = 1e-5
"""Size of the smallest jump that counts, as a part of the return's range along its line."""
TRAJECTORIES_AT_ONCE = 4096


class Jump(NamedTuple):
    """A jump that was found."""

    size: float
    """By how much the return changes."""
    step: int
    """Number of the decision, from 1, whose reward is the first to change."""
    distance: float
    """Between the two actions: the largest difference of their entries."""


@dataclass(frozen=True)
class Lines:
    """Straight lines in the space of action noise, each under a policy and noise of its own.

    | field | meaning | shape |
    |---|---|---|
    | parameters | of the policy | (lines, P), float64 |
    | initial, process | the rest of the noise | (lines, initial_noise_dim), (lines, horizon, process_noise_dim) |
    | start, direction | of what is added to the policy's output | (lines, horizon, action_dim) |
    """

    parameters: Tensor
    initial: Tensor
    process: Tensor
    start: Tensor
    direction: Tensor

    def __len__(self) -> int:
        return len(self.parameters)


class _Rewards(NamedTuple):
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
    )


def refutation(environment: Environment, jump: Jump) -> str:
    """What a jump says against an environment that is declared continuous."""
    return (
        f"declared continuous, but the return jumps by {jump.size:.3g} at step {jump.step} of {environment.horizon}, "
        f"between two actions {jump.distance:.0e} apart: declare continuous = False"
    )


def find_jump(environment: Environment, policy: Policy, lines: Lines) -> Jump | None:
    """The largest jump of the return that is found on these lines, or None.

    Only continuous actions have lines; the noise on rewards is left out.
    """
    places = torch.linspace(0, 1, PIECES + 1, dtype=torch.float64).expand(len(lines), -1)
    found = _simulate(environment, policy, lines, torch.arange(len(lines)), places)
    returns = found.values[..., -1]
    span = (returns.amax(1) - returns.amin(1)).nan_to_num(0.0, 0.0, 0.0)
    rounding = ROUNDING * found.values[..., :-1].abs().sum(-1).amax(1).nan_to_num(0.0, 0.0, 0.0)
    least = torch.maximum(SMALLEST * span, rounding)
    which, piece, entry = _candidates(found, least)
    left, right = places[which, piece], places[which, piece + 1]
    change = torch.full_like(left, torch.inf)
    zooms = 0
    while len(which) and right[0] - left[0] > LAST_LENGTH:
        cuts = left[:, None] + (right - left)[:, None] * torch.linspace(0, 1, PARTS + 1, dtype=torch.float64)
        inner = _simulate(environment, policy, lines, which, cuts)
        followed = torch.cat([inner.values, inner.lasted[..., None]], -1)
        values = followed.gather(-1, entry[:, None, None].expand(-1, PARTS + 1, 1))[..., 0]
        now, part = values.diff(dim=1).abs().nan_to_num(0.0, 0.0, 0.0).max(1)
        rows = torch.arange(len(which))
        left, right, zooms = cuts[rows, part], cuts[rows, part + 1], zooms + 1
        keep = now > least[which]
        if zooms > PATIENCE:
            keep &= now > SURVIVES * change
        which, entry, left, right, change = (each[keep] for each in (which, entry, left, right, now))
    return _largest(environment, policy, lines, which, left, right, least) if len(which) else None


def _candidates(found: _Rewards, least: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pieces to look at: their line, their place on it, and the entry of `values` (or `lasted`, the last) to follow.

    A piece stands out where its change differs from the mean of its neighbours'; by how much is measured in the
    median of its line, so that a small jump of a calm reward counts, and in rewards, so that a large one does.
    """
    changes = found.values.diff(dim=1).nan_to_num(0.0, 0.0, 0.0)
    padded = torch.cat([changes[:, 1:2], changes, changes[:, -2:-1]], 1)
    excess = (changes - (padded[:, :-2] + padded[:, 2:]) / 2).abs()
    excess = torch.where(changes.abs() > least[:, None, None], excess, 0.0)
    typical = excess.median(1, keepdim=True).values + 1e-6 * least[:, None, None]
    lasted = found.lasted.diff(dim=1).abs()
    last_entry = torch.full_like(lasted, found.values.shape[-1], dtype=torch.long)
    kinds = ((excess / typical).nan_to_num(0.0, 0.0, 0.0).max(-1), excess.max(-1), (lasted, last_entry))
    parts = []
    for score, entry in kinds:
        best = score.topk(CANDIDATES, dim=1)
        line, rank = (best.values > 0).nonzero(as_tuple=True)
        piece = best.indices[line, rank]
        parts.append((line, piece, entry[line, piece]))
    line, piece, entry = (torch.cat(each) for each in zip(*parts, strict=True))
    return line, piece, entry


def _largest(
    environment: Environment, policy: Policy, lines: Lines, which: Tensor, left: Tensor, right: Tensor, least: Tensor
) -> Jump | None:
    """Of intervals between neighbouring numbers, the one across which the return jumps most, if any is a jump."""
    near, counted = (right - left)[:, None], torch.arange(1, BESIDE + 1, dtype=torch.float64)
    beside = torch.cat([counted * near, counted * torch.full_like(near, FAR)], 1)
    places = torch.cat([left[:, None], left[:, None] - beside, right[:, None], right[:, None] + beside], 1)
    far = 2 * BESIDE  # the index of the furthest place of a side
    places = torch.cat([places, places[:, [far, -1]].repeat_interleave(SHAKEN, 1)], 1)
    shaken = torch.zeros(places.shape[1], *lines.direction.shape[1:], dtype=torch.float64)
    shaken[-2 * SHAKEN :].normal_(generator=torch.Generator().manual_seed(0))
    values = _simulate(environment, policy, lines, which, places, SHAKE * shaken).values
    values, moved = values.split([places.shape[1] - 2 * SHAKEN, 2 * SHAKEN], dim=1)
    before, after = values.chunk(2, dim=1)
    across = (after[:, 0] - before[:, 0]).abs()  # (candidates, horizon + 1)
    restless = torch.maximum(*((side - side[:, :1]).abs().amax(1) for side in (before, after)))
    for side, its_moved in zip((before, after), moved.chunk(2, dim=1), strict=True):
        restless = torch.maximum(restless, (its_moved - side[:, far, None]).abs().amax(1))
    smallest = least[which, None]
    jumps = (across > smallest) & (restless < CALM * across)
    # what one reward gains a later one may lose: then the return itself does not jump
    real = jumps.any(1) & (across[:, -1] > smallest[:, 0])
    if not real.any():
        return None
    best = int(torch.where(real, across[:, -1] / smallest[:, 0], -1.0).argmax())
    step = int(jumps[best].nonzero()[0, 0]) + 1
    distance = (lines.direction[which[best]].abs().max() * (right - left)[best]).item()
    return Jump(across[best, -1].item(), min(step, environment.horizon), distance)


def _simulate(
    environment: Environment, policy: Policy, lines: Lines, which: Tensor, places: Tensor, shaken: Tensor | None = None
) -> _Rewards:
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
        parts.append(_Rewards(torch.cat([rewards, rewards.sum(-1, keepdim=True)], -1), lasted))
    return _Rewards(*(torch.cat(each) for each in zip(*parts, strict=True)))
