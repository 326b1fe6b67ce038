"""The public face: which names `scorepath` has, and where they are defined.

Environments and estimators are found by rule, a class by the file whose name is its own without underscores and
capitals, so that a new one is one new file. The stubs beside the packages list them all for editors and type checkers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from scorepath import registry

PACKAGES = ("environments", "estimators")
WHERE = {
    "Simulator": "rollout",
    "Trajectories": "rollout",
    "measure": "inquiry",
    "compare": "inquiry",
    "advise": "advisor",
    "Advice": "advice",
    "Measurement": "inquiry",
    "Comparison": "inquiry",
    "exact_reference": "references.exact",
    "certified_reference": "references.monte_carlo",
    "exact_variance": "references.variances",
    "Environment": "environments.base",
    "SequentialEnvironment": "environments.base",
    "TabularEnvironment": "environments._tabular",
    "StepJacobians": "environments._jacobians",
    "jacobians_by_differences": "environments._jacobians",
    "make_policy": "environments.base",
    "squashed": "environments._squashed",
    "Estimator": "estimators.base",
    "ActionSignalEstimator": "estimators.base",
    "ScoreFunctionEstimator": "estimators.base",
    "Policy": "policies",
    "LearnedStd": "policies",
    "ModulePolicy": "modules",
    "OpenLoop": "policies",
    "Network": "policies",
    "Noise": "noise",
    "Stream": "noise",
    "backpropagate": "adjoint",
    "per_trajectory_gradients": "pullback",
    "mean_gradients": "pullback",
    "Trainer": "training",
}
"""Public name -> the module that defines it."""


def names() -> list[str]:
    """All public names of `scorepath`."""
    return sorted([*PACKAGES, *WHERE, "__version__"])


def public(name: str) -> Any:
    """What `scorepath.<name>` is.

    Raises:
        AttributeError: with the nearest name.
    """
    if name == "__version__":
        return version("scorepath")
    if name in PACKAGES:
        return import_module(f"scorepath.{name}")
    if name in WHERE:
        return getattr(import_module(f"scorepath.{WHERE[name]}"), name)
    raise _unknown("scorepath", name, names())


def members(package: str) -> dict[str, str]:
    """The files of an environment or estimator package, by their names without underscores."""
    return {stem.replace("_", ""): stem for stem in registry.names(package)}


def member(package: str, name: str) -> type[Any]:
    """The class of that name in `scorepath.environments` or `scorepath.estimators`.

    Raises:
        AttributeError: with the nearest name.
    """
    files = members(package)
    if name.lower() in files:
        found = registry.load(package, files[name.lower()])
        if found.__name__ == name:
            return found
    raise _unknown(package, name, classes(package))


def classes(package: str) -> list[str]:
    """The names of all classes of such a package; imports every file."""
    return sorted(registry.load(package, stem).__name__ for stem in registry.names(package))


def _unknown(module: str, name: str, known: Iterable[str]) -> AttributeError:
    # tools ask for names with underscores all the time, and want no advice
    near = [] if name.startswith("_") else difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return AttributeError(f"{module} has no {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
