"""Discovery: an environment family or an estimator is one file, found by its name, here or among a study's plugins.

`names` only lists files, so it needs no torch; `load` imports one file and returns the class defined in it.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from scorepath import plugins

ENVIRONMENTS = "scorepath.environments"
CLAIMS = "scorepath.claims"
ESTIMATORS = "scorepath.estimators"


def names(package: str) -> list[str]:
    """The families (or methods) that exist: module names of the package, without the protocol and shared helpers.

    What families share has a name with an underscore in front.
    """
    folder = Path(__file__).parent / package.rpartition(".")[2]
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "base" and not path.stem.startswith("_"))


def load(package: str, name: str, plugin: str = "") -> type[Any]:
    """The one public class defined in module `name` of the package, or in the file `plugin`.

    Raises:
        LookupError: if there is no such module, it cannot be imported, or it does not define exactly one such class.
    """
    return load_plugin(Path(plugin))[1] if plugin else _own(package, name)


@cache  # a study of many cells asks thousands of times
def _own(package: str, name: str) -> type[Any]:
    if name not in names(package):
        raise LookupError(f"there is no {name!r} among the modules of {package}: {', '.join(names(package))}")
    try:
        module = importlib.import_module(f"{package}.{name}")
    except Exception as error:
        raise LookupError(f"{package}.{name} cannot be imported: {plugins.cause(error)}") from error
    return _only_class(module, module.__name__)


def family_of(name: str, plugin: str = "") -> str:
    """The family of environments that a class is of: its own, or for a plugin the one that it extends, if it does.

    Raises:
        LookupError: as `load`.
    """
    modules = (each.__module__.rpartition(".") for each in load(ENVIRONMENTS, name, plugin).__mro__)
    own = names(ENVIRONMENTS)
    return next((module for package, _, module in modules if package == ENVIRONMENTS and module in own), name)


def load_plugin(path: Path) -> tuple[str, type[Any]]:
    """Import a user's file: which package it extends (`ENVIRONMENTS` or `ESTIMATORS`), and its class.

    Raises:
        LookupError: if the file does not exist, cannot be imported, or does not define exactly one such class.
    """
    if found := plugin_class(path):
        return found
    others = _public_dataclasses(plugins.load(path)[0])
    if len(others) == 1:
        raise LookupError(f"{path} defines {others[0].__name__}, which extends neither Environment nor Estimator")
    raise LookupError(f"{path} must define exactly one public dataclass, found {_listed(others)}")


def plugin_class(path: Path) -> tuple[str, type[Any]] | None:
    """The same, or None for a file that defines no environment or estimator: one that registers something, say.

    Raises:
        LookupError: if the file does not exist, cannot be imported, or defines more than one.
    """
    module, plugin = plugins.load(path)
    found = [(package, cls) for cls in _public_dataclasses(module) if (package := _extended(cls))]
    if len(found) > 1:
        classes = _listed(cls for _, cls in found)
        raise LookupError(f"{path} must define exactly one public dataclass, found {classes}")
    plugins.require_shown(path, plugin, getattr(found[0][1] if found else module, plugins.DATA, ()))
    return found[0] if found else None


def load_plugins(paths: Iterable[str]) -> None:
    """Import users' files in their order, each once for a process: what they register is there then.

    Raises:
        LookupError: if one does not exist or cannot be imported.
    """
    for path in paths:
        plugins.load(Path(path))


def _extended(cls: type[Any]) -> str:
    """The package whose protocol a class extends; "" for neither."""
    ancestors = {ancestor.__module__ for ancestor in cls.__mro__}
    return next((package for package in (ENVIRONMENTS, ESTIMATORS) if f"{package}.base" in ancestors), "")


def _only_class(module: ModuleType, where: str) -> type[Any]:
    """The public dataclass that is defined in a module and not merely imported there."""
    classes = _public_dataclasses(module)
    if len(classes) != 1:
        raise LookupError(f"{where} must define exactly one public dataclass, found {_listed(classes)}")
    return classes[0]


def _public_dataclasses(module: ModuleType) -> list[type[Any]]:
    return [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
        and dataclasses.is_dataclass(member)
        and not member.__name__.startswith("_")
    ]


def _listed(classes: Iterable[type[Any]]) -> str:
    return ", ".join(cls.__name__ for cls in classes) or "none"


def knobs(cls: type[Any]) -> dict[str, object]:
    """The fields a user may set, with their defaults; `dataclasses.MISSING` stands where there is none."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(cls)
    }
