"""What an environment looks like from its checkpoints: the return along a line of parameters, and one trajectory.

The line runs along the reference gradient at one noise level, that of the study which is nearest to the level at which
the checkpoints were trained; on it the return is taken at every noise level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from scorepath.noise import Stream
from scorepath.references.lines import Episode, Line, line, noiseless_episode, trajectories_of
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies, load_reference
from scorepath.store.files import write_rows
from scorepath.store.paths import episode_path, landscape_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

MOST_COORDINATES = 8
"""Of a state or an action, in the table of trajectories."""
RETURNS = ("expected_return", "expected_return_low", "expected_return_high", "paired_low", "paired_high")
DIGITS = 5
"""Of a return on a line."""


def landscapes(plan: Plan, environment: str) -> None:
    """Follow the return along a line through each checkpoint, and one trajectory without noise.

    No line where the reference gradient is zero or not finite; no trajectory of a single decision.
    """
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    sigmas, along = study.noise_levels_of(environment), study.landscape_level(environment)
    checkpoints = study.references.return_gaps
    directions = load_reference(environment, along).gradients.mean(1)
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    for index, parameters in enumerate(load_policies(environment).parameters):
        place = {"environment": environment, "checkpoint": checkpoints[index]}
        simulator = Simulator(instance, policy, parameters, along)
        stream = Stream(study.seed, environment, f"landscapes/{index}")
        trajectories = trajectories_of(simulator, len(checkpoints) * len(sigmas))
        if found := line(simulator, directions[index], sigmas, stream, trajectories):
            rows.extend(place | row for row in _points(found, sigmas, along, trajectories))
        if instance.horizon > 1:
            steps.extend(place | step for step in _steps(noiseless_episode(simulator, stream)))
    write_rows(landscape_path(environment), rows, COLUMNS["landscapes"])
    write_rows(episode_path(environment), steps, COLUMNS["trajectories"])


def _points(found: Line, sigmas: Sequence[float], along: float, trajectories: int) -> Iterator[dict[str, Any]]:
    """A row per noise level and point."""
    for level, sigma in enumerate(sigmas):
        for point, distance in enumerate(found.distances):
            ends = (found.returns.value, found.returns.low, found.returns.high, found.paired.low, found.paired.high)
            values = {name: _short(each[level, point]) for name, each in zip(RETURNS, ends, strict=True)}
            yield {"along_sigma": along, "sigma": sigma, "distance": distance, **values, "trajectories": trajectories}


def _short(value: float) -> float:
    """To as many digits as a drawing needs: the page carries the table."""
    return float(f"{value:.{DIGITS}g}")


def _steps(episode: Episode) -> list[dict[str, Any]]:
    """A row per step and coordinate; coordinates count from 1, a reward has none."""
    found = []
    for quantity, values in (("state", episode.states), ("action", episode.actions)):
        for coordinate in range(min(MOST_COORDINATES, values.shape[-1])):
            found += [
                {"quantity": quantity, "coordinate": coordinate + 1, "step": step, "value": value}
                for step, value in enumerate(values[:, coordinate].tolist())
            ]
    rewards = enumerate(episode.rewards.tolist())
    return found + [{"quantity": "reward", "step": step, "value": value} for step, value in rewards]
