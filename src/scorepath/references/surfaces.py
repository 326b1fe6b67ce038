"""Exact values for a phase diagram: what a sweep measures, by formulas or quadrature, without sampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from scorepath.references.curves import exact_curves
from scorepath.references.exact import reference_class
from scorepath.rollout import Simulator

NODES = 2**14
"""Of a quadrature: boundaries are off by a part in a thousand, where curves are drawn by the dozen."""


def exact_quantities(
    members: Sequence[Simulator],
    averaged: frozenset[str],
    methods: Sequence[str],
    sigmas: Sequence[float],
    quantity: str,
    batch_size: int,
    drawn: bool = False,
) -> Mapping[str, np.ndarray] | None:
    """A quantity of each method at every noise level, averaged over the members: (levels,) each.

    Args:
        members: instances that differ in the knobs averaged over; their noise levels do not matter.
        averaged: those knobs.
        methods: pathwise and a rival, or for `flat_batches` pathwise alone.
        sigmas: noise levels, rising, all positive.
        quantity: `variance`, `second_moment`, `squared_error` (in any unit, where nothing is biased), or
            `flat_batches`, the share of batches all of whose samples have a pathwise gradient of zero.
        batch_size: N.
        drawn: whether the members are draws from all values, whose own averages are then no theory of the whole.

    Returns:
        None where neither the family's formulas nor a quadrature give it.
    """
    environment = members[0].environment
    if quantity == "flat_batches":
        shares = [environment.flat_probability(sigma) for sigma in sigmas]
        return None if None in shares else {methods[0]: np.array(shares, dtype=float) ** batch_size}
    if quantity == "second_moment":
        found = [environment.exact_second_moments(sigma, averaged) for sigma in sigmas]
        if all(each is not None and set(methods) <= set(each) for each in found):
            return {method: np.array([each[method] for each in found if each]) for method in methods}
    if quantity == "squared_error" and not environment.continuous:
        return None
    if drawn or reference_class(environment, members[0].policy) == "certified_monte_carlo":
        return None
    parts = [exact_curves(member, sigmas, methods, batch_size, NODES) for member in members]
    if not set(methods) <= set(parts[0].variances):
        return None
    squares = [part.gradient_norm.numpy() ** 2 if quantity == "second_moment" else 0.0 for part in parts]
    return {
        method: np.mean([part.variances[method].numpy() + own for part, own in zip(parts, squares, strict=True)], 0)
        for method in methods
    }
