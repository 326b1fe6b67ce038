"""Pathwise variance is bounded by the squared Lipschitz constant, whatever the dimension."""

from __future__ import annotations

from collections.abc import Iterator

from scorepath.claims._lab import Claim, Finding, Lab, positive_mean
from scorepath.environments.tanh_ridge import TanhRidge


def experiment(lab: Lab) -> Iterator[Finding]:
    """See the module: predictions first, then what is measured."""
    for dimension in (10, 100, 1000):
        found = lab.sample("pathwise", lab.at(TanhRidge(dimension=dimension, lipschitz=2.0), 1.0), 16, 32)
        yield Finding(
            f"pathwise on tanh ridge of Lipschitz constant 2, D = {dimension}: variance at most 4",
            positive_mean(found.variances), None, (0.0, 4.0),
        )  # fmt: skip


CLAIM = Claim(
    source="Glasserman 2003 7.2; Mohamed 2020 5.3.2; Fan 2015",
    prediction=("The variance of pathwise is at most the squared Lipschitz constant and free of the dimension."),
    experiment=experiment,
    mutants=({"pathwise": "leave_one_out"},),
)
