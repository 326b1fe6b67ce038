"""First on the path of the workflow tests' commands: what a project does not install is neither found nor listed."""

import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MISSING = frozenset(os.environ["NOT_INSTALLED"].split(","))


class Installed(PathFinder):
    """The finder of installed modules, but for those that are missing."""

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname.partition(".")[0] in MISSING else super().find_spec(fullname, path, target)


sys.meta_path[:] = [Installed if finder is PathFinder else finder for finder in sys.meta_path]

list_modules = pkgutil.iter_modules


def iter_modules(path: Iterable[Any] | None = None, prefix: str = "") -> Iterator[pkgutil.ModuleInfo]:
    """By which Snakemake finds its plugins."""
    return (module for module in list_modules(path, prefix) if module.name not in MISSING)


pkgutil.iter_modules = iter_modules
