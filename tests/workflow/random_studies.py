"""Random small studies of the real catalogue, each of which must end in a report.

    python -m tests.workflow.random_studies --count 50 --seed 1

Any part of it goes with any other: families and methods with their variants, noise levels (also 0 alone), checkpoints,
training on a part of the study or on nothing, one of each. The family `gymnasium` is left out: it needs an extra.
"""

from __future__ import annotations

import argparse
import csv
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from tests.helpers.project import Project, Run, new_project

from scorepath import registry

Item = TypeVar("Item")

MOST_STEPS = 4
SMALLEST: dict[str, Any] = {"horizon": MOST_STEPS, "doublings": 3, "dimension": 5, "waves": 8, "stiffness": 1000.0}
"""Knobs that make an environment slow, and the most that a study here gives them."""
LEFT_OUT = {"gymnasium"}
WRONG = ("Traceback", "a fault in Scorepath")
"""What no log may hold."""


def study(seed: int) -> dict[str, Any]:
    """A valid configuration, the same for the same seed."""
    draw = random.Random(seed)
    kind = draw.choice(["any", "any", "any", "one of each", "without noise", "discrete", "biased", "one side"])
    environments = _environments(draw, kind)
    estimators = _estimators(draw, kind)
    noise_levels = [0.0] if kind == "without noise" else _some(draw, [0.0, 0.01, 0.1, 0.5, 2.0], 3)
    if kind == "one of each":
        environments, estimators, noise_levels = environments[:1], estimators[:1], noise_levels[:1]
    batch_size = draw.choice([2, 3, 8])
    return {
        "seed": seed,
        "noise_levels": noise_levels,
        "environments": environments,
        "estimators": estimators,
        "gradients": {
            "samples": batch_size * draw.randint(4, 9),
            "batch_size": batch_size,
            "dtype": draw.choice(["float32", "float64"]),
        },
        "references": {
            "noise_level": draw.choice([0.1, 1.0]),
            "return_gaps": sorted(_some(draw, [0.0, 0.5, 0.95], 3)),
            "samples": draw.choice([2, 64, 640]),
        },
        "training": _training(draw, environments, estimators, noise_levels),
        "costs": {"repeats": draw.randint(1, 2)},
        "statistics": {"resamples": draw.choice([1, 20])},
    }


def _some(draw: random.Random, items: Sequence[Item], most: int) -> list[Item]:
    """One of the items or more, in an order of their own."""
    return draw.sample(list(items), draw.randint(1, min(most, len(items))))


def _environments(draw: random.Random, kind: str) -> list[dict[str, Any]]:
    def fits(cls: type[Any]) -> bool:
        return bool(cls.discrete_actions) or kind != "discrete"

    entries = _entries(draw, registry.ENVIRONMENTS, "family", 3, fits)
    for entry in entries:
        cls = registry.load(registry.ENVIRONMENTS, entry["family"])
        knobs = registry.knobs(cls)
        for knob, most in SMALLEST.items():
            if knob in knobs and (value := entry.get(knob, knobs[knob])) > most:
                entry[knob] = draw.randint(1, most) if isinstance(value, int) else most
        if cls.reference_class in ("quadrature", "linear_solve", "certified_monte_carlo") and draw.random() < 0.3:
            entry["policy"] = {"kind": draw.choice(["open_loop", "linear", "mlp"])}
            if entry["policy"]["kind"] == "mlp":
                entry["policy"]["hidden"] = [draw.randint(1, 4)]
    return entries


def _estimators(draw: random.Random, kind: str) -> list[dict[str, Any]]:
    def fits(cls: type[Any]) -> bool:
        match kind:
            case "biased":
                return not str(cls.bias).startswith("unbiased")
            case "one side":
                return str(cls.family) == side
        return True

    side = draw.choice(["score_function", "pathwise", "mixture"])
    entries = _entries(draw, registry.ESTIMATORS, "method", 6, fits)
    if kind == "any" and draw.random() < 0.7:  # most studies have both sides
        listed = {entry["method"] for entry in entries}
        entries += [{"name": name, "method": name} for name in ("reinforce", "pathwise") if name not in listed]
    return entries


