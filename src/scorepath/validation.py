"""Reads and checks a study's configuration: one wrong key, one sentence that says what to write instead.

`workflow/schemas/config.schema.yaml` holds the shape, the ranges and the defaults. The names of environment families
and methods, and their knobs, are discovered elsewhere and handed in as tables; what relates two keys is checked here.
Needs no torch: the Snakefile calls it.
"""

from __future__ import annotations

import copy
import datetime
import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

KnobTable = Mapping[str, object]
"""Knob name -> default value, or `REQUIRED` where the config must give one."""

SCHEMA_PATH = Path(__file__).with_name("config.schema.yaml")

FILE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any extension: no files can be called so there."""
VALUE = re.compile(r"[-+.\d]+(e[-+]?\d+)?|na|nan|null|none|inf|infinity|true|false", re.IGNORECASE)
"""Names that a reader of the tables would take for a number, a boolean or a gap."""
LARGEST_FILE = 2_000_000
"""Bytes of a configuration file; a study of a hundred thousand cells takes a tenth of them."""
DEEPEST = 20
"""Levels of lists and mappings in each other; a study has six."""
MOST_ENTRIES = 200_000
"""Keys and values in all, those counted that YAML's aliases repeat."""
MOST_MERGED = 1_000
"""Keys that YAML's `<<` may bring into one mapping."""
MOST_CELLS = 250_000
"""Environments times estimators times noise levels."""
MOST_DRAWS = 1_000_000_000
"""Bootstrap resamples times batches: the weights that verdicts hold in memory."""
# YAML 1.1 takes `1e-3` for a string (it wants `1.0e-3`); a string that can only be meant as a number becomes one.
EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


class _Required:
    """The type of `REQUIRED`."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


class ConfigError(ValueError):
    """The configuration asks for something that does not exist or make sense. The message, one line, is for its author.

    What it quotes may hold anything: control characters are shown as escapes, and a very long text is cut.
    """

    def __init__(self, message: str) -> None:
        line = "".join(c if c.isprintable() else " " if c.isspace() else ascii(c)[1:-1] for c in message[:2000])
        line = " ".join(line.split())
        super().__init__(line if len(line) <= 1200 else f"{line[:1200]}...")


# --- reading --------------------------------------------------------------------------------------------------------
class _Loader(yaml.SafeLoader):
    """The safe loader, stricter: no key twice (YAML itself keeps the last one silently), no tags, no deep nesting."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self._error(event, f"the tag {tag} has no place in a configuration; write the plain value")
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error(event, f"lists and mappings stand in each other more than {DEEPEST} levels deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise ConfigError(
                    f"The key {key.value!r} stands twice in one mapping, on lines {lines[key.value]} and {line}; "
                    "keep one."
                )
            lines[key.value] = line
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        merged = [value for key, value in node.value if key.tag == "tag:yaml.org,2002:merge"]
        listed = [len(value.value) for value in merged if isinstance(value, yaml.SequenceNode)]
        if sum(listed) <= MOST_MERGED:
            super().flatten_mapping(node)
        if sum(listed) > MOST_MERGED or len(node.value) > MOST_MERGED:
            raise self._error(node, f"`<<` brings more than {MOST_MERGED} keys into one mapping")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ConfigError:
            raise
        except ValueError:  # 2026-13-01, 0x_, a number of five thousand digits
            value = _show(str(node.value))
            raise self._error(node, f"{value} is no date or number, though it looks like one; quote it") from None

    @staticmethod
    def _error(place: Any, problem: str) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=problem, problem_mark=place.start_mark)


def load_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, too large, is not YAML, is not a mapping, or says a key twice.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        text = content.decode("utf-8-sig") if len(content) <= LARGEST_FILE else ""
    except (OSError, ValueError) as error:  # a ValueError that is not about UTF-8 is about the path
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.args[-1]
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or reason}.") from None
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"{path} cannot be read: it is larger than {LARGEST_FILE // 10**6} MB.")
    try:
        loaded = yaml.load(text, Loader=_Loader)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where} is not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} must hold keys and values, such as `seed: 1`; it holds {_kind(loaded)}.")
    return loaded


