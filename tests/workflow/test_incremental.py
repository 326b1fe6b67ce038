"""What an edit reruns: exactly what depends on it. Judged from dry runs on a copy of a computed study."""

from __future__ import annotations

from typing import Any

import pytest
from tests.helpers.project import Project

from scorepath.figures import FIGURES

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

ENVIRONMENTS = ("cosine", "lqr", "swing")
ESTIMATORS = ("reinforce", "leave_one_out", "pathwise", "inverse_variance")

REPORT = {"report", "crate", "all"}
DRAWN = {f"figure {name}" for name in FIGURES} | REPORT
QUESTIONS = {"questions", "figure one_step"}
"""What depends on no configured environment or estimator, but on the library's own that it consists of."""
GATHERED = {"tables", "claims", "cost_tables", "mechanisms", "advisor"} | DRAWN - QUESTIONS
LANDSCAPES = {"landscape_tables"} | {f"landscapes {name}" for name in ENVIRONMENTS}
COSTS = {f"costs {name}" for name in ENVIRONMENTS}
COMMENT = "\n# a remark\n"


def gradient_cells(environments: tuple[str, ...], estimators: tuple[str, ...]) -> set[str]:
    """The cells of the small study: at sigma = 0 only pathwise has one."""
    cells = {f"gradients {place}/{name}/0.5" for place in environments for name in estimators}
    return cells | {f"gradients {place}/pathwise/0" for place in environments if "pathwise" in estimators}


def test_a_second_run_does_nothing(finished: Project) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("results/**/*") if path.is_file()}
    again = finished.run()
    assert again.status == 0
    assert "Nothing to be done" in again.output
    after = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("results/**/*") if path.is_file()}
    assert after == before


def test_a_dry_run_starts_no_planning_and_no_torch(finished: Project) -> None:
    """The Snakefile's own process: a remote job re-reads it every time."""
    (plan,) = finished.path("results/plans").glob("*.json")
    plan.unlink()  # so that it has to be made
    ended = finished.execute("python", "-X", "importtime", "-m", "snakemake", "--dry-run")
    assert ended.status == 0, ended.output
    imported = {
        line.rpartition("|")[2].strip() for line in ended.output.splitlines() if line.startswith("import time:")
    }
    assert "scorepath.study.cells" in imported
    assert not imported & {"torch", "matplotlib", "scorepath.stages.plan", "scorepath.estimators.base"}
    assert plan.is_file()
    assert "Nothing to be done" in ended.output


def test_one_more_noise_level(finished: Project, base_config: dict[str, Any]) -> None:
    finished.configure(noise_levels=[0, 0.5, 0.1])
    new = {f"reference {place}/0.1" for place in ENVIRONMENTS}
    new |= {f"gradients {place}/{name}/0.1" for place in ENVIRONMENTS for name in ESTIMATORS}
    new |= {f"{rule} {place}" for rule in ("signals", "probes") for place in ENVIRONMENTS}
    new |= LANDSCAPES
    assert finished.dry_run() == new | GATHERED

    # training that names no noise levels of its own follows the study's
    training = {key: value for key, value in base_config["training"].items() if key != "noise_levels"}
    finished.configure(noise_levels=[0.5, 0.1], training=training)
    new |= {"train lqr/reinforce/0.1", "train lqr/pathwise/0.1"}
    assert finished.dry_run() == new | GATHERED


@pytest.mark.parametrize("edited", [("leave_one_out", "inverse_variance"), ("reinforce",)], ids="+".join)
def test_an_edited_estimator_and_the_mixtures_of_it(finished: Project, edited: tuple[str, ...]) -> None:
    finished.append(f"src/scorepath/estimators/{edited[0]}.py", COMMENT)
    trained = {f"train lqr/{name}/0.5" for name in edited if name == "reinforce"}
    probed = {f"probes {place}" for place in ENVIRONMENTS if "leave_one_out" in edited}
    # the questions try both of those that are edited first
    own = gradient_cells(ENVIRONMENTS, edited) | trained | probed | COSTS | QUESTIONS
    assert finished.dry_run() == own | GATHERED


def test_an_edited_environment(finished: Project) -> None:
    finished.append("src/scorepath/environments/pendulum.py", COMMENT)
    own = {"reference_policies swing", "reference swing/0", "reference swing/0.5"}
    own |= {"costs swing", "exact_curves swing", "signals swing", "probes swing"}
    own |= {"landscapes swing", "landscape_tables"}
    assert finished.dry_run() == own | gradient_cells(("swing",), ESTIMATORS) | GATHERED


def test_a_changed_knob(finished: Project, base_config: dict[str, Any]) -> None:
    base_config["environments"][0]["phase"] = 2.0
    finished.configure(environments=base_config["environments"])
    own = {
        "reference_policies cosine",
        "reference cosine/0",
        "reference cosine/0.5",
        "costs cosine",
        "exact_curves cosine",
        "signals cosine",
        "probes cosine",
        "landscapes cosine",
        "landscape_tables",
    }
    assert finished.dry_run() == own | gradient_cells(("cosine",), ESTIMATORS) | GATHERED


def test_shared_code_reruns_what_was_measured_with_it(finished: Project) -> None:
    finished.append("src/scorepath/rollout.py", COMMENT)
    jobs = finished.dry_run()
    cells = gradient_cells(ENVIRONMENTS, ESTIMATORS) | {"train lqr/reinforce/0.5", "train lqr/pathwise/0.5"}
    assert jobs >= cells | COSTS | GATHERED


def test_reporting_alone(finished: Project) -> None:
    finished.append("src/scorepath/reporting/templates/report.html.j2", "\n{# a remark #}\n")
    assert finished.dry_run() == REPORT
    finished.append("src/scorepath/figures/bias.py", COMMENT)
    assert finished.dry_run() == DRAWN


def test_timings_redraw_only_the_figures_that_show_them(finished: Project) -> None:
    finished.path("results/costs/lqr.csv").unlink()
    tables = {"costs", "verdicts_compute", "mechanisms"}
    timed = {name for name, figure in FIGURES.items() if tables & set(figure.reads)}
    assert 0 < len(timed) < len(FIGURES)
    assert (
        finished.dry_run() == {"costs lqr", "cost_tables", "mechanisms"} | {f"figure {name}" for name in timed} | REPORT
    )


def test_words_and_wrappers_rerun_nothing(finished: Project) -> None:
    finished.append("README.md", COMMENT)
    finished.path("docs").mkdir()
    finished.append("docs/configuration.md", COMMENT)
    finished.append("config.yaml", COMMENT)
    finished.append("workflow/rules/gradients.smk", COMMENT)
    finished.append("workflow/report/bias.rst", "\nA remark.\n")
    for module in (
        "cli/commands",
        "cli/worker",
        "running/worker",
        "running/display",
        "stages/plan",
        "study/validation",
    ):
        finished.append(f"src/scorepath/{module}.py", COMMENT)
    finished.append("src/snakemake_logger_plugin_scorepath/__init__.py", COMMENT)
    assert finished.dry_run() == set()


def test_fewer_cells_leave_the_others_alone(finished: Project, base_config: dict[str, Any]) -> None:
    estimators = [name for name in base_config["estimators"] if name != "leave_one_out"]
    finished.configure(estimators=estimators, environments=base_config["environments"][1:])
    own = {"costs lqr", "costs swing", "exact_curves lqr", "exact_curves swing", "landscape_tables"}
    assert finished.dry_run() == own | GATHERED | DRAWN
