"""What is known at one noise level, as an advice asks about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor

from scorepath.advice import Answer
from scorepath.conformance.places import Fault
from scorepath.probes import Sampled
from scorepath.references.jumps import Jump
from scorepath.rollout import Simulator
from scorepath.signals import SignalMoments


@dataclass
class Level:
    """What is known at one noise level."""

    simulator: Simulator
    sampled: Sampled | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """Of one sample, the least seen, by contestant."""
    chunk: float = 0.0
    """Seconds that the last batch took, all contestants together."""
    jump: Jump | None = None
    steep: Tensor | None = None
    """Gradients at the steepest places found on lines, (places, P)."""
    moments: SignalMoments | None = None
    slope: float = math.nan
    single: float = math.nan
    """Relative error of pathwise's first batch in float32."""
    answer: Answer | None = None
    fault: Fault | None = None
    """Why derivatives must not be used."""

    @property
    def missed_jump(self) -> Jump | None:
        """A jump, or a ramp that what was sampled so far does not meet."""
        taken = self.sampled.batches * self.sampled.batch_size if self.sampled else 0
        return None if self.jump is None or self.jump.is_met(taken) else self.jump
