"""Exact lines to draw over measurements: variances against the noise level, where a formula or quadrature gives one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scorepath.references.exact import exact_reference
from scorepath.references.variances import exact_variance
from scorepath.rollout import Simulator
from scorepath.stages._instances import make_environment
from scorepath.stages._references import load_policies
from scorepath.store.files import write_rows
from scorepath.store.paths import policies_path, table_path
from scorepath.store.tables import COLUMNS

if TYPE_CHECKING:
    from scorepath.study.cells import Plan

NOISE_LEVELS = np.geomspace(0.005, 2.0, 25)
TOLERANCE = 1e-3
"""Relative; far below a line's width. Discontinuous returns converge slowly."""


def exact_curves(plan: Plan) -> None:
    """Write the exact curves that figures draw over measurements.

    Variance and gradient norm at the first checkpoint of every environment that has them, on a fine grid.
    """
    study = plan.study
    rows = []
    for name, entry in study.environments.items():
        environment, policy = make_environment(entry)
        if environment.reference_class == "certified_monte_carlo" or not policies_path(name).exists():
            continue  # nothing exact; or a partial study
        parameters = load_policies(name).parameters[0]
        for sigma in map(float, NOISE_LEVELS):
            norm = exact_reference(Simulator(environment, policy, parameters, sigma)).gradient.norm().item()
            rows.append(
                {"environment": name, "estimator": "", "quantity": "gradient_norm", "sigma": sigma, "value": norm}
            )
            for estimator, method in study.estimators.items():
                if method.options:
                    continue  # the formulas are those of the defaults
                value = exact_variance(
                    method.method,
                    Simulator(environment, policy, parameters, sigma),
                    study.gradients.batch_size,
                    TOLERANCE,
                )
                if value is not None:
                    rows.append(
                        {
                            "environment": name,
                            "estimator": estimator,
                            "quantity": "variance",
                            "sigma": sigma,
                            "value": float(value),
                        }
                    )
    write_rows(table_path("exact_curves"), rows, COLUMNS["exact_curves"])
