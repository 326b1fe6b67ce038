"""How a configuration's faults are put into words: one sentence that names the key, the value and what it may be."""

from __future__ import annotations

import datetime
import difflib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError


class ConfigError(ValueError):
    """The configuration asks for something that does not exist or make sense. The message, one line, is for its author.

    What it quotes may hold anything: control characters are shown as escapes, and a very long text is cut.
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in message[:2000])
        line = " ".join(line.split())
        super().__init__(line if len(line) <= 1200 else f"{line[:1200]}...")


def kind_of(value: object) -> str:
    """What a value is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case bytes():
            return "binary data"
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case datetime.date():
            return "a date"
    return type(value).__name__


def shown(value: object) -> str:
    """A value as its author wrote it, roughly; long ones cut."""
    if value is None:
        return "nothing"
    try:
        text = json.dumps(value)
    except TypeError:
        text = str(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."


def suggestion(word: object, choices: Iterable[str]) -> str:
    """The nearest of the choices as a question, or nothing."""
    near = difflib.get_close_matches(str(word)[:100], list(choices), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def dotted(path: Iterable[object]) -> str:
    """A key as sentences name it, such as environments[0].name; one that is no plain word in quotes."""
    parts = [part if isinstance(part, int) or str(part).isidentifier() else shown(str(part)) for part in path]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part:.60}" for part in parts).removeprefix(".")


def listing(choices: Iterable[str]) -> str:
    """Choices as an enumeration."""
    return ", ".join(choices) or "none"


TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a name",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
}


RANGES: dict[str, Callable[[Any], str]] = {
    "minimum": lambda limit: "must not be negative" if limit == 0 else f"must be at least {limit}",
    "maximum": lambda limit: f"must be at most {limit}",
    "exclusiveMinimum": lambda limit: "must be positive" if limit == 0 else f"must be greater than {limit}",
    "exclusiveMaximum": lambda limit: f"must be less than {limit}",
    "maxItems": lambda limit: f"must have at most {limit} entries",
    "maxLength": lambda limit: f"must have at most {limit} characters",
}


def unknown_key(path: Sequence[object], key: object, known: Iterable[str], what: str) -> ConfigError:
    """The error for a key that nothing knows."""
    known = sorted(known)
    return ConfigError(
        f"{dotted([*path, key])} is not {what}.{suggestion(key, known)} "
        + (f"There are: {listing(known)}." if known else "There are none.")
    )


def translated(error: ValidationError) -> ConfigError:
    """A finding of jsonschema as one sentence."""
    path = list(error.absolute_path)
    where, value, limit = dotted(path) or "The configuration", error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            extra = next(key for key in value if key not in known)
            return unknown_key(path, extra, known, "a key of the configuration")
        case "required":
            missing = next(key for key in limit if key not in value)
            return ConfigError(f"{dotted([*path, missing])} is missing; it must be given.")
        case "type" if isinstance(value, float) and limit == "integer":
            return ConfigError(f"{where} must be {TYPES[limit]}, not {shown(value)}.")
        case "type" if isinstance(limit, list):
            wanted = ", or ".join(TYPES[each] for each in limit)
            return ConfigError(f"{where} must be {wanted}, not {kind_of(value)}: {shown(value)}.")
        case "type":
            return ConfigError(f"{where} must be {TYPES[limit]}, not {kind_of(value)}: {shown(value)}.")
        case "enum":
            return ConfigError(
                f"{where} is {shown(value)}, but must be one of {listing(limit)}.{suggestion(value, limit)}"
            )
        case "minItems":
            return ConfigError(f"{where} is empty; give at least {limit} entr{'y' if limit == 1 else 'ies'}.")
        case "minProperties" | "maxProperties":
            wanted = f"at {'least' if error.validator == 'minProperties' else 'most'} {limit}"
            return ConfigError(f"{where} has {len(value)} entries, but must have {wanted}.")
        case keyword if keyword in RANGES:
            return ConfigError(f"{where} is {shown(value)}, but {RANGES[str(keyword)](limit)}.")
    return ConfigError(f"{where}: {error.message}.")
