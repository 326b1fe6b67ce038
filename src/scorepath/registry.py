"""Discovery: an environment family or an estimator is one file, found by its name.

`names` only lists files, so it needs no torch; `load` imports one module and returns the class defined in it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorepath.study import EnvironmentEntry, EstimatorEntry

if TYPE_CHECKING:
    from scorepath.environments.base import Environment
    from scorepath.estimators.base import Estimator
    from scorepath.policies import Policy

ENVIRONMENTS = "scorepath.environments"
ESTIMATORS = "scorepath.estimators"


def names(package: str) -> list[str]:
    """The families (or methods) that exist: module names of the package, without the protocol itself."""
    folder = Path(__file__).parent / package.rpartition(".")[2]
    return sorted(path.stem for path in folder.glob("*.py") if path.stem not in {"__init__", "base"})


def load(package: str, name: str) -> type[Any]:
    """The one public class defined in module `name` of the package.

    Raises:
        LookupError: if there is no such module or it does not define exactly one public dataclass.
    """
    if name not in names(package):
        raise LookupError(f"there is no {name!r} among the modules of {package}: {', '.join(names(package))}")
    module = importlib.import_module(f"{package}.{name}")
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
        and dataclasses.is_dataclass(member)
        and not member.__name__.startswith("_")
    ]
    if len(classes) != 1:
        raise LookupError(f"{module.__name__} must define exactly one dataclass, found {len(classes)}")
    return classes[0]


def knobs(cls: type[Any], required: object) -> dict[str, object]:
    """The fields a user may set, with their defaults; `required` stands where there is none."""
    table = {}
    for field in dataclasses.fields(cls):
        if field.default_factory is not dataclasses.MISSING:
            table[field.name] = field.default_factory()
        else:
            table[field.name] = required if field.default is dataclasses.MISSING else field.default
    return table


def make_environment(entry: EnvironmentEntry) -> tuple[Environment, Policy]:
    """The environment that an entry of the configuration names, and its policy."""
    from scorepath.policies import make_policy

    environment = load(ENVIRONMENTS, entry.family)(**entry.knobs)
    policy = dict(entry.policy or {})
    if "hidden" in policy:
        policy["hidden"] = tuple(policy["hidden"])
    return environment, make_policy(environment, **policy)


def make_estimator(entry: EstimatorEntry) -> Estimator:
    """The estimator that an entry of the configuration names."""
    return load(ESTIMATORS, entry.method)(**entry.options)
