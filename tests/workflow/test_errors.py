"""What goes wrong says so: in the configuration, in the numbers, in a job, in a file on disk."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.project import Project

from scorepath.figures import FIGURES
from scorepath.stages.plan import make_plan
from scorepath.study.wording import ConfigError

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

GATHERED = {"tables", "claims", "cost_tables", "mechanisms", "advisor", "report", "crate", "all"} | {
    f"figure {name}" for name in FIGURES
}


def snapshot(project: Project) -> dict[str, int]:
    """All results and when they were written."""
    files = [path for name in ("results", "reports") for path in project.path(name).rglob("*") if path.is_file()]
    return {path.as_posix(): path.stat().st_mtime_ns for path in files}


def table(project: Project, name: str) -> list[dict[str, str]]:
    with project.path(f"results/tables/{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def message(output: str) -> list[str]:
    """The lines that are about the mistake."""
    return [line for line in output.splitlines() if line and not line.startswith("Using workflow specific profile")]


# --- the configuration ------------------------------------------------------------------------------------------------

MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown key": ({"noise_level": [0.5]}, ["noise_level ", "noise_levels", "seed"]),
    "misspelt estimator": (
        {"estimators": ["reinforce", "pathwize"]},
        ["estimators[1]", "'pathwize'", "Did you mean 'pathwise'?", "reward_to_go"],
    ),
    "refused knob": ({"environments": [{"name": "lqr", "horizon": 0}]}, ["environments[0]", "lqr", "horizon"]),
    "negative noise": ({"noise_levels": [0.5, -0.1]}, ["noise_levels[1]", "-0.1", "negative"]),
    "name twice": (
        {"environments": [{"name": "one", "family": "lqr"}, {"name": "one", "family": "step"}]},
        ["environments[1].name", "'one'", "environments[0]"],
    ),
    "empty list": ({"estimators": []}, ["estimators", "empty"]),
    "string for a number": ({"gradients": {"samples": "many"}}, ["gradients.samples", '"many"', "number"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_configuration_is_one_sentence(base_config: dict[str, Any], mistake: str) -> None:
    """Planning says it; the next test, that what planning says is all that a user sees."""
    changes, fragments = MISTAKES[mistake]
    with pytest.raises(ConfigError) as refused:
        make_plan(base_config | changes)
    assert str(refused.value).isprintable()
    assert all(fragment in str(refused.value) for fragment in fragments)


@pytest.mark.parametrize("mistake", ["misspelt estimator", "refused knob"])
def test_snakemake_shows_that_sentence_alone(finished: Project, mistake: str) -> None:
    changes, fragments = MISTAKES[mistake]
    before = snapshot(finished)
    finished.configure(**changes)
    ended = finished.snakemake("--cores", "1")
    assert ended.status != 0
    assert len(message(ended.output)) == 1, ended.output
    assert all(fragment in message(ended.output)[0] for fragment in fragments), ended.output
    assert "Traceback" not in ended.output
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    "path",
    [
        "gradients/swimg/pathwise/sigma=0.5.csv",
        "gradients/swing/pathwize/sigma=0.5.csv",
        "gradients/swing/pathwise/sigma=0.50.csv",
        "training/swing/pathwise/sigma=7.csv",
        "references/swimg/policies.npz",
        "costs/swimg.csv",
    ],
)
def test_a_target_that_the_study_does_not_have(finished: Project, path: str) -> None:
    before = snapshot(finished)
    ended = finished.snakemake("--cores", "1", f"results/{path}")
    assert ended.status != 0
    assert "the study has nothing of that name" in ended.output
    assert "most recent call last" not in ended.output
    assert snapshot(finished) == before


@pytest.mark.parametrize(
    ("text", "fragments"),
    [("seed: 1\n", ["config.yaml", "'seed'", "lines 1 and "]), ("  costs: [\n", ["YAML"])],
    ids=["key twice", "not YAML"],
)
@pytest.mark.parametrize("how", ["directive", "--configfile"])
def test_an_unreadable_configuration(finished: Project, text: str, fragments: list[str], how: str) -> None:
    before = snapshot(finished)
    finished.append("config.yaml", text)
    arguments = ["--configfile", "config.yaml"] if how == "--configfile" else []
    ended = finished.snakemake("--cores", "1", *arguments)
    assert ended.status != 0
    assert "Traceback" not in ended.output
    assert len(message(ended.output)) == 1, ended.output
    assert all(fragment in message(ended.output)[0] for fragment in fragments), ended.output
    assert snapshot(finished) == before


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_what_overflows_single_precision_is_measured_in_double(finished: Project, base_config: dict[str, Any]) -> None:
    """An environment whose returns overflow float32: its cells say so, and the study goes on to its report."""
    unstable = {"name": "unstable", "family": "lqr", "horizon": 6, "dynamics": [[10000.0]], "control": [[0.5]]}
    finished.configure(
        environments=[*base_config["environments"], unstable],
        training={**base_config["training"], "environments": ["lqr", "unstable"]},
    )
    ended = finished.run()
    assert ended.status == 0, ended.output
    rows = [row for row in table(finished, "gradient_statistics") if row["environment"] == "unstable"]
    assert {row["estimator"] for row in rows} == set(base_config["estimators"])
    for row in rows:
        assert row["dtype"] == "float64", row
        assert float(row["nonfinite_fraction"]) == 0, row
        assert math.isfinite(float(row["squared_error_median"])), row
        assert row["not_measurable"] or math.isfinite(float(row["variance"])), row
    training = [row for row in table(finished, "training") if row["environment"] == "unstable"]
    assert any(not math.isfinite(float(row["return_stochastic"])) for row in training), "training knows one precision"
    verdicts = [row for row in table(finished, "verdicts") if row["environment"] == "unstable" and row["rival"]]
    assert verdicts
    assert all(row["reason"] for row in verdicts if row["verdict"] in ("not_applicable", "not_measurable"))
    cells = [row for row in table(finished, "cells") if row["environment"] == "unstable"]
    assert {row["status"] for row in cells} == {"run", "not_applicable"}
    page = finished.path("reports/report.html").read_text(encoding="utf-8")
    assert "unstable" in page


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_crashed_job_a_partial_report_and_the_repair(finished: Project) -> None:
    source = finished.path("src/scorepath/estimators/reinforce.py")
    sound, stat = source.read_bytes(), source.stat()
    start = "        return trajectories.returns[..., None]\n"
    broken = sound.decode().replace(start, f"        raise RuntimeError('no luck today')\n{start}")
    assert broken != sound.decode()
    source.write_text(broken)
    # one cell that has nothing to do with it, to see that the others go on
    other = finished.path("results/gradients/swing/pathwise/sigma=0.5.csv")
    other.unlink()

    ended = finished.run()
    assert ended.status != 0
    assert other.is_file()
    log = "results/logs/gradients/cosine/reinforce/sigma=0.5.log"
    assert ended.output.count(f"log: {log}") == 1, ended.output
    assert "no luck today" in ended.output
    assert "no luck today" in finished.path(log).read_text()
    assert "by hand: scorepath gradients cosine reinforce 0.5" in ended.output
    assert not finished.path("results/gradients/cosine/reinforce/sigma=0.5.csv").exists()

    ended = finished.run("--config", "partial=true")
    assert ended.status == 0, ended.output
    cells = {
        (row["stage"], row["environment"], row["estimator"], row["sigma"]): row for row in table(finished, "cells")
    }
    failed = [key for key, row in cells.items() if row["status"] == "failed"]
    places = [("gradients", name) for name in ("cosine", "lqr", "swing")] + [("training", "lqr")]
    assert failed == [(stage, name, "reinforce", "0.5") for stage, name in places]
    for key in failed:
        assert cells[key]["log"] in cells[key]["reason"]
        assert "no luck today" in finished.path(cells[key]["log"]).read_text()
    verdicts = [row for row in table(finished, "verdicts") if row["comparison"] == "pathwise_vs_reinforce"]
    assert {row["verdict"] for row in verdicts if row["sigma"] == "0.5"} == {"not_applicable"}
    assert "no result of reinforce" in {row["reason"] for row in verdicts}
    page = finished.path("reports/report.html").read_text(encoding="utf-8")
    assert log in page

    source.write_bytes(sound)
    assert stat.st_size == source.stat().st_size
    missing = {"/".join(key[1:]) for key in failed if key[0] == "gradients"}
    wanted = {f"gradients {name}" for name in missing} | {"train lqr/reinforce/0.5"}
    wanted |= {f"costs {name}" for name in ("cosine", "lqr", "swing")}
    wanted |= {"questions"}  # which try REINFORCE too
    assert finished.dry_run() == wanted | GATHERED
    ended = finished.run("results/tables/cells.csv")
    assert ended.status == 0, ended.output
    assert {row["status"] for row in table(finished, "cells")} == {"run", "not_applicable"}
    costs = {f"costs {name}" for name in ("cosine", "lqr", "swing")}
    assert finished.dry_run() == costs | {"questions"} | GATHERED - {"tables"}


def test_an_environment_without_reference_policies(finished: Project) -> None:
    """All that was computed from its earlier ones is out of date: a partial report leaves it out, and says why."""
    source = finished.path("src/scorepath/environments/lqr.py")
    sound = source.read_text()
    start = "        next_state = state @"
    source.write_text(sound.replace(start, f"        raise RuntimeError('no luck today')\n{start}"))
    start = "        affine = isinstance(policy"
    source.write_text(source.read_text().replace(start, f"        raise RuntimeError('no luck today')\n{start}"))
    ended = finished.run("results/tables/cells.csv")
    assert ended.status != 0
    assert not finished.path("results/references/lqr/policies.npz").exists()
    assert finished.path("results/gradients/lqr/pathwise/sigma=0.5.csv").is_file()

    ended = finished.run("--config", "partial=true")
    assert ended.status == 0, ended.output
    ran = [row for row in table(finished, "cells") if row["command"]]
    assert {row["status"] for row in ran if row["environment"] != "lqr"} == {"run"}
    lost = [row for row in ran if row["environment"] == "lqr"]
    assert {(row["stage"], row["status"]) for row in lost} == {("gradients", "missing"), ("training", "failed")}
    log = "results/logs/references/lqr/policies.log"
    assert all(log in row["reason"] for row in lost if row["stage"] == "gradients")
    assert "no luck today" in finished.path(log).read_text()
    for name in ("references", "gradient_statistics", "costs", "exact_curves", "training"):
        assert "lqr" not in {row["environment"] for row in table(finished, name)}, name
    assert log in finished.path("reports/report.html").read_text(encoding="utf-8")

    source.write_text(sound)
    assert "reference_policies lqr" in finished.dry_run()


def test_an_environment_beyond_all_numbers(fresh: Project, base_config: dict[str, Any]) -> None:
    """Returns that overflow even float64 leave no reference: the report says so, and has the other environments."""
    beyond = {"name": "beyond", "family": "lqr", "horizon": 20, "dynamics": [[1e30]], "control": [[0.5]]}
    fine = {"name": "fine", "family": "quadratic"}
    fresh.configure(environments=[fine, beyond], training={**base_config["training"], "environments": ["beyond"]})
    ended = fresh.snakemake("--cores", "1", "reports/report.html")
    assert ended.status == 0, ended.output
    why = "not certified: the return or its derivative is not finite there, even in float64"
    found = {row["environment"]: row["certified_by"] for row in table(fresh, "references")}
    assert found == {"fine": "exact", "beyond": why}
    assert why in fresh.path("reports/report.html").read_text(encoding="utf-8")
    verdicts = [row for row in table(fresh, "verdicts") if row["environment"] == "beyond"]
    assert {row["verdict"] for row in verdicts} == {"not_applicable"}


def test_a_study_without_exact_environments(fresh: Project, base_config: dict[str, Any]) -> None:
    fresh.configure(environments=base_config["environments"][2:], training={"environments": ["swing"]})
    assert fresh.execute("scorepath", "plan").status == 0
    for command in (["reference-policies", "swing"], ["exact-curves", "swing"], ["tables"]):
        ended = fresh.execute("scorepath", *command)
        assert ended.status == 0, ended.output
    assert table(fresh, "exact_curves") == []


def test_a_file_where_a_folder_must_be(finished: Project) -> None:
    folder = finished.path("results/gradients/cosine/pathwise")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    finished.path("results/tables/cells.csv").unlink()
    ended = finished.run("results/tables/cells.csv")
    assert ended.status != 0
    assert "results/gradients/cosine/pathwise" in ended.output
    folder.unlink()
    ended = finished.run("results/tables/cells.csv")
    assert ended.status == 0, ended.output


# --- files on disk ----------------------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    """Cut a file inside its last third, as a full disk or a killed copy would."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 5])


