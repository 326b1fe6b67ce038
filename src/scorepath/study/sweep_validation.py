"""What a sweep of the configuration may say: its axes are knobs or places, its rivals methods that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from itertools import pairwise
from typing import Any

from scorepath.study.numbers import as_float, as_integer, knob
from scorepath.study.sweeps import OF_THE_PLACE, coordinate, point_name
from scorepath.study.wording import ConfigError, dotted, listing, shown, suggestion, unknown_key

Tables = Mapping[str, Mapping[str, object]]
RESERVED = frozenset(
    {"name", "family", "policy", "axes", "over", "rivals", "quantity", "sigma", "batch_size", "batches"}
)
MOST_POINTS = 2_000
MOST_MEMBERS = 1_000
FLAT_BATCHES = "flat_batches"


def checked_sweep(
    index: int, entry: Mapping[str, Any], policy: Mapping[str, Any] | None, families: Tables, methods: Tables
) -> dict[str, Any]:
    """A sweep with numbers converted: what `scorepath.study.sweeps.Sweep` is made of.

    Raises:
        ConfigError: naming the key and what it may be.
    """
    path = ["sweeps", index]
    family = entry["family"]
    if family not in families:
        raise ConfigError(
            f"{dotted([*path, 'family'])}: there is no environment family {family!r}.{suggestion(family, families)} "
            f"There are: {listing(sorted(families))}."
        )
    table = families[family]
    axes = {name: _axis([*path, "axes", name], name, values, table, family) for name, values in entry["axes"].items()}
    over, drawn = _over([*path, "over"], entry["over"], table, family)
    fixed = {key: value for key, value in entry.items() if key not in RESERVED}
    for key in fixed:
        if key not in table:
            raise unknown_key(path, key, table, f"a knob of the environment family {family!r}")
    taken = [*fixed, *over, *(key for key in ("sigma", "batch_size") if entry.get(key) is not None)]
    for name in axes:
        if name in taken:
            raise ConfigError(
                f"{dotted([*path, 'axes', name])} is an axis, and {name} is given besides; leave one out."
            )
    for name in over:
        if name in fixed:
            raise ConfigError(f"{dotted([*path, name])} is given, but is averaged over as well; leave one out.")
    for name, default in table.items():
        if default is MISSING and not any(name in part for part in (axes, over, fixed)):
            raise ConfigError(f"{dotted([*path, name])} is missing; the environment family {family!r} needs it.")
    points = 1
    for values in axes.values():
        points *= len(values)
    if points > MOST_POINTS:
        raise ConfigError(f"{dotted([*path, 'axes'])} make {points} points, but must make at most {MOST_POINTS}.")
    return {
        "name": entry["name"], "family": family, "policy": policy, "axes": axes, "over": over, "drawn": drawn,
        "knobs": {key: knob([*path, key], value, table[key]) for key, value in fixed.items()},
        "rivals": _rivals(path, entry, methods), "quantity": entry["quantity"],
        "sigma": 0.1 if entry.get("sigma") is None else entry["sigma"],
        "batch_size": 64 if entry.get("batch_size") is None else entry["batch_size"], "batches": entry["batches"],
    }  # fmt: skip


def _axis(path: Sequence[object], name: str, values: Any, table: Mapping[str, object], family: str) -> list[Any]:
    """The values on an axis, rising."""
    if name not in table and name not in OF_THE_PLACE:
        raise unknown_key(
            path[:-1], name, [*table, *OF_THE_PLACE], f"a knob of {family!r}, sigma, batch_size or checkpoint"
        )
    if not isinstance(values, list | tuple) or len(values) < 2:
        raise ConfigError(f"{dotted(path)} must be a list of two values at least, not {shown(values)}.")
    found = [_value([*path, place], name, value, table) for place, value in enumerate(values)]
    for place, (below, above) in enumerate(pairwise(found)):
        if not coordinate(above) > coordinate(below):
            raise ConfigError(f"{dotted([*path, place + 1])} is {shown(above)}, but the values must increase.")
        if point_name({name: above}) == point_name({name: below}):
            raise ConfigError(
                f"{dotted([*path, place + 1])} is {shown(above)}, which agrees with the value before it in six digits; "
                "leave one out."
            )
    return found


def _value(path: Sequence[object], name: str, value: Any, table: Mapping[str, object]) -> Any:
    """One value on an axis, converted; it has to be, or to contain, a number."""
    where = dotted(path)
    if name in table:
        found = knob(path, value, table[name])
        try:
            if isinstance(found, bool):
                raise TypeError
            coordinate(found)
        except (TypeError, ValueError, IndexError):
            raise ConfigError(f"{where} must be a number to lie on an axis, not {shown(value)}.") from None
        return found
    number = as_integer(value) if name == "batch_size" else as_float(value)
    wanted, most = {"sigma": ("a positive number", 1e300), "batch_size": ("a whole number of two at least", 10**6),
                    "checkpoint": ("a fraction in [0, 1)", 1.0)}[name]  # fmt: skip
    least = {"sigma": 0, "batch_size": 1, "checkpoint": -1e-300}[name]
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not least < number < most
        or (name == "batch_size" and not isinstance(number, int))
    ):
        raise ConfigError(f"{where} is {shown(value)}, but must be {wanted}.")
    return number


def _over(
    path: Sequence[object], over: Mapping[str, Any], table: Mapping[str, object], family: str
) -> tuple[dict[str, list[Any]], bool]:
    """The knobs that are averaged over, and whether their values are draws: a whole number n means 0 to n - 1."""
    found: dict[str, list[Any]] = {}
    drawn = False
    for name, given in over.items():
        if name not in table:
            raise unknown_key(path, name, table, f"a knob of the environment family {family!r}")
        if not isinstance(given, list | tuple):
            count = as_integer(given)
            if isinstance(count, bool) or not isinstance(count, int) or not 3 <= count <= MOST_MEMBERS:
                raise ConfigError(
                    f"{dotted([*path, name])} must be a list of values, or a number of seeds from 3 to {MOST_MEMBERS}, "
                    f"not {shown(given)}."
                )
            if isinstance(table[name], bool | float | str | list | tuple):
                raise ConfigError(
                    f"{dotted([*path, name])} is a number of seeds to draw, but {name} is no seed; give a list of "
                    "values."
                )
            given, drawn = list(range(count)), True
        if not given:
            raise ConfigError(f"{dotted([*path, name])} is empty; give at least 1 entry.")
        values = [knob([*path, name, place], value, table[name]) for place, value in enumerate(given)]
        for place, value in enumerate(values):
            if value in values[:place]:
                raise ConfigError(f"{dotted([*path, name, place])} is {shown(value)} again; give each value once.")
        found[name] = values
    if drawn and len(found) > 1:
        raise ConfigError(f"{dotted(path)} draws seeds of one knob; average over no other besides.")
    return found, drawn


def _rivals(path: Sequence[object], entry: Mapping[str, Any], methods: Tables) -> list[str]:
    if entry["quantity"] == FLAT_BATCHES:
        return []
    for place, rival in enumerate(entry["rivals"]):
        where = dotted([*path, "rivals", place])
        if rival not in methods:
            raise ConfigError(f"{where}: there is no estimator method {rival!r}.{suggestion(rival, methods)}")
        if rival == "pathwise" or rival in entry["rivals"][:place]:
            raise ConfigError(f"{where} is {rival} again; a sweep holds pathwise against each rival once.")
        if needed := [key for key, default in methods[rival].items() if default is MISSING]:
            raise ConfigError(
                f"{where}: {rival} needs its option {needed[0]}, which a sweep cannot give; choose another."
            )
    return list(entry["rivals"])
