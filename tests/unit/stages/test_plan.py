"""What a plan settles: knobs that exist, and why some cells do not."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from tests.helpers.places import ROOT
from tests.helpers.small_studies import default_plan, small_plan

from scorepath import registry
from scorepath.stages.plan import make_plan
from scorepath.store.paths import reference_path
from scorepath.study.cells import Plan
from scorepath.study.jobs import all_jobs
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import load_yaml

OF_ENTRIES = ("name", "family", "policy", "policies", "samples", "noise_levels", "estimators")


def test_the_default_study_names_existing_knobs() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for entry in config["environments"]:
        kind = registry.load(registry.ENVIRONMENTS, entry["family"])
        knobs = {key: value for key, value in entry.items() if key not in OF_ENTRIES}
        environment = kind(**knobs)
        for knob in knobs:
            assert knob in {field.name for field in dataclasses.fields(environment)}


def test_an_environment_may_be_measured_by_a_part_of_the_study() -> None:
    few = {"name": "few", "family": "lqr", "horizon": 4, "noise_levels": [0.1], "estimators": ["pathwise", "reinforce"]}
    plan = small_plan(["lqr", few], estimators=["reinforce", "leave_one_out", "pathwise"])
    measured = {(cell.estimator, cell.sigma) for cell in plan.cells if cell.stage == "gradients"}
    assert len(measured) == 6, "the other environment has all of them"
    own = [cell for cell in plan.cells if cell.stage == "gradients" and cell.environment == "few"]
    assert [(cell.estimator, cell.sigma) for cell in own] == [("reinforce", 0.1), ("pathwise", 0.1)]
    assert [job.result for job in all_jobs(plan) if job.rule.name == "reference" and job.environment == "few"] == [
        reference_path("few", 0.1)
    ]
    trained = {(cell.estimator, cell.sigma) for cell in plan.cells if cell.stage == "training"}
    assert len(trained) == 6, "training has lists of its own"
    with pytest.raises(LookupError, match="the study has no gradients cell few / leave_one_out"):
        plan.cell("gradients", "few", "leave_one_out", 0.1)


def test_policies_that_start_alike_are_refused_and_others_differ() -> None:
    same = {"name": "quadratic", "family": "quadratic", "policies": 2}
    with pytest.raises(ConfigError, match=r"environments\[0\]\.policies \(quadratic\): .* always the same"):
        default_plan([same])
    pendulum = {"name": "pendulum", "family": "pendulum", "horizon": 3, "policies": 2}
    plan = default_plan([{"name": "cosine", "family": "cosine", "frequency": 2.0, "phase": 1.0}, pendulum])
    assert [entry.like for entry in plan.study.environments.values()] == ["", "", "pendulum"]
    digests = {cell.environment: cell.digest for cell in plan.running("gradients")}
    assert digests["pendulum"] != digests["pendulum_2"]
    wrong = {"name": "pendulum", "family": "pendulum", "horizon": 3, "policies": 2, "discount": 2.0}
    with pytest.raises(ConfigError, match=r"environments\[1\]"):
        default_plan([pendulum | {"name": "other"}, wrong])


ENTRY = {"name": "gym", "family": "gymnasium", "id": "Pendulum-v1", "horizon": 5, "kwargs": {"g": 9.81}}


def test_a_study_runs_what_needs_no_derivative() -> None:
    cells = [cell for cell in default_plan([ENTRY]).cells if (cell.stage, cell.sigma) == ("gradients", 0.1)]
    assert {cell.estimator: (cell.status, cell.reason) for cell in cells} == {
        "leave_one_out": ("run", ""),
        "measure_valued": ("run", ""),
        "evolution_strategies": ("run", ""),
        "pathwise": ("not_applicable", "dynamics not differentiable"),
    }


def test_a_study_without_gymnasium_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigError, match=r"environments\[0\] \(gym\).*pip install --editable '\.\[gymnasium\]'"):
        default_plan([ENTRY])


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(load_yaml(ROOT / "config/full.yaml"))


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
