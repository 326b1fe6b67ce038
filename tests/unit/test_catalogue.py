"""The catalogue page is what the files say, and config/full.yaml has all of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scorepath import registry
from scorepath.cli.catalogue import lines
from scorepath.stages.plan import make_plan
from scorepath.study.cells import Plan
from scorepath.study.yaml import load_yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load_yaml(ROOT / "config/full.yaml"))


def test_the_page_is_what_the_command_prints() -> None:
    page = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    assert page == "\n".join(lines()) + "\n", "run `scorepath catalogue > docs/catalogue.md`"


def test_the_catalogues_are_as_long_as_promised() -> None:
    assert len(registry.names(registry.ESTIMATORS)) >= 25
    assert len(registry.names(registry.ENVIRONMENTS)) >= 18
    counts = re.search(r"all (\d+) estimators and (\d+)\s+environment\s+families", (ROOT / "README.md").read_text())
    assert counts is not None
    found = [len(registry.names(package)) for package in (registry.ESTIMATORS, registry.ENVIRONMENTS)]
    assert [int(count) for count in counts.groups()] == found


@pytest.mark.parametrize("package", [registry.ENVIRONMENTS, registry.ESTIMATORS])
def test_the_full_study_has_every_entry_of_the_catalogue(package: str, plan: Plan) -> None:
    study = plan.study
    entries: list[tuple[str, Mapping[str, Any]]] = (
        [(entry.family, entry.knobs) for entry in study.environments.values()]
        if package == registry.ENVIRONMENTS
        else [(entry.method, entry.options) for entry in study.estimators.values()]
    )
    for name in registry.names(package):
        kind = registry.load(package, name)
        present = [kind(**knobs) for found, knobs in entries if found == name]
        assert present, f"config/full.yaml lacks {name}"
        for variant in kind.variants:
            assert kind(**variant) in present, f"config/full.yaml lacks {name} with {variant}"


def test_every_estimator_of_the_full_study_runs_somewhere(plan: Plan) -> None:
    running = Counter(cell.estimator for cell in plan.running("gradients"))
    assert set(running) == set(plan.study.estimators)


def test_pathwise_says_why_it_is_not_applicable_to_a_simulator_without_derivatives(plan: Plan) -> None:
    cells = {
        cell.estimator: cell
        for cell in plan.cells
        if (cell.stage, cell.environment, cell.sigma) == ("gradients", "gymnasium_pendulum", 0.1)
    }
    reason = "dynamics not differentiable"
    assert (cells["pathwise"].status, cells["pathwise"].reason) == ("not_applicable", reason)
    for name in ("reinforce", "leave_one_out", "evolution_strategies", "spsa", "measure_valued"):
        assert cells[name].status == "run"


SEQUENTIAL = [
    name
    for name in registry.names(registry.ENVIRONMENTS)
    if name != "gymnasium" and registry.load(registry.ENVIRONMENTS, name)().horizon > 1
]


@pytest.mark.parametrize("family", SEQUENTIAL)
def test_every_sequential_environment_has_noise_on_state_and_reward(family: str) -> None:
    kind = registry.load(registry.ENVIRONMENTS, family)
    knobs = registry.knobs(kind)
    assert "reward_noise" in knobs
    noise = "slip" if "slip" in knobs else "process_noise"
    assert kind(**{noise: 0.1}).process_noise_dim > 0
