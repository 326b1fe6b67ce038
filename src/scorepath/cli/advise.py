"""`scorepath advise`: advice about a file, a family, a MuJoCo model or an entry of a configuration."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scorepath import registry
from scorepath.advice import Advice
from scorepath.advisor import advise
from scorepath.cli.check import knobs_of
from scorepath.environments.base import Environment, make_policy
from scorepath.policies import Policy
from scorepath.stages._instances import make_environment
from scorepath.stages.plan import make_plan
from scorepath.store.files import atomic_write, require_writable
from scorepath.study.wording import suggestion
from scorepath.study.yaml import load_yaml

POLICIES = ("open_loop", "linear", "mlp")


def advise_and_report(
    name: str,
    knobs: Sequence[str],
    *,
    config: str = "config.yaml",
    policy: str | None = None,
    noise_levels: Sequence[float] | None = None,
    horizon: int | None = None,
    budget: float = 60.0,
    html: str | None = None,
    as_json: str | None = None,
) -> Advice:
    """Print the advice, and write it where asked; progress goes to standard error.

    Args:
        name: a Python file, a family, an XML model for MuJoCo, or an entry of the configuration.
        knobs: such as `stiffness=100`.
        config: the file whose entries count.
        policy: open_loop, linear or mlp.
        noise_levels: above 0.
        horizon: number of decisions.
        budget: seconds.
        html: a file for it as a page.
        as_json: a file for it as JSON.

    Raises:
        ConfigError: a knob that there is not, or a value that it cannot have.
        LookupError: if there is nothing of that name.
        OSError: where a file cannot be written.
        ValueError: a policy, noise level or budget that cannot be.
    """
    if policy is not None and policy not in POLICIES:
        raise ValueError(f"there is no policy {policy!r}.{suggestion(policy, POLICIES)} Choose {', '.join(POLICIES)}.")
    for path in (html, as_json):
        if path is not None:
            require_writable(Path(path))
    environment, own = subject(name, knobs, config)
    found = advise(
        environment,
        policy=make_policy(environment, policy) if policy and horizon is None else policy or own,
        noise_levels=noise_levels,
        horizon=horizon,
        budget=budget,
        progress=lambda line: print(f"  {line}", file=sys.stderr),
    )
    print(found)
    written: Mapping[str | None, Any] = {
        as_json: lambda: json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n",
        html: found.to_html,
    }
    for path, text in written.items():
        if path is not None:
            with atomic_write(Path(path)) as file:
                file.write(text())
            print(f"written: {path}")
    return found


def subject(name: str, knobs: Sequence[str], config: str) -> tuple[Environment, Policy | None]:
    """The environment that a name stands for, and the policy that an entry of the configuration gives it."""
    path = Path(name)
    if path.suffix == ".xml":
        if not path.is_file():
            raise LookupError(f"there is no file {name}")
        return _made(registry.load(registry.ENVIRONMENTS, "mujoco"), [*knobs, f"model={name}"]), None
    if path.suffix == ".py":
        found = registry.plugin_class(path)
        if found is None or found[0] != registry.ENVIRONMENTS:
            raise LookupError(f"{name} defines no environment, which is what advice is about")
        return _made(found[1], knobs), None
    if path.suffix in (".yaml", ".yml"):
        raise LookupError(
            f"{name} is a configuration: name one of its entries, as in `scorepath advise ENTRY --config {name}`"
        )
    if not knobs and (entry := _entry(config, name)) is not None:
        return entry
    families = registry.names(registry.ENVIRONMENTS)
    if name not in families:
        raise LookupError(
            f"there is no environment family {name!r}, and no such entry of {config}.{suggestion(name, families)} "
            "`scorepath catalogue` lists families; a file of yours ends in .py, a MuJoCo model in .xml."
        )
    return _made(registry.load(registry.ENVIRONMENTS, name), knobs), None


def _entry(config: str, name: str) -> tuple[Environment, Policy] | None:
    """The environment and policy of an entry; None if the configuration has none of that name."""
    if not Path(config).is_file():
        return None
    raw = load_yaml(Path(config))
    listed = raw.get("environments")
    named = [each.get("name") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    if name not in named:
        return None
    return make_environment(make_plan(raw, [Path(config)]).study.environments[name])


def _made(kind: type[Environment], knobs: Sequence[str]) -> Environment:
    return kind(**knobs_of(kind, knobs))
