"""Exact lines to draw over measurements, and where they cross: variances against the noise level.

Only where a formula or quadrature gives one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scorepath.references import curves
from scorepath.references.crossings import variance_crossings
from scorepath.references.exact import reference_class
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import curves_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

NOISE_LEVELS = tuple(map(float, np.geomspace(0.005, 2.0, 25)))


def exact_curves(plan: Plan, environment: str) -> None:
    """Compute the exact curves that figures draw over an environment's measurements.

    Variance and gradient norm at the first checkpoint, on a fine grid of noise levels, and the levels at which pathwise
    and the better score-function estimator have the same variance; no rows where nothing is exact.
    """
    study = plan.study
    instance, policy = make_environment(study.environments[environment])
    rows = []
    if reference_class(instance, policy) != "certified_monte_carlo":
        # the formulas are those of the methods' defaults
        methods = {name: entry.method for name, entry in study.estimators.items() if not entry.options}
        simulator = Simulator(instance, policy, load_policies(environment).parameters[0], NOISE_LEVELS[0])
        found = curves.exact_curves(simulator, NOISE_LEVELS, methods.values(), study.gradients.batch_size)
        lines = {("", "gradient_norm"): found.gradient_norm} | {
            (estimator, "variance"): found.variances[method]
            for estimator, method in methods.items()
            if method in found.variances
        }
        for level, sigma in enumerate(NOISE_LEVELS):
            for (estimator, quantity), values in lines.items():
                row = (environment, estimator, quantity, sigma, max(0.0, values[level].item()))
                rows.append(dict(zip(COLUMNS["exact_curves"], row, strict=True)))
        # where the return jumps pathwise is biased, and equal variances are no equal errors
        if instance.continuous:
            names = {method: name for name, method in reversed(methods.items())}
            for crossing in variance_crossings(simulator, NOISE_LEVELS, found.variances, study.gradients.batch_size):
                side = 1.0 if crossing.pathwise_above else -1.0
                row = (environment, names[crossing.rival], "crossing", crossing.sigma, side)
                rows.append(dict(zip(COLUMNS["exact_curves"], row, strict=True)))
    write_rows(curves_path(environment), rows, COLUMNS["exact_curves"])
