"""What is installed with Scorepath, and what only its tests install."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OF_MAKE_RUN = ("gymnasium", "mujoco")
"""The extras that `make run` installs."""


def requirements(*extras: str) -> set[str]:
    """All distributions that Scorepath with these extras needs, itself among them, but for parts of CUDA builds."""
    waiting = [Requirement(f"scorepath[{','.join(extras)}]")]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        name, wanted_extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, wanted_extras) in seen:
            continue
        seen.add((name, wanted_extras))
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            marker = needed.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in (*wanted_extras, ""))
            if applies and not (name == "torch" and needed.name.startswith(("nvidia", "cuda", "triton"))):
                waiting.append(needed)
    return {name for name, _ in seen}


@cache
def modules_not_brought(*extras: str) -> frozenset[str]:
    """Top-level modules here that Scorepath with these extras does not bring."""
    brought = requirements(*extras) | {"pip", "setuptools"}
    owners = packages_distributions().items()
    return frozenset(module for module, names in owners if brought.isdisjoint(map(canonicalize_name, names)))
