"""The gradient that one simulator's estimates are held against: exact, or a Monte Carlo estimate, certified or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from scorepath.environments.base import require_instance, require_whole
from scorepath.noise import Stream
from scorepath.references.exact import exact_reference, reference_class
from scorepath.references.jumps import finding
from scorepath.references.monte_carlo import certified_reference
from scorepath.rollout import Simulator

REFERENCE_SAMPLES = 10
"""A certified Monte Carlo reference has so many times the trajectories of what it judges."""
ERROR_BUDGET = 0.25
"""Its largest standard error, as a fraction of the gradient's length."""

TOO_LARGE = (
    "gradients are not finite, or so large that the squares of their squared errors are beyond what float64 holds: "
    "measure rewards in a larger unit"
)


@dataclass(frozen=True)
class Judge:
    """The gradient that estimates are held against.

    | field | meaning |
    |---|---|
    | gradients | exact, (1, P), or an independent estimate for each batch, (batches, P); float64 |
    | certified | whether a bias may be judged by it |
    | how | where it comes from, in words |
    | finding | the jump that refutes a declared continuity, or the ramp that is one here; else empty |
    | noticeable | smallest bias, by the gradient's length, that would have shown; a quadrature's error; 0 if exact |
    """

    gradients: Tensor
    certified: bool
    how: str
    finding: str = ""
    noticeable: float = 0.0

    @property
    def square(self) -> float:
        """Squared length of the gradient, an estimate's own noise taken off; nan where it is not certified."""
        if not self.certified:
            return math.nan
        noise = self.gradients.var(0).sum().item() / len(self.gradients) if len(self.gradients) > 1 else 0.0
        return max(0.0, self.gradients.mean(0).square().sum().item() - noise)


def judge_of(simulator: Simulator, batches: int, batch_size: int, seed: int) -> Judge:
    """The exact gradient, or where there is none a Monte Carlo estimate, certified if it can be.

    Raises:
        TypeError: for a number of them that is not whole, or no simulator.
        ValueError: for too few batches or samples, parameters that are not finite, or where float64 cannot hold the
            squares.
    """
    require_instance("simulator", simulator, Simulator)
    if not simulator.parameters.isfinite().all():
        raise ValueError("the simulator's parameters are not finite")
    require_whole("batches", batches, 3)
    require_whole("batch_size", batch_size, 2)
    if reference_class(simulator.environment, simulator.policy) != "certified_monte_carlo":
        exact = exact_reference(simulator)
        norm = exact.gradient.norm().item()
        return Judge(exact.gradient[None], True, "exact", noticeable=exact.error / norm if norm > 0 else 0.0)
    stream = Stream(seed, "", "reference")
    judged = batches * batch_size
    try:
        found = certified_reference(simulator, stream, REFERENCE_SAMPLES * judged, batches, ERROR_BUDGET, judged)
    except (OverflowError, torch.linalg.LinAlgError) as error:  # type: ignore[attr-defined]
        raise ValueError(TOO_LARGE) from error
    said = "" if found.jump is None else finding(simulator.environment, found.jump, judged)
    return Judge(found.gradients, found.certified, found.certified_by, said, found.noticeable)
