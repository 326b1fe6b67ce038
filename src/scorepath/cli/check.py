"""`scorepath check`: load a file or a family, run every check on it, and say in plain sentences what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorepath import registry
from scorepath.conformance import examine_class

WORDS = {registry.ENVIRONMENTS: ("environment", "family"), registry.ESTIMATORS: ("estimator", "method")}


def check_and_report(name: str) -> None:
    """Print what is checked and what was found.

    Raises:
        LookupError: if there is no such file or name, or it does not define one environment or estimator.
        ValueError: if something is wrong with it.
    """
    package, kind = _find(name)
    word, key = WORDS[package]
    print(f"{name}: {word} {kind.__name__}")
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


def _find(name: str) -> tuple[str, type[Any]]:
    """The package that a file extends or a name belongs to, and the class."""
    for package in WORDS:
        if name in registry.names(package):
            return package, registry.load(package, name)
    return registry.load_plugin(Path(name))
