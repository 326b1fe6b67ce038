"""Estimators, one module each; `base` is the protocol they follow.

A class is found when it is first asked for, by the file whose name is its own: see `scorepath._face`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    if name.startswith("_"):  # as tools ask for
        raise AttributeError(f"{__name__} has no {name!r}")
    return import_module("scorepath._face").member(__name__, name)


def __dir__() -> "list[str]":
    from importlib import import_module

    return import_module("scorepath._face").classes(__name__)
