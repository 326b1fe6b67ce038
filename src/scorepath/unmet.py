"""What no sampled trajectory met, and how much larger pathwise's error may be for it.

Of n trajectories none meets an event of probability 3 / n with a probability of 5 %: what is rarer, samples cannot
show, however much of a variance it holds. But a steep place shows in the return on both of its sides, where derivatives
do not show it: a line that crosses it finds it. So the steepest places of a few lines are looked for, random ones and
lines to the outliers of as many trajectories as are sampled, and pathwise's gradient is taken there. What lies further
from the mean than any sample's may, for all that the samples say, happen once in n / 3 trajectories: the upper limit of
the error allows for that. A ramp that is known to be narrower than samples can meet leaves it no upper limit at all.
What neither a sample nor a line meets remains unknown, and the advice says so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from scorepath.adjoint import backpropagate
from scorepath.forecast import Evidence
from scorepath.moments import BatchMoments
from scorepath.noise import RolloutNoise
from scorepath.pullback import per_trajectory_gradients
from scorepath.references.jumps import Jump
from scorepath.references.noise_lines import Lines, draw_lines, outlying_lines, simulate
from scorepath.rollout import Simulator

UNMET = 3.0
"""Expected number of an event's occurrences of which none happens with a probability of 5 %."""
PIECES, PARTS = 32, 8
"""Into which a line is cut at first, and the piece over which the return changes most, again and again."""
ZOOMS = 6
PER_LINE = PIECES + 1 + ZOOMS * (PARTS + 1) + 10 * 3 * (ZOOMS + 1)
"""Trajectories: its places, and derivatives at a few of them, each as dear as ten trajectories."""


def steep_gradients(simulator: Simulator, lines: int, among: int, generator: torch.Generator) -> Tensor:
    """Pathwise gradients of single trajectories at the steepest places found, (places, P).

    Args:
        simulator: of continuous actions and derivatives, with one vector of parameters (P,), at the lines' noise level.
        lines: random ones; as many again, or a few more, end in outliers.
        among: trajectories, among which the outliers are.
        generator: of the numbers.
    """
    environment, parameters, sigma = simulator.environment, simulator.parameters.double(), simulator.sigma
    scales = torch.full((lines,), sigma, dtype=torch.float64)
    kinds = (
        draw_lines(environment, parameters.expand(lines, -1), scales, generator),
        outlying_lines(environment, simulator.policy, parameters, sigma, generator, among),
    )
    return torch.cat([_gradients(simulator, each, _steep_places(simulator, each)) for each in kinds])


def _steep_places(simulator: Simulator, lines: Lines) -> Tensor:
    """Ends and middle of the piece over which the return changes most, and of its most changing part, and so on."""
    rows = torch.arange(len(lines))
    left, right = torch.zeros(len(lines), dtype=torch.float64), torch.ones(len(lines), dtype=torch.float64)
    found = []
    for zoom in range(ZOOMS + 1):
        parts = torch.linspace(0, 1, (PARTS if zoom else PIECES) + 1, dtype=torch.float64)
        cuts = left[:, None] + (right - left)[:, None] * parts
        returns = simulate(simulator.environment, simulator.policy, lines, rows, cuts).values[..., -1]
        part = returns.diff(dim=1).abs().nan_to_num(0.0, 0.0, 0.0).argmax(1)
        left, right = cuts[rows, part], cuts[rows, part + 1]
        found += [left, (left + right) / 2, right]
    return torch.stack(found, 1)


def _gradients(simulator: Simulator, lines: Lines, places: Tensor) -> Tensor:
    """Pathwise gradients at these places (lines, K) of the lines, those that are finite: (places, P)."""
    environment = simulator.environment
    points = places.shape[1]
    action = lines.start[:, None] + places[..., None, None] * lines.direction[:, None]
    noise = RolloutNoise(
        initial=lines.initial[:, None].expand(-1, points, -1),
        action=action,
        process=lines.process[:, None].expand(-1, points, -1, -1),
        reward=action.new_zeros(len(lines), points, environment.horizon, 1),
    )
    # the action noise of a line is in units of the action
    unscaled = Simulator(environment, simulator.policy, lines.parameters, 1.0)
    chunks = per_trajectory_gradients(*backpropagate(unscaled, noise))
    found = torch.cat([chunk.double().flatten(0, 1) for chunk in chunks])
    return found[found.isfinite().all(-1)]


def rarest(trajectories: int) -> int:
    """One in so many is the rarest event that one of these trajectories meets with a probability of 95 %."""
    return max(1, int(trajectories / UNMET))


def unmet_share(moments: BatchMoments, steep: Tensor) -> float:
    """How much larger a variance may be for places as steep as these, by the variance that was sampled.

    They happened to none of n samples: at most with probability 3 / n, at 95 %. Nothing where a sample lies as far from
    the mean; infinite where nothing has been seen to vary.

    Args:
        moments: of pathwise's batches.
        steep: gradients of single trajectories, (places, P).
    """
    deviations = moments.squared_deviations
    if not len(steep) or not deviations.isfinite().all():
        return 0.0
    furthest = float((steep - moments.means.mean(0)).square().sum(-1).max())
    excess, total = furthest - float(deviations.max()), float(deviations.sum())
    # what rounding alone makes of a gradient that is the same everywhere is no excess
    if excess <= 1e-9 * furthest:
        return 0.0
    return UNMET * excess / total if total > 0 else math.inf


def with_unmet(evidence: Evidence, share: float, ramp: Jump | None, samples: int) -> Evidence:
    """The same comparison, with room in pathwise's error for what its samples did not meet.

    Where a ramp is known that they do not meet, its error is at least what they show, as far as `samples` trajectories
    do not meet the ramp either, and has no upper limit.

    Args:
        evidence: of the samples alone.
        share: from `unmet_share`.
        ramp: one that is expected on too few of the sampled trajectories.
        samples: N, trajectories of an estimate.
    """
    if ramp is not None and ramp.share > 0:
        missing = -samples * math.log10(1 - min(ramp.share, 0.5))
        return replace(
            evidence, lead=evidence.lead_high + missing, lead_low=-math.inf, lead_high=evidence.lead_high + missing,
            cautious=min(evidence.cautious, evidence.lead_high + missing), cautious_low=-math.inf,
        )  # fmt: skip
    room = math.log10(1 + share)
    return replace(evidence, lead_low=evidence.lead_low - room, cautious_low=evidence.cautious_low - room)
