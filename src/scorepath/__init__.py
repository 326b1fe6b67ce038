"""Scorepath: when do pathwise gradients beat REINFORCE? A study and the library behind it.

    import scorepath as sp

Names are found when they are first asked for, so that this import costs nothing; `scorepath._face` lists them. Every
`__init__.py` is part of every digest, so what would change with a new name stands elsewhere.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def __getattr__(name: str) -> "Any":
    from importlib import import_module

    return import_module("scorepath._face").public(name)


def __dir__() -> "list[str]":
    from importlib import import_module

    return import_module("scorepath._face").names()
