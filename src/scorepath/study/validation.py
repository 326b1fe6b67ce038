"""Reads and checks a study's configuration: one wrong key, one sentence that says what to write instead.

`config.schema.yaml` holds the shape, the ranges and the defaults. The names of environment families
and methods, and their knobs, are discovered elsewhere and handed in as tables; what relates two keys is checked here.
Needs no torch: the Snakefile calls it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from scorepath import registry
from scorepath.study.numbers import by_schema, exponents, knob, leaves
from scorepath.study.sweep_validation import checked_sweep
from scorepath.study.wording import ConfigError, dotted, listing, shown, suggestion, translated, unknown_key
from scorepath.study.yaml import check_plain

KnobTable = Mapping[str, object]
"""Knob name -> default value, or `MISSING` where the config must give one."""

SCHEMA_PATH = Path(__file__).with_name("config.schema.yaml")

FILE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any extension: no files can be called so there."""
VALUE = re.compile(r"[-+.\d]+(e[-+]?\d+)?|na|nan|null|none|inf|infinity|true|false", re.IGNORECASE)
"""Names that a reader of the tables would take for a number, a boolean or a gap."""
MOMENTUM = {"rmsprop": 0.0, "sgd": 0.9}
"""The momentum of the optimisers that have one, where the configuration says nothing."""
KEYS_OF_KINDS = {"mlp": ("hidden", "activation"), "module": ("module", "weights", "options")}
"""Of a policy: what one kind alone has."""
MOST_CELLS = 250_000
"""Environments times estimators times noise levels."""


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))
    return schema


# --- wording --------------------------------------------------------------------------------------------------------


# --- numbers --------------------------------------------------------------------------------------------------------


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
            f"{dotted([*path, kind_key if kind_key in entry else 'name'])}: there is no {what} {kind!r}."
            f"{suggestion(kind, tables)}{hint} There are: {listing(sorted(tables))}."
        )
    table = tables[kind]
    word = "a knob" if kind_key == "family" else "an option"
    given = {key: value for key, value in entry.items() if key not in reserved}
    for key in given:
        if key not in table:
            raise unknown_key(path, key, table, f"{word} of the {what} {kind!r}")
    for key, default in table.items():
        if default is MISSING and key not in given:
            raise ConfigError(f"{dotted([*path, key])} is missing; the {what} {kind!r} needs it.")
    return kind, {key: knob([*path, key], value, table[key]) for key, value in given.items()}


