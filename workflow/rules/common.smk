# Helpers of all rules. The plan is the only thing that the rules know of the study; torch stays out of this process.
import json
import os
import subprocess
import sys

from snakemake.exceptions import WorkflowError

from scorepath import registry
from scorepath.figures import FIGURES
from scorepath.memory import collect_rarely
from scorepath.running.launch import (
    announce_run,
    locked,
    mend,
    put_on_path,
    runs_jobs,
    start_worker,
    usable_cores,
    worker_is_there,
)
from scorepath.running.protocol import SOCKET
from scorepath.store.paths import (
    PLAN,
    claim_figure_path,
    claim_path,
    costs_path,
    curves_path,
    diagram_path,
    episode_path,
    landscape_path,
    point_path,
    policies_path,
    probes_path,
    reference_path,
    signals_path,
    sweep_crossings_path,
    sweep_figure_path,
    table_path,
)
from scorepath.study.cells import STUDY, Plan
from scorepath.study.digests import plan_key
from scorepath.study.jobs import RULE_OF_TABLE, RULES
from scorepath.study.takeover import take_up
from scorepath.study.wording import ConfigError
from scorepath.study.yaml import check_plain

put_on_path()  # rules call `scorepath`
if workflow.remote_exec and not worker_is_there():
    start_worker(usable_cores(), lazy=True)  # the jobs of a group on a cluster share their imports

collect_rarely()  # a DAG is millions of objects: to look through them again and again takes a tenth of its time

# `--config partial=true`: gather and report what exists, compute no cell
PARTIAL = str(config.pop("partial", False)).lower()
if PARTIAL not in ("true", "false"):
    raise WorkflowError(f"partial must be true or false, not {PARTIAL!r}.")
PARTIAL = PARTIAL == "true"

HERE = runs_jobs(workflow)


def scorepath(*arguments, stdin=""):
    """Run a subcommand, which may need torch, in a process of its own: the worker is not ready yet."""
    alone = {name: value for name, value in os.environ.items() if name != SOCKET}
    command = [sys.executable, "-m", "scorepath", *arguments]
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, env=alone)
    if ran.returncode:
        raise WorkflowError(ran.stderr.strip().removeprefix("scorepath: "))


def load_plan():
    """The study's plan, under its key: made anew only when the configuration or the sources have changed."""
    if workflow.remote_exec and os.environ.get(STUDY):
        return Plan.load()  # that of the run which this job is part of
    try:
        check_plain(config)
    except ConfigError as error:
        raise WorkflowError(str(error))
    key = os.environ[STUDY] = plan_key(config, map(Path, workflow.configfiles))
    try:
        return Plan.load()
    except (OSError, ValueError):
        pass  # none yet, or a damaged one
    if HERE:
        start_worker(workflow.resource_settings.cores)  # a new plan means jobs: it gets ready meanwhile
    files = map(os.path.relpath, workflow.configfiles)  # the plan's record names them, and is published
    scorepath("plan", "-", *files, "--for-run", stdin=json.dumps(config))
    try:
        return Plan.load()
    except ValueError as error:
        raise WorkflowError(str(error))


if HERE:
    announce_run(workflow.resource_settings.cores)
    mend()

plan = load_plan()
study = plan.study
# Whose tables a run replaces is said when it starts. If there is nothing to do, what lies there is this plan's as well.
REPLACED = take_up(plan) if HERE and not locked() else ""


# Whether the study has what a path names is for the digests to say: to try hundreds of names on each path takes long.
wildcard_constraints:
    environment="[^/]+",
    estimator="[^/]+",
    sigma=r"[0-9.e+-]+",
    sweep="[^/]+",
    point="[^/]+",
    claim="[^/]+",


NOTHING_LIKE_IT = f"the study has nothing of that name; {PLAN} lists what it has"


def cell_digest(stage):
    """The digest parameter of a cell: what Snakemake compares to decide on a rerun."""

    def digest(wildcards):
        cell = plan.index.get((stage, wildcards.environment, wildcards.estimator, wildcards.sigma))
        if cell is None:
            raise WorkflowError(NOTHING_LIKE_IT)
        return cell.digest

    return digest


def own_digest(rule):
    """The digest parameter of a job of a rule that has one for each environment, sweep or point."""

    def digest(wildcards):
        found = plan.digest(rule, dict(wildcards.items()))
        if found is None:
            raise WorkflowError(NOTHING_LIKE_IT)
        return found

    return digest


def existing(paths):
    """All of the paths, or in a partial pass those that exist."""
    return [str(path) for path in paths if not PARTIAL or Path(path).is_file()]


def tables_there(names):
    """All of these tables, or in a partial pass no table whose own computation has failed."""
    gathered = [str(table_path(name)) for name in names if not RULE_OF_TABLE[name].torch]
    return gathered + existing(table_path(name) for name in names if RULE_OF_TABLE[name].torch)


def environments():
    """All environments, or in a partial pass those with policies: what was computed from others is out of date."""
    return [name for name in study.environments if not PARTIAL or policies_path(name).is_file()]


def cell_results(*stages):
    """Input function: the results of all cells that are computed. A cluster's jobs, which need none, never call it."""

    def results(wildcards):
        return [str(cell.path) for stage in stages for cell in plan.running(stage) if not PARTIAL or cell.available]

    return results


def points_of_sweep(wildcards):
    """The points of a sweep, or in a partial pass those that exist."""
    sweep = study.sweeps.get(wildcards.sweep)
    if sweep is None:
        raise WorkflowError(NOTHING_LIKE_IT)
    return existing(point_path(sweep.name, point) for point in sweep.points)


def reference_results(wildcards):
    gradients = [reference_path(name, sigma) for name in environments() for sigma in study.noise_levels_of(name)]
    return existing([*map(policies_path, environments()), *gradients])


def tried(name):
    """Input function: what `claim_<name>` makes, if the study tries the claim."""

    def results(wildcards):
        if name not in study.claims:
            raise WorkflowError(f"This study does not try the claim {name}: add it to `claims` in its configuration.")
        return [claim_path(name), claim_figure_path(name)]

    return results
