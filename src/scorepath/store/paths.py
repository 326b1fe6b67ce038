"""Where everything lies that a study writes: the one place that knows its folders.

Paths are relative to the folder that the study is run in. A pattern has its wildcards in braces.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).parent.parent
"""The sources of this package."""

RESULTS = Path("results")
REPORTS = Path("reports")
RECORDS = RESULTS / "records"
TABLES = RESULTS / "tables"
FIGURES = RESULTS / "figures"

PLAN = RESULTS / "plan.json"
"""That of the latest run, and of whatever is done by hand."""
PLANS = RESULTS / "plans"
"""Plans under their keys: a run and all its jobs keep to one, whatever else happens in the folder."""
POLICIES = "results/references/{environment}/policies.npz"
REFERENCE = "results/references/{environment}/sigma={sigma}.npz"
GRADIENTS = "results/gradients/{environment}/{estimator}/sigma={sigma}.csv"
TRAINING = "results/training/{environment}/{estimator}/sigma={sigma}.csv"
COSTS = "results/costs/{environment}.csv"
CURVES = "results/exact_curves/{environment}.csv"
SIGNALS = "results/signals/{environment}.csv"
LANDSCAPE = "results/landscapes/{environment}/line.csv"
EPISODE = "results/landscapes/{environment}/trajectory.csv"
PROBES = "results/probes/{environment}.csv"
ADVISOR_MODEL = RESULTS / "advisor" / "model.json"
"""What `scorepath.forecast.shipped` would be if it were fitted to this study."""
SWEEP_POINT = "results/sweeps/{sweep}/{point}.csv"
PHASE_DIAGRAM = "results/phase_diagrams/{sweep}/diagram.csv"
SWEEP_CROSSINGS = "results/phase_diagrams/{sweep}/crossings.csv"
SWEEP_FIGURE = "results/figures/sweeps/{sweep}.svg"
CLAIM = "results/claims/{claim}.csv"
CLAIM_FIGURE = "results/figures/claims/{claim}.svg"
TABLE = "results/tables/{table}.csv"
FIGURE = "results/figures/{figure}.svg"
REPORT = REPORTS / "report.html"
CRATE = REPORTS / "crate.zip"

Stage = Literal["gradients", "training"]


def sigma_token(sigma: float) -> str:
    """How a noise level is written in paths and tables: 0.1 -> "0.1", 1.0 -> "1"."""
    return format(float(sigma), "g")


def cell_path(stage: Stage, environment: str, estimator: str, sigma: float) -> Path:
    """Where a cell's result lies."""
    pattern = GRADIENTS if stage == "gradients" else TRAINING
    return Path(pattern.format(environment=environment, estimator=estimator, sigma=sigma_token(sigma)))


@cache
def policies_path(environment: str) -> Path:
    """Reference policies of an environment: parameters and returns at every checkpoint."""
    return Path(POLICIES.format(environment=environment))


@cache
def reference_path(environment: str, sigma: float) -> Path:
    """Reference gradients of an environment at one noise level, at every checkpoint."""
    return Path(REFERENCE.format(environment=environment, sigma=sigma_token(sigma)))


def costs_path(environment: str) -> Path:
    """Where an environment's timings lie."""
    return Path(COSTS.format(environment=environment))


def curves_path(environment: str) -> Path:
    """Where an environment's exact curves lie."""
    return Path(CURVES.format(environment=environment))


def signals_path(environment: str) -> Path:
    """Where the moments of an environment's action signals lie."""
    return Path(SIGNALS.format(environment=environment))


def landscape_path(environment: str) -> Path:
    """Where the return along a line through an environment's checkpoints lies."""
    return Path(LANDSCAPE.format(environment=environment))


def episode_path(environment: str) -> Path:
    """Where a trajectory without noise of an environment's checkpoints lies."""
    return Path(EPISODE.format(environment=environment))


def probes_path(environment: str) -> Path:
    """Where what the advisor sees of an environment lies."""
    return Path(PROBES.format(environment=environment))


def point_path(sweep: str, point: str) -> Path:
    """Where the measurements of one point of a sweep lie."""
    return Path(SWEEP_POINT.format(sweep=sweep, point=point))


def diagram_path(sweep: str) -> Path:
    """Where a sweep's phase diagram lies."""
    return Path(PHASE_DIAGRAM.format(sweep=sweep))


def sweep_crossings_path(sweep: str) -> Path:
    """Where the crossings of a sweep lie."""
    return Path(SWEEP_CROSSINGS.format(sweep=sweep))


def sweep_figure_path(sweep: str) -> Path:
    """Where the drawing of a sweep's phase diagram lies."""
    return Path(SWEEP_FIGURE.format(sweep=sweep))


def claim_path(claim: str) -> Path:
    """Where what a claim's experiment found lies."""
    return Path(CLAIM.format(claim=claim))


def claim_figure_path(claim: str) -> Path:
    """Where the drawing of what a claim's experiment found lies."""
    return Path(CLAIM_FIGURE.format(claim=claim))


def plan_path(key: str) -> Path:
    """Where the plan of this key lies."""
    return PLANS / f"{key}.json"


def table_path(table: str) -> Path:
    """Where a table lies."""
    return Path(TABLE.format(table=table))


def log_path(result: Path) -> Path:
    """The log of the job that makes a result."""
    inner = result.relative_to(RESULTS) if result.is_relative_to(RESULTS) else Path(result.name)
    return RESULTS / "logs" / inner.with_suffix(".log")


def stage_of(result: Path) -> str:
    """What a result belongs to, by its folder: plans, references, gradients, training, costs, tables, figures, ..."""
    if result == PLAN:
        return PLANS.name
    return result.parts[1] if result.is_relative_to(RESULTS) else result.parts[0]
