"""Whether a sweep can be measured at all of its points: knobs that their family takes, methods that apply there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from scorepath.stages._sweeps import estimators, members
from scorepath.study.sweeps import Sweep
from scorepath.study.wording import ConfigError

if TYPE_CHECKING:
    from scorepath.study.settings import Study

MOST_NUMBERS = 1_000_000_000
"""As a cell, a point may hold so many numbers at once."""


def check_sweep(key: str, study: Study, sweep: Sweep, plugins: Collection[str]) -> None:
    """Raises ConfigError naming the sweep, and the point if it is one of them that is wrong."""
    for rival in sweep.rivals:
        if rival in plugins:
            raise ConfigError(
                f"{key}.rivals ({sweep.name}): {rival} is a plugin's; a sweep takes methods of the package."
            )
    methods = estimators(sweep)
    for name, point in sweep.points.items():
        where = f"{key} ({sweep.name}) at {name}"
        try:
            simulators = members(study, sweep, replace(point, checkpoint=0.0))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{where}: {error}") from error
        environment, policy = simulators[0].environment, simulators[0].policy
        for method, estimator in methods.items():
            if reason := estimator.not_applicable(environment, point.sigma):
                raise ConfigError(
                    f"{where}: {method} cannot be measured there ({reason}); choose another rival or family."
                )
        if sweep.quantity == "squared_error" and not any(
            estimator.unbiased(environment) for estimator in methods.values()
        ):
            raise ConfigError(
                f"{where}: nothing measured there is unbiased, so a squared_error cannot be told; add leave_one_out "
                "to rivals."
            )
        sizes = environment.horizon * (environment.state_dim + environment.action_dim) + policy.parameter_count
        if (numbers := point.batch_size * sizes) > MOST_NUMBERS:
            raise ConfigError(
                f"{where}: a batch is {float(numbers):.2g} numbers, but must be at most {MOST_NUMBERS:.0e} to fit in "
                "memory; lower batch_size or a dimension."
            )
