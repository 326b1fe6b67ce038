"""What is installed with Scorepath, and what only its tests install."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distribution, packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


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
def modules_of_tests_only() -> frozenset[str]:
    """Top-level modules here that no study brings: neither `make run` nor an extra of its own."""
    brought = requirements("gymnasium", "mujoco", "mjx", "cluster") | {"pip", "setuptools"}
    owners = packages_distributions().items()
    return frozenset(module for module, names in owners if brought.isdisjoint(map(canonicalize_name, names)))
