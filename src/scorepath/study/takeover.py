"""The plans of a folder: a run takes up its own, and says whose tables and report it replaces.

Plans lie under their keys, and a run's jobs keep to that of their run (`scorepath.study.cells.STUDY`). So reading
another configuration, in a dry run or in one that Snakemake's lock then refuses, changes nothing that a running study
reads.
"""

from __future__ import annotations

from scorepath.store.paths import PLAN, PLANS, REPORTS, TABLES, plan_path
from scorepath.store.records import config_files, copy_with_record, record_path
from scorepath.study.cells import Plan

KEPT = 10
"""So many plans stay; a run that starts deletes the older ones."""


def take_up(plan: Plan) -> str:
    """Make a plan that of the folder: its run has the lock and starts now.

    Returns:
        Whose results are replaced, in a sentence; "" if none of another study are.
    """
    own = plan_path(plan.key)
    if PLAN.is_file() and PLAN.read_bytes() == own.read_bytes():
        return ""
    replaced = _other_study(plan) if any(TABLES.glob("*.csv")) else ""
    copy_with_record(own, PLAN)
    _forget_old_plans()
    return replaced


def _other_study(plan: Plan) -> str:
    """What is said if the folder's tables are of another configuration file or seed."""
    try:
        old = Plan.load(PLAN)
        earlier, later = config_files(PLAN), config_files(plan_path(plan.key))
    except (OSError, ValueError):
        return ""
    if earlier == later and old.study.seed == plan.study.seed:
        return ""
    names = (
        f"{', '.join(files)} with seed {seed}" for files, seed in ((earlier, old.study.seed), (later, plan.study.seed))
    )
    return f"{TABLES} and {REPORTS} are those of {next(names)}; this run replaces them with those of {next(names)}."


def _forget_old_plans() -> None:
    plans = sorted(PLANS.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in plans[KEPT:]:
        path.unlink(missing_ok=True)
        record_path(path).unlink(missing_ok=True)