def _entries(
    draw: random.Random, package: str, key: str, most: int, fits: Callable[[type[Any]], bool]
) -> list[dict[str, Any]]:
    """Entries of families or methods that fit, some of them variants under names of their own."""
    every = {name: registry.load(package, name) for name in registry.names(package) if name not in LEFT_OUT}
    chosen = _some(draw, [name for name, cls in every.items() if fits(cls)], most)
    entries = []
    for name in chosen:
        variant = draw.choice([{}, *every[name].variants])
        entries.append({"name": f"{name}_varied" if variant else name, key: name, **_plain(variant)})
    return entries


def _plain(value: Any) -> Any:
    """Tuples as lists, as a YAML file has them."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if hasattr(value, "items") else value


def _training(
    draw: random.Random, environments: list[dict[str, Any]], estimators: list[dict[str, Any]], levels: list[float]
) -> dict[str, Any]:
    training: dict[str, Any] = {
        "optimiser": draw.choice(["adam", "adamw", "rmsprop", "sgd", "RMSprop"]),
        "learning_rates": _some(draw, [0.001, 0.1, 10.0], 2),
        "extension": draw.randint(0, 2),
        "seeds": draw.randint(1, 4),
        "tuning_seeds": draw.randint(0, 1),
        "iterations": draw.randint(1, 6),
    }
    if training["optimiser"] == "sgd" and draw.random() < 0.5:
        training["momentum"] = draw.choice([0, 0.5])
    whole = {
        "environments": [entry["name"] for entry in environments],
        "estimators": [entry["name"] for entry in estimators],
        "noise_levels": levels,
    }
    for key, members in whole.items():
        if draw.random() < 0.5:
            training[key] = _some(draw, members, len(members)) if draw.random() < 0.7 else []
    return training


def run(project: Project, configuration: dict[str, Any]) -> Run:
    """Run a study in a project's folder, where nothing of an earlier one is left."""
    for name in ("results", "reports", ".snakemake"):
        shutil.rmtree(project.path(name), ignore_errors=True)
    project.path("config.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    return project.snakemake("--cores", "2")


def faults(project: Project, ended: Run) -> list[str]:
    """What is wrong with a study that has been run."""
    found = []
    if ended.status:
        found.append(f"exit status {ended.status}")
    if not project.path("reports/report.html").is_file():
        found.append("there is no report")
    cells = project.path("results/tables/cells.csv")
    if cells.is_file():
        with cells.open(newline="") as file:
            lost = [row for row in csv.DictReader(file) if row["status"] in ("failed", "missing")]
        found += [
            f"{row['stage']} {row['environment']} {row['estimator']} {row['sigma']}: {row['reason']}" for row in lost
        ]
    for log in sorted(project.path("results/logs").rglob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace")
        if any(words in text for words in WRONG):
            found.append(f"{log.relative_to(project.folder)}: {text.rstrip().splitlines()[-1]}")
    if ended.status or any(words in ended.output for words in WRONG):
        found.append(f"the screen shows:\n{ended.output}")
    return found


def main() -> int:
    """Run many studies and name those that do not end in a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50, help="how many studies (default: 50)")
    parser.add_argument("--seed", type=int, default=1, help="of the first; the others follow (default: 1)")
    arguments = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="scorepath-studies-") as folder:
        project = new_project(Path(folder) / "study")
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            began = time.monotonic()
            found = faults(project, run(project, study(seed)))
            print(f"seed {seed}: {'FAILED' if found else 'a report'}, {time.monotonic() - began:.0f} s", flush=True)
            if found:
                failed.append(seed)
                print(yaml.safe_dump(study(seed), sort_keys=False) + "\n".join(found), flush=True)
    ended = arguments.count - len(failed)
    print(f"{ended} of {arguments.count} studies ended in a report" + (f"; not those of {failed}" if failed else ""))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