def garble(path: Path) -> None:
    path.write_bytes(b"\x00\xff not what it was")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = {
    "truncated cell": ("results/gradients/lqr/pathwise/sigma=0.5.csv", truncate, ["tables"]),
    "empty cell": ("results/training/lqr/pathwise/sigma=0.5.csv", empty, ["tables"]),
    "garbled cell": ("results/gradients/lqr/reinforce/sigma=0.5.csv", garble, ["tables"]),
    "garbled timings": ("results/costs/lqr.csv", garble, ["cost-tables"]),
    "truncated policies": ("results/references/lqr/policies.npz", truncate, ["reference", "lqr", "0.5"]),
    "empty policies": ("results/references/lqr/policies.npz", empty, ["costs", "lqr"]),
    "truncated reference": ("results/references/lqr/sigma=0.5.npz", truncate, ["gradients", "lqr", "pathwise", "0.5"]),
    "garbled reference": ("results/references/lqr/sigma=0.5.npz", garble, ["tables"]),
    "truncated plan": ("results/plan.json", truncate, ["tables"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_the_remedy(finished: Project, damage: str) -> None:
    """The job that reads it says which file and what to do, in a line of its log."""
    name, spoil, command = DAMAGE[damage]
    spoil(finished.path(name))
    ended = finished.execute("scorepath", *command)
    assert ended.status != 0
    assert "Traceback" not in ended.output, ended.output
    assert name in ended.output
    assert "delete" in ended.output
    assert len(ended.output.splitlines()) == 1, ended.output


def test_the_remedy_works(finished: Project) -> None:
    """A damaged file is named by whoever reads it, and made again by the next run, as the message says."""
    cell = finished.path("results/gradients/lqr/pathwise/sigma=0.5.csv")
    sound = cell.read_bytes()
    truncate(cell)
    ended = finished.execute("scorepath", "tables")
    assert ended.status != 0
    assert "`scorepath repair`" in ended.output
    ended = finished.snakemake("--cores", "2", "results/gradients/lqr/pathwise/sigma=0.5.csv")
    assert ended.status == 0, ended.output
    assert "sigma=0.5.csv was damaged and is deleted; this run makes it again" in ended.output
    assert cell.read_bytes() == sound


def test_a_damaged_plan_is_made_anew(finished: Project) -> None:
    (plan,) = finished.path("results/plans").glob("*.json")
    sound = plan.read_bytes()
    truncate(plan)
    assert finished.dry_run() == set()
    assert plan.read_bytes() == sound
