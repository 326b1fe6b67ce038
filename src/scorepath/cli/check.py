"""`scorepath check`: load a file or a family, run every check on it, and say in plain sentences what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scorepath import plugins, registry
from scorepath.conformance import examine_class

WORDS = {registry.ENVIRONMENTS: ("environment", "family"), registry.ESTIMATORS: ("estimator", "method")}


def check_and_report(name: str) -> None:
    """Print what is checked and what was found.

    Raises:
        LookupError: if there is no such file or name, it cannot be imported, or it defines several of them.
        ValueError: if something is wrong with it.
    """
    if (defined := _find(name)) is None:
        print(f"{name} can be imported. It defines no environment and no estimator, so there is nothing else to check;")
        print(f"with `plugins: [{name}]` in config.yaml, every job imports it for what else it does.")
        return
    package, kind = defined
    word, key = WORDS[package]
    print(f"{name}: {word} {kind.__name__}")
    if beside := [place for place in _files(name) if place != Path(name).name]:
        print(f"  with   {', '.join(beside)}")
    wrong = 0
    for summary, found in examine_class(kind).items():
        print(f"  {'wrong' if found else 'ok   '}  {summary}")
        for finding in found:
            print(f"         - {finding}")
        wrong += len(found)
    if wrong:
        what = "1 thing is" if wrong == 1 else f"{wrong} things are"
        raise ValueError(f"{what} wrong with {name}; checks that build on what is wrong were left out")
    print("Nothing is wrong.")
    if name.endswith(".py"):
        print(f"To use it, add to config.yaml `plugins: [{name}]` and an entry with `{key}: {Path(name).stem}`.")


def _find(name: str) -> tuple[str, type[Any]] | None:
    """The package that a file extends or a name belongs to, and the class; None for a file that defines none."""
    for package in WORDS:
        if name in registry.names(package):
            return package, registry.load(package, name)
    return registry.plugin_class(Path(name))


def _files(name: str) -> Iterable[str]:
    """All that belongs to a file: what it imports from its folder, and its data."""
    return sorted(plugins.read(Path(name)).files) if name.endswith(".py") else ()
