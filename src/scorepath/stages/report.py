"""The report: the answer, the evidence, every cell, and how they were made, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scorepath.provenance import origin
from scorepath.reporting.page import render_report
from scorepath.store.paths import FIGURES, PLAN, REPORT, TABLES
from scorepath.store.records import config_files
from scorepath.store.tables import Tables

if TYPE_CHECKING:
    from scorepath.study.cells import Plan


def report(plan: Plan) -> None:
    """Render the report from tables and figures."""
    configuration = f"{', '.join(config_files(PLAN))}, seed {plan.study.seed}"
    provenance = {"Configuration": configuration} | origin.collect()
    render_report(Tables(TABLES, plan.methods, plan.originals), FIGURES, plan, REPORT, provenance)
