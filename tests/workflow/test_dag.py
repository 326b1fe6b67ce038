"""The default study's shape, and every job by hand."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.project import ROOT, Project

from scorepath.study.cells import Plan

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def default_plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The plan of config.yaml."""
    folder = tmp_path_factory.mktemp("default")
    command = [sys.executable, "-m", "scorepath", "plan", str(ROOT / "config.yaml")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Plan.load(folder / "results/plan.json")


def test_the_default_study_is_large(default_plan: Plan) -> None:
    assert len(default_plan.running("gradients")) >= 400
    assert len(default_plan.running("training")) >= 100


def test_the_default_study_holds_the_named_cases(default_plan: Plan) -> None:
    study = default_plan.study
    families = {entry.family for entry in study.environments.values()}
    assert families >= {
        "quadratic", "cosine", "ripple", "step", "soft_step", "lqr", "angle_doubling", "pendulum", "cartpole",
        "ball_with_wall", "chain",
    }  # fmt: skip
    methods = {entry.method for entry in study.estimators.values()}
    assert methods >= {
        "reinforce", "reward_to_go", "leave_one_out", "state_value_baseline", "pathwise", "truncated_pathwise",
        "measure_valued", "evolution_strategies", "inverse_variance",
    }  # fmt: skip
    assert 0 in study.noise_levels
    sizes = [entry.knobs.get("dimension", 1) for entry in study.environments.values() if entry.family == "quadratic"]
    assert max(sizes) > 1 == min(sizes)


def test_every_cell_that_does_not_run_says_why(default_plan: Plan) -> None:
    for cell in default_plan.cells:
        assert cell.status in ("run", "not_applicable") or cell.status.startswith("identical_to:"), cell
        assert (cell.status == "run") == (cell.reason == ""), cell
        assert cell.sigma > 0 or cell.family != "score_function" or cell.status == "not_applicable", cell
    paths = [cell.path for cell in default_plan.cells]
    assert len(paths) == len(set(paths))


def test_the_snakefile_is_short() -> None:
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 60


def test_every_rule_is_a_subcommand_with_a_log(finished: Project) -> None:
    """Each job is `scorepath ... > its log`, and prints nothing else."""
    ended = finished.snakemake("--dry-run", "--printshellcmds", "--forceall", "--quiet", "rules")
    assert ended.status == 0, ended.output
    commands = [line.strip() for line in ended.output.splitlines() if line.startswith("    scorepath ")]
    assert len(commands) == len(finished.dry_run("--forceall")) - 1  # `all` has none
    for command in commands:
        assert command.partition(" > ")[2].startswith("results/logs/"), command
        assert command.endswith(".log 2>&1"), command


def test_cells_by_hand(finished: Project) -> None:
    """The command that cells.csv gives for a cell repeats it byte for byte; so do the other subcommands."""
    with finished.path("results/tables/cells.csv").open(newline="") as file:
        rows = {(row["stage"], row["environment"], row["estimator"], row["sigma"]): row for row in csv.DictReader(file)}
    chosen = {
        "gradients/swing/inverse_variance/sigma=0.5.csv": ("gradients", "swing", "inverse_variance", "0.5"),
        "training/lqr/pathwise/sigma=0.5.csv": ("training", "lqr", "pathwise", "0.5"),
    }
    by_hand = {path: rows[key]["command"] for path, key in chosen.items()} | {
        "references/swing/sigma=0.5.npz": "scorepath reference swing 0.5",
        "references/lqr/policies.npz": "scorepath reference-policies lqr",
        "tables/verdicts.csv": "scorepath tables",
        "figures/variance.svg": "scorepath figure variance",
    }
    for name, command in by_hand.items():
        before = finished.results(name)[name]
        finished.path(f"results/{name}").unlink()
        ended = finished.execute("bash", "-c", command)
        assert ended.status == 0, ended.output
        assert finished.results(name)[name] == before, command

    for command, said in {
        "scorepath gradients swing nobody 0.5": "cells.csv",
        "scorepath gradients swing reinforce 0": "not_applicable",
        "scorepath figure nothing": "verdict_map",
    }.items():
        ended = finished.execute("bash", "-c", command)
        assert ended.status != 0
        assert said in ended.output
        assert len(ended.output.splitlines()) == 1, ended.output


def test_from_another_folder(finished: Project, tmp_path: Path) -> None:
    """The same study as a file of one's own, with its results elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy2(finished.path("config.yaml"), elsewhere / "mine.yaml")
    shutil.copytree(finished.path("results"), elsewhere / "results")
    shutil.copytree(finished.path("reports"), elsewhere / "reports")
    shutil.copytree(finished.path(".snakemake"), elsewhere / ".snakemake")
    where = ["--snakefile", str(finished.path("Snakefile")), "--directory", str(elsewhere)]
    ended = finished.snakemake("--dry-run", *where, "--configfile", str(elsewhere / "mine.yaml"))
    assert ended.status == 0, ended.output
    assert "Nothing to be done" in ended.output