def check_plain(config: Mapping[str, Any]) -> None:
    """Make sure of a configuration, as YAML's objects, that it is a finite tree of what JSON can hold.

    Raises:
        ConfigError: naming the first key or value that is something else (a date, say), or that contains itself.
    """
    sizes: dict[int, int] = {}
    above: set[int] = set()  # what the value stands in

    def size(value: object, path: tuple[object, ...]) -> int:
        """The entries in a value; those of one that aliases repeat are counted each time, but once looked at."""
        if not isinstance(value, Mapping | list | tuple):
            if value is not None and not isinstance(value, str | bool | int | float):
                raise ConfigError(
                    f"{_dotted(path)} is {_show(value)}, which YAML reads as {_kind(value)}; a configuration holds "
                    "names, numbers, true or false, lists and mappings (quotes make a name of anything)."
                )
            return 1
        if id(value) in sizes:
            return sizes[id(value)]
        if id(value) in above:
            raise ConfigError(f"{_dotted(path[:1])} contains itself: an alias of YAML refers to what it stands in.")
        if len(path) > DEEPEST:
            raise ConfigError(f"{_dotted(path[:1])} nests lists and mappings more than {DEEPEST} levels deep.")
        above.add(id(value))
        for key in value if isinstance(value, Mapping) else ():
            if not isinstance(key, str):
                raise ConfigError(
                    f"{_dotted((*path, str(key)))}: a key must be a name, but YAML reads {_show(key)} as {_kind(key)}."
                )
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        total = 1 + sum(size(item, (*path, key)) for key, item in items)
        if total > MOST_ENTRIES:
            raise ConfigError(
                f"{_dotted(path) or 'The configuration'} has more than {MOST_ENTRIES} entries, those counted that "
                "aliases repeat."
            )
        above.remove(id(value))
        sizes[id(value)] = total
        return total

    size(config, ())


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))
    return schema


# --- wording --------------------------------------------------------------------------------------------------------
def _kind(value: object) -> str:
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


def _show(value: object) -> str:
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


def _nearest(word: object, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(word)[:100], list(choices), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _dotted(path: Iterable[object]) -> str:
    """A key as sentences name it, such as environments[0].name; one that is no plain word in quotes."""
    parts = [part if isinstance(part, int) or str(part).isidentifier() else _show(str(part)) for part in path]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part:.60}" for part in parts).removeprefix(".")


def _list(choices: Iterable[str]) -> str:
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


def _unknown_key(path: Sequence[object], key: object, known: Iterable[str], what: str) -> ConfigError:
    known = sorted(known)
    return ConfigError(
        f"{_dotted([*path, key])} is not {what}.{_nearest(key, known)} "
        + (f"There are: {_list(known)}." if known else "There are none.")
    )


def _translate(error: ValidationError) -> ConfigError:
    """A finding of jsonschema as one sentence."""
    path = list(error.absolute_path)
    where, value, limit = _dotted(path) or "The configuration", error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = error.schema["properties"]
            extra = next(key for key in value if key not in known)
            return _unknown_key(path, extra, known, "a key of the configuration")
        case "required":
            missing = next(key for key in limit if key not in value)
            return ConfigError(f"{_dotted([*path, missing])} is missing; it must be given.")
        case "type" if isinstance(value, float) and limit == "integer":
            return ConfigError(f"{where} must be {TYPES[limit]}, not {_show(value)}.")
        case "type":
            return ConfigError(f"{where} must be {TYPES[limit]}, not {_kind(value)}: {_show(value)}.")
        case "enum":
            return ConfigError(f"{where} is {_show(value)}, but must be one of {_list(limit)}.{_nearest(value, limit)}")
        case "minItems":
            return ConfigError(f"{where} is empty; give at least {limit} entr{'y' if limit == 1 else 'ies'}.")
        case keyword if keyword in RANGES:
            return ConfigError(f"{where} is {_show(value)}, but {RANGES[str(keyword)](limit)}.")
    return ConfigError(f"{where}: {error.message}.")


