"""The same numbers, byte for byte: from run to run, with or without the warm worker, in any order, in any company."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.project import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

TIMED = {"tables/costs.csv", "tables/verdicts_compute.csv", "tables/mechanisms.csv"}
CELLS = ("gradients/**/*.csv", "training/**/*.csv", "references/**/*.npz")


def measured(project: Project) -> dict[str, bytes]:
    return {name: data for pattern in CELLS for name, data in project.results(pattern).items()}


def finishing_order(project: Project) -> list[str]:
    paths = project.path("results").glob("gradients/**/*.csv")
    return [path.as_posix() for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [name for name in one if one[name] != other.get(name)]


def test_cores_order_and_worker_do_not_matter(finished: Project, fresh: Project) -> None:
    tables = [f"results/{name}" for name in finished.results("tables/*.csv") if name not in TIMED]
    late = [f"results/gradients/{place}/inverse_variance/sigma=0.5.csv" for place in ("swing", "lqr")]
    ended = fresh.snakemake("--cores", "1", *tables, "--prioritize", *late)
    assert ended.status == 0, ended.output
    ours, theirs = measured(finished), measured(fresh)
    assert len(ours) == 15 + 2 + 9
    assert theirs.keys() == ours.keys()
    assert differing(ours, theirs) == []
    untimed = {name: data for name, data in finished.results("tables/*.csv").items() if name not in TIMED}
    assert len(untimed) == 21
    assert differing(untimed, fresh.results("tables/*.csv")) == []
    relative = [
        [Path(path).relative_to(project.folder) for path in finishing_order(project)] for project in (finished, fresh)
    ]
    assert relative[0] != relative[1], "the second run was meant to take another order"


def test_new_neighbours_change_no_cell(finished: Project, base_config: dict[str, Any]) -> None:
    """A study may grow: an environment, an estimator and a noise level, each put first in its list."""
    before = measured(finished)
    times = {path: path.stat().st_mtime_ns for path in finished.path("results").glob("gradients/**/*.csv")}
    finished.configure(
        noise_levels=[0.1, 0, 0.5],
        environments=[{"name": "edge", "family": "step"}, *base_config["environments"]],
        estimators=["reward_to_go", *base_config["estimators"]],
    )
    ended = finished.run("results/tables/gradient_statistics.csv")
    assert ended.status == 0, ended.output
    after = measured(finished)
    # 15 cells at 0.1 or of `edge` each, and reward-to-go where there is more than one step: 2 environments, 2 levels
    assert len(after) > len(before) + 20
    assert differing(before, after) == []
    assert {path: path.stat().st_mtime_ns for path in times} == times, "they were not even run again"


def test_cells_are_computed_alike_alone(finished: Project, fresh: Project, base_config: dict[str, Any]) -> None:
    """A cell in a study of its own has the bytes that it has among others."""
    names = {"swing", "pathwise"}
    fresh.configure(
        noise_levels=[0.5],
        environments=[entry for entry in base_config["environments"] if entry["name"] in names],
        estimators=[name for name in base_config["estimators"] if name in names],
        training={**base_config["training"], "environments": ["swing"], "estimators": ["pathwise"]},
    )
    cell = "gradients/swing/pathwise/sigma=0.5.csv"
    ended = fresh.run(f"results/{cell}")
    assert ended.status == 0, ended.output
    assert fresh.results(cell) == finished.results(cell)


def test_another_seed_is_another_study(finished: Project, fresh: Project) -> None:
    fresh.configure(seed=2)
    names = ["gradients/lqr/reinforce/sigma=0.5.csv", "training/lqr/pathwise/sigma=0.5.csv"]
    ended = fresh.run(*(f"results/{name}" for name in names))
    assert ended.status == 0, ended.output
    for name in names:
        assert fresh.results(name)[name] != finished.results(name)[name]
