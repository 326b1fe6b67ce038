"""How often the tail gate lets samples through, by how many there are: with a variance, and without."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from benchmarks.calibration.counts import SEED, SIZE, Count
from benchmarks.calibration.simulated import CART_POLE, CLASSES, Class, Draw, cart_pole

from scorepath.moments import reduce_chunk
from scorepath.tails import tail_of

NUMBERS = 256, 1024, 4096, 16384
"""Samples: of an advice, of a small study, of the default study, of a thorough one."""


def cusp(power: float) -> Draw:
    """The slope of |a|^power at a normal a; it has no variance if the power is a half or less."""
    return lambda generator, shape: power * np.abs(generator.standard_normal(shape)) ** (power - 1)


WITHOUT = (
    Class(
        "Student's t, 2 degrees of freedom: no variance",
        lambda generator, shape: generator.standard_t(2, shape), 0.0, math.inf,
    ),
    Class("slope of abs(a)^0.4 at a normal a: no variance", cusp(0.4), math.nan, math.inf),
)  # fmt: skip
NAMES = *(each.name for each in (*CLASSES, *WITHOUT)), CART_POLE


def let_through(name: str, repeats: int) -> Mapping[int, Count]:
    """How often so many samples of a class pass."""
    kind = cart_pole() if name == CART_POLE else next(each for each in (*CLASSES, *WITHOUT) if each.name == name)
    counts = {number: Count() for number in NUMBERS}
    generator = np.random.default_rng([SEED, *b"gate", *name.encode()])
    for number, count in counts.items():
        for _ in range(repeats):
            values = torch.from_numpy(kind.draw(generator, (number // SIZE, SIZE)))
            deviations = reduce_chunk(values[..., None]).squared_deviations
            count.add(bool(deviations.any()) and not tail_of(deviations).unmeasurable)
    return counts
