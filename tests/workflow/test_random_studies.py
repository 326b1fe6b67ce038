"""Every valid study ends in a report: a few of the smallest, and a few at random (`random_studies` runs many)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.helpers.project import Project, new_project
from tests.workflow.random_studies import faults, run, study

from scorepath.stages.plan import make_plan

SEEDS = (5, 12)
SMALL = {"extension": 0, "seeds": 3, "iterations": 4, "learning_rates": [0.1]}
SMALLEST: dict[str, dict[str, Any]] = {
    "no reinforce": {
        "environments": ["quadratic"],
        "estimators": ["leave_one_out", "pathwise"],
        "training": {"optimiser": "sgd", **SMALL},
    },
    "one of each": {"environments": ["quadratic"], "estimators": ["pathwise"], "training": {"environments": []}},
    "no noise": {"environments": ["chain"], "estimators": ["reinforce"], "noise_levels": [0], "training": SMALL},
}
ANSWERS = {
    "no reinforce": "Averaging the same number of samples",
    "one of each": "no score-function estimator in this study",
    "no noise": "without action noise the policy has no score function",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder that one study after the other is run in."""
    return new_project(tmp_path_factory.mktemp("random") / "study")


def test_random_studies_are_valid_differ_and_lack_everything_in_turn() -> None:
    found: Counter[str] = Counter()
    for seed in range(100):
        assert study(seed) == study(seed)
        plan = make_plan(study(seed))
        cells = {stage: plan.running(stage) for stage in ("gradients", "training")}
        methods = {cell.method for cell in cells["gradients"] if cell.sigma > 0}
        found["trains nothing"] += not cells["training"]
        found["measures nothing"] += not cells["gradients"]
        found["both sides"] += {"reinforce", "pathwise"} <= methods
        found["one side"] += len({"reinforce", "pathwise"} & methods) == 1
        found["no noise"] += not any(plan.study.noise_levels)
        found["one cell"] += len(cells["gradients"]) == 1
        found[plan.study.training.optimiser.name] += bool(cells["training"])
        found.update(entry.family for entry in plan.study.environments.values())
        found.update(entry.method for entry in plan.study.estimators.values())
    assert min(found.values()) >= 1, found
    assert len(found) == 6 + 4 + 25 + 33


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_study_ends_in_a_report(project: Project, seed: int) -> None:
    ended = run(project, study(seed))
    assert not faults(project, ended), study(seed)


@pytest.mark.workflow
@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_studies_end_in_a_report(project: Project, name: str) -> None:
    small = {"noise_levels": [0.1], "gradients": {"samples": 256, "batch_size": 32}, "costs": {"repeats": 1}}
    ended = run(project, small | {"statistics": {"resamples": 50}} | SMALLEST[name])
    assert not faults(project, ended), name
    page = project.path("reports/report.html").read_text(encoding="utf-8")
    assert ANSWERS[name] in page
    assert ("Nothing is trained in this study" in page) == (name != "no reinforce")
