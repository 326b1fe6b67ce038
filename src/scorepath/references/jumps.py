"""Does the return jump? A search along straight lines between two draws of action noise, in closed loop.

All else (start, process noise, policy) is held fixed, and the whole horizon is simulated in float64. Pieces of a line
over which a reward changes out of line with its neighbours, or over which episodes end at another step, are zoomed in
on until their ends are the same number but for the last bits. A jump is what is left then *and* stands between calm
neighbours: across the last interval the reward changes, across equally long and much longer ones beside it next to
nothing. A steep slope changes as much beside as across, a kink or a root shrinks on the way, and where chaos has
magnified the last bits everything changes; so a jump is seen in the first reward that it reaches, before chaos hides
it, and lines that part only late in the episode have early rewards there.

A ramp is continuous, but one that no sample falls on is as good as a jump: its derivative, however large, is not met,
and a score function sees both of its ends. So where a change keeps its size while its piece shrinks, and then fades,
the piece at which it did is the ramp's width. Of so many trajectories those that are expected on ramps like it are
counted: their number, times the share of the line that the ramp covers, times how often lines change by as much. Where
fewer than `FEWEST_HITS` are, and derivatives at random places do not see far larger changes, it is a jump to these
trajectories. A stiff contact that is met more often is none.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from scorepath.environments.base import Environment
from scorepath.policies import Policy
from scorepath.references.noise_lines import TRAJECTORIES, Lines, Rewards, draw_lines, outlying_lines, simulate
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
FEWEST_HITS = 3.0
"""Of them that have to be expected on a ramp: that it is met by none has then a probability of 5 %, and what a few meet
shows in the tail of their derivatives. Widths and counts of crossings are known to a factor of two or so."""
HOLDS = 0.8
"""Share of a ramp's change that happens within what is called its width."""
FINE = 8
"""Parts of an interval in which that is measured."""
STEADY = 0.25
"""Share of a ramp's change that may happen in 8 intervals as long as three widths, on either side. Of a slope it is 8,
of a root 2, of a fourth root 0.7."""
PROBES = 1024
"""Random places at which a change like the ramp's is looked for."""
TRIED = 8
"""Ramps that are compared with the rest of the return, those least met first."""
MATTERS = 0.05
"""Size of the least ramp that counts, or of all change that derivatives do not see, by the change that they see."""
UNSEEN_CROSSINGS = 3.0
"""Of lines by ramps, added to those that were counted: none among n lines may yet be 3 of n (95 %)."""


class Jump(NamedTuple):
    """A jump that was found, or a ramp that is one to so many trajectories."""

    size: float
    """By how much the return changes."""
    step: int
    """Number of the decision, from 1, whose reward is the first to change."""
    distance: float
    """Between the two actions: the largest difference of their entries."""
    share: float = 0.0
    """Of all trajectories, those expected on ramps like this one: 0 of a jump proper."""
    line: int = 0
    """On which it was found."""

    def is_met(self, trajectories: float) -> bool:
        """Whether so many trajectories see enough of it to know it by its derivatives."""
        return self.share * trajectories >= FEWEST_HITS


def described(environment: Environment, jump: Jump, trajectories: int = TRAJECTORIES) -> str:
    """What was found, in words: of a ramp, how many of so many trajectories fall on it."""
    where = f"at step {jump.step} of {environment.horizon}"
    if jump.share == 0:
        return f"the return jumps by {jump.size:.3g} {where}, between two actions {jump.distance:.0e} apart"
    return (
        f"the return changes by {jump.size:.3g} {where} between two actions {jump.distance:.1g} apart, a ramp on which "
        f"{jump.share * trajectories:.1g} of {trajectories:,} trajectories fall"
    )


def refutation(environment: Environment, jump: Jump, place: str = "") -> str:
    """What a jump, found at this place if it is named, says against an environment declared continuous."""
    return f"declared continuous, but {place}{described(environment, jump)}: declare continuous = False"


