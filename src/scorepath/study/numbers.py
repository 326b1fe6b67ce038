"""Numbers and knobs as their author meant them: `1e-3`, "4096" and 4e3 are numbers."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scorepath.study.wording import ConfigError, dotted, kind_of, shown

# YAML 1.1 takes `1e-3` for a string (it wants `1.0e-3`); a string that can only be meant as a number becomes one.
EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


OF_ONE_KIND = ("hidden", "activation")
"""Keys of a policy that have a default where its kind has them."""


def as_float(value: object) -> object:
    """A numeric string or whole number as a float; anything else unchanged."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return value


def as_integer(value: object) -> object:
    """A whole number written as 4096, 4096.0, 4e3 or "4096" as an int; anything else unchanged."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    number = as_float(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, float) else value


def by_schema(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with numbers converted where the schema wants them and defaults filled in; a copy."""
    match schema.get("type"):
        case ["boolean", "number"]:
            return value if isinstance(value, bool) else by_schema(value, {"type": "number"})
        case "number":
            number = as_float(value)
            return number + 0.0 if isinstance(number, float) else number  # -0.0 becomes 0.0
        case "integer":
            return as_integer(value)
        case "boolean" if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"  # `--config partial=true` comes as a string
        case "array" if isinstance(value, list | tuple):
            return [by_schema(item, schema["items"]) for item in value]
        case "object" if isinstance(value, Mapping):
            properties = schema.get("properties", {})
            filled = {key: by_schema(item, properties.get(key, {})) for key, item in value.items()}
            for key, inner in properties.items():
                if key not in filled and "default" in inner and key not in OF_ONE_KIND:
                    filled[key] = by_schema(copy.deepcopy(inner["default"]), inner)
            return filled
    return copy.deepcopy(value)


def leaves(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], object]]:
    """Every value of a tree that is no list or mapping, with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def exponents(value: Any) -> Any:
    """Strings such as "1e-3" as the numbers that their author meant, at any depth."""
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [exponents(item) for item in value]
    if isinstance(value, Mapping):
        return {key: exponents(item) for key, item in value.items()}
    return value


def knob(path: Sequence[object], value: Any, default: object) -> Any:
    """A knob's value, converted to the kind of its default; a default of None or MISSING says nothing of the kind."""
    where = dotted(path)

    def refuse(wanted: str) -> ConfigError:
        return ConfigError(f"{where} must be {wanted}, not {kind_of(value)}: {shown(value)}.")

    match default:
        case bool():
            if not isinstance(value, bool):
                raise refuse("true or false")
            return value
        case int():
            number = as_integer(value)
            if isinstance(number, float):
                raise ConfigError(f"{where} must be a whole number, not {shown(value)}.")
            if isinstance(number, bool) or not isinstance(number, int):
                raise refuse("a whole number")
            return number
        case float():
            number = as_float(value)
            if not isinstance(number, float):
                raise refuse("a number")
            return number
        case str():
            if not isinstance(value, str):
                raise refuse("a name")
            return value
        case list() | tuple():
            if not isinstance(value, list | tuple):
                raise refuse("a list")
            numeric = default and all(isinstance(leaf, int | float) for _, leaf in leaves(default))
            converted = exponents(value)
            for inner, leaf in leaves(converted):
                if numeric and (isinstance(leaf, bool) or not isinstance(leaf, int | float)):
                    raise ConfigError(
                        f"{dotted([*path, *inner])} must be a number, not {kind_of(leaf)}: {shown(leaf)}."
                    )
            return converted
    return exponents(value)