def _policy(path: Sequence[object], policy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    kind = policy["kind"]
    for owner, keys in KEYS_OF_KINDS.items():
        if misplaced := [key for key in keys if key in policy and kind != owner]:
            raise ConfigError(
                f"{dotted([*path, misplaced[0]])} belongs to the policy kind {owner!r}, but the kind is {kind!r}."
            )
    std = {"standard_deviation": policy.get("standard_deviation", "fixed")}
    if kind == "module":
        file, _, name = policy.get("module", "").rpartition(":")
        if not (file.endswith(".py") and name.isidentifier()):
            raise ConfigError(
                f"{dotted([*path, 'module'])} must name a file and a class or function in it, such as "
                f"mine/policy.py:Actor, not {shown(policy.get('module'))}."
            )
        options = exponents(policy.get("options", {}))
        return {
            "kind": kind,
            "module": policy["module"],
            "weights": policy.get("weights", ""),
            "options": options,
            **std,
        }
    if kind != "mlp":
        return {"kind": kind, "hidden": [], **std}
    known = _schema()["properties"]["environments"]["items"]["properties"]["policy"]["properties"]
    chosen = {key: policy.get(key, known[key]["default"]) for key in KEYS_OF_KINDS[kind]}
    return {"kind": kind, **chosen, **std}


def _environment(path: Sequence[object], entry: Mapping[str, Any], families: Mapping[str, KnobTable]) -> dict[str, Any]:
    reserved = frozenset({"name", "family", "policy", "policies", "squash", "samples", "noise_levels", "estimators"})
    family, knobs = _entry(path, entry, "family", "environment family", families, reserved)
    policy = _policy([*path, "policy"], entry.get("policy"))
    squash = entry.get("squash", False)
    if not isinstance(squash, bool) and not squash > 0:
        raise ConfigError(f"{dotted([*path, 'squash'])} is {shown(squash)}, but must be positive, or true or false.")
    bound = float(squash) if squash else None  # true is 1
    samples = dict(entry.get("samples") or {})
    return {
        "name": entry["name"], "family": family, "policy": policy, "knobs": knobs, "squash": bound, "samples": samples,
        "noise_levels": entry.get("noise_levels"), "estimators": entry.get("estimators"),
    }  # fmt: skip


def _with_policies(entries: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Each environment as often as it has initial policies: every random stream goes by the name."""
    positions = {entry["name"].lower(): index for index, entry in enumerate(entries)}
    found = []
    for index, (entry, count) in enumerate(zip(entries, counts, strict=True)):
        found.append(dict(entry))
        for number in range(2, count + 1):
            name = f"{entry['name']}_{number}"
            if (other := positions.get(name.lower())) is not None:
                raise ConfigError(
                    f"environments[{index}].policies is {count}, so that one is called {name!r}, as "
                    f"environments[{other}] is already; choose another name for one of them."
                )
            found.append({**entry, "name": name, "like": entry["name"]})
    return found


def _estimator(path: Sequence[object], entry: Mapping[str, Any], methods: Mapping[str, KnobTable]) -> dict[str, Any]:
    method, options = _entry(path, entry, "method", "estimator method", methods, frozenset({"name", "method"}))
    if entry["name"] in methods and entry["name"] != method:
        raise ConfigError(
            f"{dotted([*path, 'name'])} is {entry['name']!r}, which is another method's name, but the method is "
            f"{method!r}; choose a name of your own."
        )
    return {"name": entry["name"], "method": method, "options": options}


def _check_names(section: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Names that differ, and that are the same to every file system, shell and reader of a table."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name, where = entry["name"], f"{section}[{index}].name"
        if not FILE_NAME.fullmatch(name):
            raise ConfigError(
                f"{where} is {shown(name)}, but it becomes a file name: use letters, digits, '_', '.' and '-' "
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
                f"{section}[{index}] is {value:.60}, which {whole_section} does not have.{suggestion(value, whole)} "
                f"There are: {listing(whole)}."
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
    if isinstance(given.get("training"), Mapping):
        given["training"] = _small_letters(given["training"], "optimiser", schema["properties"]["training"])
    tried = registry.names(registry.CLAIMS)
    if given.get("claims") == "all":
        given["claims"] = list(tried)
    elif isinstance(given.get("claims"), str):
        raise ConfigError(f"claims must be a list of claims, or the word all, not {shown(given['claims'])}.")
    study: dict[str, Any] = by_schema(given, schema)
    _check_shape(study, schema)
    for section in ("environments", "estimators", "sweeps"):
        _check_names(section, study[section])
    _check_distinct("noise_levels", study["noise_levels"])
    _check_part("claims", study["claims"], tried, "src/scorepath/claims/")
    policies = [entry.get("policies", 1) for entry in study["environments"]]
    study["environments"] = [
        _environment(["environments", index], entry, families) for index, entry in enumerate(study["environments"])
    ]
    study["estimators"] = [
        _estimator(["estimators", index], entry, methods) for index, entry in enumerate(study["estimators"])
    ]
    study["sweeps"] = [
        checked_sweep(index, entry, _policy(["sweeps", index, "policy"], entry.get("policy")), families, methods)
        for index, entry in enumerate(study["sweeps"])
    ]
    check_finite(study)  # again: a knob's string may have become a number
    _check_parts_of_environments(study)
    _check_training(study)  # each once: it has seeds, and initial policies, of its own
    study["environments"] = _with_policies(study["environments"], policies)
    _check_sizes(study)
    return study


def _small_letters(section: Mapping[str, Any], key: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A section in which a name that the schema lists in small letters may be written in others."""
    value = section.get(key)
    known = isinstance(value, str) and value.lower() in schema["properties"][key]["enum"]
    return {**section, key: value.lower()} if isinstance(value, str) and known else section


def _check_shape(study: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """What the schema says; the first finding in the order of the file."""
    order: dict[object, int] = {key: index for index, key in enumerate(study)}
    errors = sorted(
        Draft202012Validator(schema).iter_errors(study),
        key=lambda error: (order.get(next(iter(error.absolute_path), None), -1), error.validator == "required"),
    )
    if errors:
        raise translated(errors[0])
    check_finite(study)


def check_finite(study: Mapping[str, Any]) -> None:
    """Numbers that float64 and 64-bit integers hold."""
    for path, leaf in leaves(study):
        if isinstance(leaf, float | int) and not abs(leaf) < (math.inf if isinstance(leaf, float) else 2**63):
            where = dotted(part for part in path if part not in ("knobs", "options"))
            wanted = "a finite number" if isinstance(leaf, float) else "a number of at most 63 bits"
            raise ConfigError(f"{where} is {leaf if isinstance(leaf, float) else shown(leaf)}, but must be {wanted}.")


def _check_sizes(config: Mapping[str, Any]) -> None:
    batch_size = config["gradients"]["batch_size"]
    own = {
        f"environments[{index}].samples.gradients": entry["samples"]["gradients"]
        for index, entry in enumerate(each for each in config["environments"] if "like" not in each)
        if "gradients" in entry["samples"]
    }
    for key, samples in {"gradients.samples": config["gradients"]["samples"], **own}.items():
        if samples % batch_size or samples < 4 * batch_size:
            rule = "at least four batches" if samples % batch_size == 0 else "a multiple of gradients.batch_size"
            nearest = max(4, math.ceil(samples / batch_size)) * batch_size
            raise ConfigError(f"{key} is {samples}, but must be {rule} ({batch_size} each): {nearest}, say.")
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


def _check_parts_of_environments(config: Mapping[str, Any]) -> None:
    """Noise levels and estimators that an environment has of its own are some of the study's, each once."""
    names = [entry["name"] for entry in config["estimators"]]
    tokens = [format(level, "g") for level in config["noise_levels"]]
    for index, entry in enumerate(config["environments"]):
        levels = [format(level, "g") for level in entry["noise_levels"] or ()]
        _check_part(f"environments[{index}].noise_levels", levels, tokens, "noise_levels")
        _check_part(f"environments[{index}].estimators", entry["estimators"] or (), names, "estimators")


def _check_training(config: dict[str, Any]) -> None:
    """Fills in and checks the part of the study that training covers, and its optimiser's momentum."""
    training = config["training"]
    optimiser = training["optimiser"]
    if optimiser in MOMENTUM:
        training.setdefault("momentum", MOMENTUM[optimiser])
    elif "momentum" in training:
        raise ConfigError(
            f"training.momentum belongs to the optimisers {listing(MOMENTUM)}, but training.optimiser is {optimiser!r}."
        )
    for section in ("environments", "estimators"):
        names = [entry["name"] for entry in config[section]]
        training.setdefault(section, names)
        _check_part(f"training.{section}", training[section], names, section)
    levels = training.setdefault("noise_levels", list(config["noise_levels"]))
    tokens = [format(level, "g") for level in config["noise_levels"]]
    _check_part("training.noise_levels", [format(level, "g") for level in levels], tokens, "noise_levels")
    _check_distinct("training.learning_rates", training["learning_rates"])