def finding(environment: Environment, jump: Jump, trajectories: int, place: str = "") -> str:
    """What is said of it: a jump refutes the declaration, a ramp is one to so many trajectories of this place only."""
    if jump.share == 0:
        return refutation(environment, jump, place)
    return place + described(environment, jump, trajectories)


def search(
    simulator: Simulator, scale: float, lines: int, generator: torch.Generator, trajectories: int = TRAJECTORIES
) -> Jump | None:
    """The jump that is found on so many random lines, else on lines to outliers; or a ramp that is as good as one.

    A ramp does not end the search: it says less than a jump that only outliers meet.

    Args:
        simulator: of continuous actions, with one vector of parameters (P,).
        scale: standard deviation of the action noise on the lines.
        lines: random ones.
        generator: of the numbers.
        trajectories: that are to meet a ramp, and among which the outliers are, of `TRAJECTORIES` at most.
    """
    environment, policy, parameters = simulator.environment, simulator.policy, simulator.parameters.double()
    scales = torch.full((lines,), scale, dtype=torch.float64)
    drawn = draw_lines(environment, parameters.expand(lines, -1), scales, generator)
    found = find_jump(environment, policy, drawn, trajectories)
    if found is not None and found.share == 0:
        return found
    outliers = outlying_lines(environment, policy, parameters, scale, generator, min(trajectories, TRAJECTORIES))
    return find_jump(environment, policy, outliers, trajectories) or found


class _Pieces(NamedTuple):
    """Of lines: which, from where to where, and by how much it changes there. Each (pieces,)."""

    which: Tensor
    left: Tensor
    right: Tensor
    change: Tensor
    """Of what is followed; of the return where a change is whole."""

    def of(self, rows: Tensor) -> _Pieces:
        return _Pieces(*(each[rows] for each in self))


def find_jump(environment: Environment, policy: Policy, lines: Lines, trajectories: int = TRAJECTORIES) -> Jump | None:
    """The largest jump of the return that is found on these lines; else the ramp that is met least, or None.

    Only continuous actions have lines; the noise on rewards is left out.

    Args:
        environment: any with continuous actions.
        policy: of all lines.
        lines: to search on.
        trajectories: that are to meet a ramp, or it is as good as a jump.
    """
    places = torch.linspace(0, 1, PIECES + 1, dtype=torch.float64).expand(len(lines), -1)
    found = simulate(environment, policy, lines, torch.arange(len(lines)), places)
    returns = found.values[..., -1]
    span = (returns.amax(1) - returns.amin(1)).nan_to_num(0.0, 0.0, 0.0)
    rounding = ROUNDING * found.values[..., :-1].abs().sum(-1).amax(1).nan_to_num(0.0, 0.0, 0.0)
    least = torch.maximum(SMALLEST * span, rounding)
    which, piece, entry = _candidates(found, least)
    pieces = _Pieces(which, places[which, piece], places[which, piece + 1], returns.diff(dim=1)[which, piece].abs())
    sharp, faded = _zoomed(environment, policy, lines, pieces, entry, least)
    jump = _largest(environment, policy, lines, sharp, least) if len(sharp.which) else None
    if jump is None and lines.typical and len(faded.which):
        variation = returns.diff(dim=1).abs().sum(1).nan_to_num(0.0, 0.0, 0.0)
        return _least_met(environment, policy, lines, faded, least, variation, trajectories)
    return jump


