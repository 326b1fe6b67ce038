"""Discovery: an environment family or an estimator is one file, found by its name, here or among a study's plugins.

`names` only lists files, so it needs no torch; `load` imports one file and returns the class defined in it.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

ENVIRONMENTS = "scorepath.environments"
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
    if plugin:
        return load_plugin(Path(plugin))[1]
    if name not in names(package):
        raise LookupError(f"there is no {name!r} among the modules of {package}: {', '.join(names(package))}")
    try:
        module = importlib.import_module(f"{package}.{name}")
    except Exception as error:
        raise LookupError(f"{package}.{name} cannot be imported: {_cause(error)}") from error
    return _only_class(module, module.__name__)


def load_plugin(path: Path) -> tuple[str, type[Any]]:
    """Import a user's file: which package it extends (`ENVIRONMENTS` or `ESTIMATORS`), and its class.

    Raises:
        LookupError: if the file does not exist, cannot be imported, or does not define exactly one such class.
    """
    if path.suffix != ".py" or not (path.stem.isascii() and path.stem.isidentifier()):
        raise LookupError(f"{path} must be a Python file whose name is a plain identifier, such as my_environment.py")
    if not os.path.isfile(path):  # unlike Path.is_file, it has no exception for names that no file can have
        raise LookupError(f"there is no file {path}; the path is relative to the folder that the study is run in")
    module_name = f"scorepath_plugin_{path.stem}"
    module = sys.modules.get(module_name)
    if module is None or module.__file__ != str(path.resolve()):
        spec = importlib.util.spec_from_file_location(module_name, path.resolve())
        assert spec is not None  # a .py file always has one
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            del sys.modules[module_name]
            raise LookupError(f"{path} cannot be imported: {_cause(error)}") from error
    found = _only_class(module, str(path))
    ancestors = {ancestor.__module__ for ancestor in found.__mro__}
    for package in (ENVIRONMENTS, ESTIMATORS):
        if f"{package}.base" in ancestors:
            return package, found
    raise LookupError(f"{path} defines {found.__name__}, which extends neither Environment nor Estimator")


def _cause(error: BaseException) -> str:
    """An error in a file as one line: where and what."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {type(error).__name__}: {error}"


def _only_class(module: ModuleType, where: str) -> type[Any]:
    """The public dataclass that is defined in a module and not merely imported there."""
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__
        and dataclasses.is_dataclass(member)
        and not member.__name__.startswith("_")
    ]
    if len(classes) != 1:
        found = ", ".join(member.__name__ for member in classes) or "none"
        raise LookupError(f"{where} must define exactly one public dataclass, found {found}")
    return classes[0]


def knobs(cls: type[Any]) -> dict[str, object]:
    """The fields a user may set, with their defaults; `dataclasses.MISSING` stands where there is none."""
    return {
        field.name: field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        for field in dataclasses.fields(cls)
    }
