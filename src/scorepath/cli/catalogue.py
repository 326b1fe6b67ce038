"""The catalogue: every estimator and environment family there is, read off their declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scorepath import registry


def lines() -> Iterator[str]:
    """docs/catalogue.md, line by line."""
    estimators = [(name, registry.load(registry.ESTIMATORS, name)) for name in registry.names(registry.ESTIMATORS)]
    environments = [(n, registry.load(registry.ENVIRONMENTS, n)) for n in registry.names(registry.ENVIRONMENTS)]
    yield "# Catalogue"
    yield ""
    yield "Written by `scorepath catalogue` from the files themselves. An entry of `config.yaml` names one of these,"
    yield "with any of its options or knobs; *also* lists sets of them that `config/full.yaml` has as entries too."
    yield ""
    yield f"## Estimators ({len(estimators)})"
    yield ""
    yield "| estimator | family | source | bias | options | also |"
    yield "|---|---|---|---|---|---|"
    order = ("score_function", "parameter_space", "pathwise", "measure_valued", "mixture")
    for name, cls in sorted(estimators, key=lambda entry: (order.index(entry[1].family), entry[0])):
        yield _row(name, cls.family.replace("_", " "), cls.source, cls.bias, _fields(cls), _variants(cls))
    yield ""
    yield f"## Environment families ({len(environments)})"
    yield ""
    yield "| family | what | reference | source | knobs | also |"
    yield "|---|---|---|---|---|---|"
    for name, cls in environments:
        reference = cls.reference_class.replace("_", " ")
        yield _row(name, _first_sentence(cls), reference, cls.source, _fields(cls), _variants(cls))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _first_sentence(cls: type[Any]) -> str:
    """The first sentence of a class's module, without its full stop."""
    import sys

    text = " ".join((sys.modules[cls.__module__].__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def _fields(cls: type[Any]) -> str:
    table = registry.knobs(cls)
    return ", ".join(f"{name} = {_short(value)}" for name, value in table.items() if name != "discount") or "–"


def _variants(cls: type[Any]) -> str:
    sets = [", ".join(f"{name} = {_short(value)}" for name, value in variant.items()) for variant in cls.variants]
    return "; ".join(sets) or "–"


def _short(value: object) -> str:
    """A value as YAML would have it."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