def _zoomed(
    environment: Environment, policy: Policy, lines: Lines, pieces: _Pieces, entry: Tensor, least: Tensor
) -> tuple[_Pieces, _Pieces]:
    """Pieces whose change is still there between neighbouring numbers; and those at which a change last was whole."""
    whole, faded, zooms = pieces, [pieces.of(torch.zeros(0, dtype=torch.long))], 0
    pieces = pieces._replace(change=torch.full_like(pieces.left, torch.inf))
    while len(pieces.which) and pieces.right[0] - pieces.left[0] > LAST_LENGTH:
        which, left, right, change = pieces
        cuts = left[:, None] + (right - left)[:, None] * torch.linspace(0, 1, PARTS + 1, dtype=torch.float64)
        inner = simulate(environment, policy, lines, which, cuts)
        followed = torch.cat([inner.values, inner.lasted[..., None]], -1)
        values = followed.gather(-1, entry[:, None, None].expand(-1, PARTS + 1, 1))[..., 0]
        now, part = values.diff(dim=1).abs().nan_to_num(0.0, 0.0, 0.0).max(1)
        rows = torch.arange(len(which))
        pieces, zooms = _Pieces(which, cuts[rows, part], cuts[rows, part + 1], now), zooms + 1
        survives, keep = now > SURVIVES * change, now > least[which]
        here = pieces._replace(change=inner.values[..., -1].diff(dim=1)[rows, part].abs())
        whole = _Pieces(*(torch.where(survives, *both) for both in zip(here, whole, strict=True)))
        if zooms > PATIENCE:
            keep &= survives
        faded.append(whole.of(~keep))
        pieces, whole, entry = pieces.of(keep), whole.of(keep), entry[keep]
    return pieces, _Pieces(*(torch.cat(each) for each in zip(*faded, strict=True)))


def _candidates(found: Rewards, least: Tensor) -> tuple[Tensor, Tensor, Tensor]:
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


def _largest(environment: Environment, policy: Policy, lines: Lines, pieces: _Pieces, least: Tensor) -> Jump | None:
    """Of intervals between neighbouring numbers, the one across which the return jumps most, if any is a jump."""
    which, left, right, _ = pieces
    near, counted = (right - left)[:, None], torch.arange(1, BESIDE + 1, dtype=torch.float64)
    beside = torch.cat([counted * near, counted * torch.full_like(near, FAR)], 1)
    across, restless = _beside(environment, policy, lines, which, left, right, beside)
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


def _least_met(
    environment: Environment, policy: Policy, lines: Lines, pieces: _Pieces, least: Tensor, variation: Tensor,
    trajectories: int,
) -> Jump | None:  # fmt: skip
    """Of pieces that hold a whole change, the one on whose like the fewest trajectories fall, if these are too few.

    Its like are those across which the return changes about as much, as long as the median of those found. How often
    they are met is the `variation` of lines, (lines,), by the change: more often than that is not possible. Lines that
    are not alike speak for themselves only.
    """

    def often(which: Tensor, change: Tensor) -> Tensor:
        times = (variation / change[:, None] + 0.5).floor().clamp_max(1e9)
        if lines.alike:
            return (times.sum(1) + UNSEEN_CROSSINGS) / len(lines)
        return times[torch.arange(len(which)), which].clamp_min(1)

    shortest = (pieces.right - pieces.left) / FINE
    pieces = pieces.of(often(pieces.which, pieces.change) * shortest * trajectories < FEWEST_HITS)
    if not len(pieces.which):
        return None
    which, left, right, _ = _narrowed(environment, policy, lines, pieces)
    width = right - left
    beside = torch.arange(1, BESIDE + 1, dtype=torch.float64) * (3 * width)[:, None]
    across, restless = _beside(environment, policy, lines, which, left - width, right + width, beside)
    change = across[:, -1]
    ramps = (across > least[which, None]) & (restless < STEADY * across)
    steep = ramps[:, -1]
    like = steep & ((change[:, None] / change).log2().abs() < 1) & (lines.alike | (which[:, None] == which))
    share = often(which, change) * torch.where(like, width, torch.nan).nanmedian(1).values
    found = steep & (share * trajectories < FEWEST_HITS)
    for best in torch.where(found, share, torch.inf).argsort()[: min(int(found.sum()), TRIED)].tolist():
        line, size = which[best], change[best]
        group = torch.arange(len(lines)) if lines.alike else line[None]
        elsewhere = _elsewhere(environment, policy, lines, group, width[best])
        met = max(share[best].item(), (elsewhere > size / 2).double().mean().item())
        seen = (elsewhere * (elsewhere <= size / 2)).mean() / width[best]
        unseen = torch.maximum(size * len(which[like[best]].unique()) / len(group), variation[group].mean() - seen)
        if met * trajectories < FEWEST_HITS and unseen >= MATTERS * seen:
            step = min(int(ramps[best].nonzero()[0, 0]) + 1, environment.horizon)
            distance = (lines.direction[line].abs().max() * width[best]).item()
            return Jump(size.item(), step, distance, met, int(line))
    return None