# --- numbers --------------------------------------------------------------------------------------------------------
def _as_float(value: object) -> object:
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


def _as_integer(value: object) -> object:
    """A whole number written as 4096, 4096.0, 4e3 or "4096" as an int; anything else unchanged."""
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    number = _as_float(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, float) else value


def _by_schema(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value with numbers converted where the schema wants them and defaults filled in; a copy."""
    match schema.get("type"):
        case "number":
            number = _as_float(value)
            return number + 0.0 if isinstance(number, float) else number  # -0.0 becomes 0.0
        case "integer":
            return _as_integer(value)
        case "boolean" if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"  # `--config partial=true` comes as a string
        case "array" if isinstance(value, list | tuple):
            return [_by_schema(item, schema["items"]) for item in value]
        case "object" if isinstance(value, Mapping):
            properties = schema.get("properties", {})
            filled = {key: _by_schema(item, properties.get(key, {})) for key, item in value.items()}
            for key, inner in properties.items():
                if key not in filled and "default" in inner and key != "hidden":
                    filled[key] = _by_schema(copy.deepcopy(inner["default"]), inner)
            return filled
    return copy.deepcopy(value)


def _leaves(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _exponents(value: Any) -> Any:
    """Strings such as "1e-3" as the numbers that their author meant, at any depth."""
    if isinstance(value, str) and EXPONENT.fullmatch(value):
        return float(value)
    if isinstance(value, list | tuple):
        return [_exponents(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _exponents(item) for key, item in value.items()}
    return value


def _knob(path: Sequence[object], value: Any, default: object) -> Any:
    """A knob's value, converted to the kind of its default; a default of None or REQUIRED says nothing of the kind."""
    where = _dotted(path)

    def refuse(wanted: str) -> ConfigError:
        return ConfigError(f"{where} must be {wanted}, not {_kind(value)}: {_show(value)}.")

    match default:
        case bool():
            if not isinstance(value, bool):
                raise refuse("true or false")
            return value
        case int():
            number = _as_integer(value)
            if isinstance(number, float):
                raise ConfigError(f"{where} must be a whole number, not {_show(value)}.")
            if isinstance(number, bool) or not isinstance(number, int):
                raise refuse("a whole number")
            return number
        case float():
            number = _as_float(value)
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
            numeric = default and all(isinstance(leaf, int | float) for _, leaf in _leaves(default))
            converted = _exponents(value)
            for inner, leaf in _leaves(converted):
                if numeric and (isinstance(leaf, bool) or not isinstance(leaf, int | float)):
                    raise ConfigError(f"{_dotted([*path, *inner])} must be a number, not {_kind(leaf)}: {_show(leaf)}.")
            return converted
    return _exponents(value)


# --- entries of environments and estimators -------------------------------------------------------------------------
def _entry(
    path: Sequence[object],
    entry: Mapping[str, Any],
    kind_key: str,
    what: str,
    tables: Mapping[str, KnobTable],
    reserved: frozenset[str],
) -> tuple[str, dict[str, Any]]:
    """An entry's family or method, and its knobs or options, both checked."""
    kind = entry.get(kind_key, entry["name"])
    if kind not in tables:
        hint = "" if kind_key in entry else f" Where the name is your own, say which {what} it is with `{kind_key}:`."
        raise ConfigError(
            f"{_dotted([*path, kind_key if kind_key in entry else 'name'])}: there is no {what} {kind!r}."
            f"{_nearest(kind, tables)}{hint} There are: {_list(sorted(tables))}."
        )
    table = tables[kind]
    word = "a knob" if kind_key == "family" else "an option"
    given = {key: value for key, value in entry.items() if key not in reserved}
    for key in given:
        if key not in table:
            raise _unknown_key(path, key, table, f"{word} of the {what} {kind!r}")
    for key, default in table.items():
        if default is REQUIRED and key not in given:
            raise ConfigError(f"{_dotted([*path, key])} is missing; the {what} {kind!r} needs it.")
    return kind, {key: _knob([*path, key], value, table[key]) for key, value in given.items()}


def _policy(path: Sequence[object], policy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    kind = policy["kind"]
    if kind != "mlp" and "hidden" in policy:
        raise ConfigError(f"{_dotted([*path, 'hidden'])} belongs to the policy kind 'mlp', but the kind is {kind!r}.")
    if kind != "mlp":
        return {"kind": kind, "hidden": []}
    entry = _schema()["properties"]["environments"]["items"]["properties"]
    return {"kind": kind, "hidden": list(policy.get("hidden", entry["policy"]["properties"]["hidden"]["default"]))}


def _environment(path: Sequence[object], entry: Mapping[str, Any], families: Mapping[str, KnobTable]) -> dict[str, Any]:
    reserved = frozenset({"name", "family", "policy"})
    family, knobs = _entry(path, entry, "family", "environment family", families, reserved)
    policy = _policy([*path, "policy"], entry.get("policy"))
    return {"name": entry["name"], "family": family, "policy": policy, "knobs": knobs}


def _estimator(path: Sequence[object], entry: Mapping[str, Any], methods: Mapping[str, KnobTable]) -> dict[str, Any]:
    method, options = _entry(path, entry, "method", "estimator method", methods, frozenset({"name", "method"}))
    return {"name": entry["name"], "method": method, "options": options}


def _check_names(section: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Names that differ, and that are the same to every file system, shell and reader of a table."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name, where = entry["name"], f"{section}[{index}].name"
        if not FILE_NAME.fullmatch(name):
            raise ConfigError(
                f"{where} is {_show(name)}, but it becomes a file name: use letters, digits, '_', '.' and '-' "
                "(100 at most), with a letter or digit first and no '.' last."
            )
        if DEVICE.fullmatch(name) or VALUE.fullmatch(name):
            other = "a device on Windows" if DEVICE.fullmatch(name) else "a value, not a name, in a table"
            raise ConfigError(f"{where} is {name!r}, which is {other}; choose another name.")
        if name.lower() in seen:
            first = seen[name.lower()]
            differ = "" if name == entries[first]["name"] else " in more than capitals (some file systems ignore them)"
            raise ConfigError(
                f"{where} is {name!r}, which {section}[{first}] is called already; names must differ{differ}."
            )
        seen[name.lower()] = index


def _check_distinct(section: str, values: Sequence[float]) -> None:
    """Numbers that differ in the six digits that file names keep."""
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        token = format(value, "g")
        if token in seen:
            raise ConfigError(
                f"{section}[{index}] is {token} again, as {section}[{seen[token]}]; give each value once."
            )
        seen[token] = index


def _check_part(section: str, values: Sequence[str], whole: Sequence[str], whole_section: str) -> None:
    """The members of a training.* list are members of the study, each once."""
    for index, value in enumerate(values):
        if value not in whole:
            raise ConfigError(
                f"{section}[{index}] is {value:.60}, which {whole_section} does not have.{_nearest(value, whole)} "
                f"There are: {_list(whole)}."
            )
        if value in values[:index]:
            raise ConfigError(f"{section}[{index}] is {value} again; give each once.")


# --- the whole ------------------------------------------------------------------------------------------------------
def validate(
    config: Mapping[str, Any], families: Mapping[str, KnobTable], methods: Mapping[str, KnobTable]
) -> dict[str, Any]:
    """The configuration with defaults filled in and numbers converted.

    Args:
        config: what the YAML file says.
        families: the environment families and their knobs.
        methods: the estimators' methods and their options.

    Returns:
        A new mapping of the schema's shape, in which every environment is `{name, family, policy, knobs}` (policy None
        where the family decides) and every estimator `{name, method, options}`. `knobs` and `options` hold what the
        configuration gives; the defaults of the others stay with the family or method.

    Raises:
        ConfigError: with the key, its value and what it may be.
    """
    schema = _schema()
    check_plain(config)
    given = dict(config)
    for section in ("environments", "estimators"):
        if isinstance(given.get(section), list | tuple):
            given[section] = [{"name": entry} if isinstance(entry, str) else entry for entry in given[section]]
    for section, inner in schema["properties"].items():
        if inner["type"] == "object" and section in given and given[section] is None:
            given[section] = {}  # a section whose every line is commented out
    study: dict[str, Any] = _by_schema(given, schema)
    _check_shape(study, schema)
    for section in ("environments", "estimators"):
        _check_names(section, study[section])
    _check_distinct("noise_levels", study["noise_levels"])
    study["environments"] = [
        _environment(["environments", index], entry, families) for index, entry in enumerate(study["environments"])
    ]
    study["estimators"] = [
        _estimator(["estimators", index], entry, methods) for index, entry in enumerate(study["estimators"])
    ]
    _check_finite(study)  # again: a knob's string may have become a number
    _check_sizes(study)
    _check_training(study)
    return study


def _check_shape(study: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """What the schema says; the first finding in the order of the file."""
    order: dict[object, int] = {key: index for index, key in enumerate(study)}
    errors = sorted(
        Draft202012Validator(schema).iter_errors(study),
        key=lambda error: (order.get(next(iter(error.absolute_path), None), -1), error.validator == "required"),
    )
    if errors:
        raise _translate(errors[0])
    _check_finite(study)


def _check_finite(study: Mapping[str, Any]) -> None:
    """Numbers that float64 and 64-bit integers hold."""
    for path, leaf in _leaves(study):
        if isinstance(leaf, float | int) and not abs(leaf) < (math.inf if isinstance(leaf, float) else 2**63):
            where = _dotted(part for part in path if part not in ("knobs", "options"))
            wanted = "a finite number" if isinstance(leaf, float) else "a number of at most 63 bits"
            raise ConfigError(f"{where} is {leaf if isinstance(leaf, float) else _show(leaf)}, but must be {wanted}.")


def _check_sizes(config: Mapping[str, Any]) -> None:
    samples, batch_size = config["gradients"]["samples"], config["gradients"]["batch_size"]
    if samples % batch_size or samples < 4 * batch_size:
        rule = "at least four batches" if samples % batch_size == 0 else "a multiple of gradients.batch_size"
        nearest = max(4, math.ceil(samples / batch_size)) * batch_size
        raise ConfigError(f"gradients.samples is {samples}, but must be {rule} ({batch_size} each): {nearest}, say.")
    draws = config["statistics"]["resamples"] * (samples // batch_size)
    if draws > MOST_DRAWS:
        raise ConfigError(
            f"statistics.resamples times the batches of gradients.samples is {draws:.2g}, but must be at most "
            f"{MOST_DRAWS:.0e} to fit in memory; lower one of them or raise gradients.batch_size."
        )
    cells = math.prod(len(config[key]) for key in ("environments", "estimators", "noise_levels"))
    if cells > MOST_CELLS:
        raise ConfigError(
            f"environments × estimators × noise_levels makes {cells} cells, but must be at most {MOST_CELLS}; "
            "divide the study into several."
        )
    gaps = config["references"]["return_gaps"]
    for index in range(1, len(gaps)):
        if gaps[index] <= gaps[index - 1]:
            raise ConfigError(f"references.return_gaps[{index}] is {gaps[index]:g}, but the gaps must increase.")


def _check_training(config: dict[str, Any]) -> None:
    """Fills in and checks the part of the study that training covers."""
    training = config["training"]
    for section in ("environments", "estimators"):
        names = [entry["name"] for entry in config[section]]
        training.setdefault(section, names)
        _check_part(f"training.{section}", training[section], names, section)
    levels = training.setdefault("noise_levels", list(config["noise_levels"]))
    tokens = [format(level, "g") for level in config["noise_levels"]]
    _check_part("training.noise_levels", [format(level, "g") for level in levels], tokens, "noise_levels")
    _check_distinct("training.learning_rates", training["learning_rates"])
