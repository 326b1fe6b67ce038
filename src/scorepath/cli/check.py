"""`scorepath check`: load a file or a family, run every check on it, and say in plain sentences what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import yaml

from scorepath import plugins, registry
from scorepath.conformance import examine_class
from scorepath.conformance.audit import audit, auditable
from scorepath.conformance.findings import faults
from scorepath.conformance.places import Fault
from scorepath.environments.base import Environment
from scorepath.study.numbers import knob
from scorepath.study.validation import check_finite
from scorepath.study.wording import ConfigError, suggestion, unknown_key

AUDITED = "The derivatives of the steps of whole trajectories are central differences of some size."
WORDS = {registry.ENVIRONMENTS: ("environment", "family"), registry.ESTIMATORS: ("estimator", "method")}


def check_and_report(name: str, given: Sequence[str] = ()) -> None:
    """Print what is checked and what was found, and of a simulator at what scale its derivatives mean something.

    Args:
        name: a Python file, a family or method of Scorepath's own, or an XML model for MuJoCo.
        given: knobs such as `horizon=5`, whose values are YAML; without any, all that the class lists is checked. An
            environment may also have the `squash` and the `policy` of a configuration's entry.

    Raises:
        ConfigError: a knob that there is not, or a value that it cannot have.
        LookupError: if there is no such file or name, it cannot be imported, or it defines several of them.
        ValueError: if something is wrong with it.
    """
    if Path(name).suffix == ".xml":
        if not Path(name).is_file():
            raise LookupError(f"there is no file {name}")
        name, given = "mujoco", [*given, f"model={name}"]
    if (defined := _find(name)) is None:
        print(f"{name} can be imported. It defines no environment and no estimator, so there is nothing else to check;")
        print(f"with `plugins: [{name}]` in config.yaml, every job imports it for what else it does.")
        return
    package, kind = defined
    beyond = {}
    if package == registry.ENVIRONMENTS:
        beyond = {key: text for text in given if (key := text.partition("=")[0]) in ("policy", "squash")}
    given = [text for text in given if text not in beyond.values()]
    word, key = WORDS[package]
    print(f"{name}: {word} {kind.__name__}")
    if beside := [place for place in _files(name) if place != Path(name).name]:
        print(f"  with   {', '.join(beside)}")
    wrong = 0
    for summary, found in examine_class(kind, knobs_of(kind, given) if given else None).items():
        bad = faults(found)
        print(f"  {'wrong' if bad else 'note ' if found else 'ok   '}  {summary}")
        for finding in found:
            print(f"         - {finding}")
        wrong += len(bad)
    if beyond:
        print(f"  ok     {_entry(name, kind, [*given, *beyond.values()])}")
    if wrong:
        what = "1 thing is" if wrong == 1 else f"{wrong} things are"
        raise ValueError(f"{what} wrong with {name}; checks that build on what is wrong were left out")
    if package == registry.ENVIRONMENTS and (fault := _audit(kind, given)) is not None:
        print(f"  wrong  {AUDITED}\n         - {fault}")
        raise ValueError(f"1 thing is wrong with {name}: derivatives differ from differences of every size")
    print("Nothing is wrong.")
    if name.endswith(".py"):
        print(f"To use it, add to config.yaml `plugins: [{name}]` and an entry with `{key}: {Path(name).stem}`.")


def _entry(name: str, kind: type[Environment], given: Sequence[str]) -> str:
    """What a configuration's entry with these keys stands for, in words.

    Raises:
        ConfigError: if it would be refused there.
    """
    from scorepath.conformance import check_environment
    from scorepath.stages._instances import make_environment
    from scorepath.study.settings import EnvironmentEntry
    from scorepath.study.validation import validate

    values = {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in given)}
    family, plugin = (Path(name).stem, name) if name.endswith(".py") else (name, "")
    study = {"noise_levels": [1], "environments": [{"name": family, **values}], "estimators": ["reinforce"]}
    (checked,) = validate(study, {family: registry.knobs(kind)}, {"reinforce": {}})["environments"]
    try:
        environment, policy = make_environment(EnvironmentEntry(**checked, plugin=plugin))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{family}: {error}") from error
    if wrong := check_environment(environment):
        raise ConfigError(f"{family}: {wrong[0]}")
    std = "the noise level times its own, an output" if policy.log_std else "the noise level"
    return f"The policy has {policy.parameter_count} parameters; the standard deviation of an action is {std}."


def _audit(kind: type[Environment], given: Sequence[str]) -> Fault | None:
    """Print the audit of the instance with these knobs, or of the first that the class lists; what it finds wrong."""
    required = MISSING in registry.knobs(kind).values()
    environment = kind(**(knobs_of(kind, given) if given else kind.variants[0] if required else {}))
    if not auditable(environment):
        return None
    found = audit(environment)
    for line in found.lines():
        print(line)
    return found.fault


def _find(name: str) -> tuple[str, type[Any]] | None:
    """The package that a file extends or a name belongs to, and the class; None for a file that defines none."""
    for package in WORDS:
        if name in registry.names(package):
            return package, registry.load(package, name)
    if name.isidentifier():  # no path, hence meant as a name
        own = [known for package in WORDS for known in registry.names(package)]
        raise LookupError(
            f"there is no environment family and no estimator method {name!r}.{suggestion(name, own)} "
            "`scorepath catalogue` lists them; a file of yours ends in .py."
        )
    return registry.plugin_class(Path(name))


def knobs_of(kind: type[Any], given: Sequence[str]) -> dict[str, Any]:
    """Knobs as a configuration's entry would have them."""
    table = registry.knobs(kind)
    found = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"{text} is no knob: write knob=value, such as horizon=5.")
        if key not in table:
            raise unknown_key([], key, table, f"a knob of {kind.__name__}")
        found[key] = knob([key], yaml.safe_load(value), table[key])
    check_finite(found)
    return found


def _files(name: str) -> Iterable[str]:
    """All that belongs to a file: what it imports from its folder, and its data."""
    return sorted(plugins.read(Path(name)).files) if name.endswith(".py") else ()