def _elsewhere(environment: Environment, policy: Policy, lines: Lines, which: Tensor, width: Tensor) -> Tensor:
    """By how much the return changes within this width at some `PROBES` places of these lines: what derivatives see.

    Where there is chaos, that is a lot everywhere: finer than pieces could show.
    """
    each = -(-PROBES // len(which))
    parts = torch.rand(len(which), each, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    starts = (torch.arange(each) + parts) / each
    ends = torch.stack([starts, starts + width], -1).flatten(1)
    values = simulate(environment, policy, lines, which, ends).values[..., -1]
    return values.unflatten(1, (each, 2)).diff(dim=-1).abs().flatten()


def _narrowed(environment: Environment, policy: Policy, lines: Lines, pieces: _Pieces) -> _Pieces:
    """The shortest piece in and beside each of these that holds most of the return's change there."""
    rows, parts = torch.arange(len(pieces.which)), torch.linspace(-1, 2, 3 * FINE + 1, dtype=torch.float64)
    while True:
        length = pieces.right - pieces.left
        places = pieces.left[:, None] + length[:, None] * parts
        values = simulate(environment, policy, lines, pieces.which, places).values[..., -1]
        first, last = _fewest(values)
        change = (values[rows, last] - values[rows, first]).abs()
        pieces = _Pieces(pieces.which, places[rows, first], places[rows, last], change)
        shrunk = (pieces.right - pieces.left < length / 2) & (length > LAST_LENGTH)
        if not shrunk.any():
            return pieces


def _fewest(values: Tensor) -> tuple[Tensor, Tensor]:
    """First and last of the fewest neighbouring places, of (pieces, places), that hold most of the change of all."""
    whole = (values[:, -1] - values[:, 0]).abs()
    count = values.shape[1]
    first, last = torch.zeros(len(values), dtype=torch.long), torch.full((len(values),), count - 1)
    for length in range(count - 2, 0, -1):
        best = (values[:, length:] - values[:, :-length]).abs().max(1)
        holds = best.values > HOLDS * whole
        first, last = torch.where(holds, best.indices, first), torch.where(holds, best.indices + length, last)
    return first, last


def _beside(
    environment: Environment, policy: Policy, lines: Lines, which: Tensor, left: Tensor, right: Tensor, beside: Tensor
) -> tuple[Tensor, Tensor]:
    """By how much rewards and return change across intervals, and at most on either side: (intervals, horizon + 1).

    `beside`, (intervals, places), are distances from their ends, the furthest last, where all actions are shaken too.
    """
    places = torch.cat([left[:, None], left[:, None] - beside, right[:, None], right[:, None] + beside], 1)
    far = beside.shape[1]
    places = torch.cat([places, places[:, [far, -1]].repeat_interleave(SHAKEN, 1)], 1)
    shaken = torch.zeros(places.shape[1], *lines.direction.shape[1:], dtype=torch.float64)
    shaken[-2 * SHAKEN :].normal_(generator=torch.Generator().manual_seed(0))
    values = simulate(environment, policy, lines, which, places, SHAKE * shaken).values
    values, moved = values.split([places.shape[1] - 2 * SHAKEN, 2 * SHAKEN], dim=1)
    before, after = values.chunk(2, dim=1)
    across = (after[:, 0] - before[:, 0]).abs()
    restless = torch.maximum(*((side - side[:, :1]).abs().amax(1) for side in (before, after)))
    for side, its_moved in zip((before, after), moved.chunk(2, dim=1), strict=True):
        restless = torch.maximum(restless, (its_moved - side[:, far, None]).abs().amax(1))
    return across, restless
