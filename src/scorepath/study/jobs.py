"""What a job is: one table of the pipeline's rules, and from it every job of a study.

A rule's name is that of the Snakemake rule, of the module in `scorepath.stages` and of the function in it; with dashes
it is the subcommand. Snakemake, the command line, the digests, the worker and whatever traces, verifies or accounts for
results look here for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from scorepath.store.paths import (
    ADVISOR_MODEL,
    CLAIM,
    CLAIM_FIGURE,
    COSTS,
    CRATE,
    CURVES,
    EPISODE,
    FIGURE,
    GRADIENTS,
    LANDSCAPE,
    PHASE_DIAGRAM,
    PLAN,
    POLICIES,
    PROBES,
    REFERENCE,
    REPORT,
    SIGNALS,
    SWEEP_CROSSINGS,
    SWEEP_FIGURE,
    SWEEP_POINT,
    TABLES,
    TRAINING,
    Stage,
    claim_path,
    curves_path,
    diagram_path,
    landscape_path,
    log_path,
    point_path,
    policies_path,
    probes_path,
    reference_path,
    sigma_token,
    signals_path,
    stage_of,
    table_path,
)
from scorepath.study.cells import Cell, Plan
from scorepath.study.sweeps import Sweep


@dataclass(frozen=True)
class Rule:
    """One rule of the pipeline; all its jobs differ in their wildcards only."""

    name: str
    summary: str
    """What a job does, in a sentence."""
    results: tuple[str, ...]
    """What a job writes; wildcards in braces, which are the subcommand's arguments, in that order."""
    reads: tuple[str, ...] = ()
    """What it reads, where that follows from the wildcards; gathers read whatever the study has."""
    sources: tuple[str, ...] = ()
    """What its digest starts from, beside its stage's module: `environment` or `estimator` for the files of the job's
    own, `environments` or `estimators` for all of the study's, `sweep` for its family and its methods, `claim` for its
    experiment, or a package of whose every file the result is made."""
    torch: bool = False
    """Whether it computes with torch: on one thread."""
    numerical: bool = False
    """Whether its time counts as numerical work; drawing, writing and packing do not."""
    many: bool = False
    """Whether its jobs come in hundreds and leave nothing behind but their results: a process may run many of them."""

    @property
    def makes_instances(self) -> bool:
        """Whether its jobs make environments or estimators: they import the study's plugins first."""
        return not {"environment", "environments", "estimator", "estimators", "sweep"}.isdisjoint(self.sources)

    @property
    def command(self) -> str:
        """The subcommand of `scorepath`."""
        return self.name.replace("_", "-")

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The names of the subcommand's arguments."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.results[0]) if name)

    @property
    def log(self) -> str:
        """The log of a job, beside those of the same kind; a job of several results has one by the rule's name."""
        result = Path(self.results[0])
        return str(log_path(result if len(self.results) == 1 else result.with_name(self.name)))

    @property
    def shell(self) -> str:
        """The shell command of a job as Snakemake formats it."""
        arguments = [f"{{wildcards.{name}}}" for name in self.wildcards]
        return " ".join(["scorepath", self.command, *arguments, "--digest {params.digest} > {log} 2>&1"])

    def by_hand(self, **wildcards: str) -> str:
        """The command that repeats one job."""
        return " ".join(["scorepath", self.command, *(wildcards[name] for name in self.wildcards)])


def _tables(*names: str) -> tuple[str, ...]:
    return tuple(str(table_path(name)) for name in names)


RULES = {
    rule.name: rule
    for rule in (
        Rule("plan", "Check the configuration and settle every cell's fate.", (str(PLAN),)),
        Rule(
            "reference_policies",
            "Find the checkpoints of an environment.",
            (POLICIES,),
            sources=("environment",), torch=True, numerical=True,
        ),
        Rule(
            "reference",
            "Compute the reference gradients of an environment at one noise level.",
            (REFERENCE,),
            reads=(POLICIES,), sources=("environment",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "gradients",
            "Measure one cell's gradient statistics.",
            (GRADIENTS,),
            reads=(POLICIES, REFERENCE), sources=("environment", "estimator"), torch=True, numerical=True, many=True,
        ),
        Rule(
            "train",
            "Train one cell's population.",
            (TRAINING,),
            sources=("environment", "estimator"), torch=True, numerical=True, many=True,
        ),
        Rule(
            "costs",
            "Time all estimators of an environment.",
            (COSTS,),
            reads=(POLICIES,), sources=("environment", "estimators"), torch=True, numerical=True,
        ),
        Rule(
            "exact_curves",
            "Compute the exact curves that figures draw over an environment's measurements.",
            (CURVES,),
            reads=(POLICIES,), sources=("environment",), torch=True, numerical=True,
        ),
        Rule(
            "signals",
            "Measure how rough the return is under the action noise, and how action signals grow.",
            (SIGNALS,),
            reads=(POLICIES,), sources=("environment",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "probes",
            "Probe an environment as the advisor does.",
            (PROBES,),
            reads=(POLICIES,), sources=("environment",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "landscapes",
            "Follow the return along a line through each checkpoint, and one trajectory without noise.",
            (LANDSCAPE, EPISODE),
            reads=(POLICIES,), sources=("environment",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "landscape_tables",
            "Gather all lines and trajectories into the landscapes and trajectories tables.",
            _tables("landscapes", "trajectories"),
            numerical=True,
        ),
        Rule(
            "tables",
            "Gather cells and references into tables.",
            _tables(
                "cells", "references", "gradient_statistics", "training", "verdicts", "wins", "regrets", "exact_curves"
            ),
            numerical=True,
        ),
        Rule(
            "cost_tables",
            "Gather timings into the costs and verdicts_compute tables.",
            _tables("costs", "verdicts_compute"),
            numerical=True,
        ),
        Rule(
            "mechanisms",
            "Name what decides each comparison, from the tables and the signals.",
            _tables("signals", "mechanisms", "roughness"),
            reads=_tables("gradient_statistics", "references", "verdicts", "costs", "verdicts_compute"), numerical=True,
        ),
        Rule(
            "advisor",
            "Fit the advisor's model to the probes and the verdicts, and score it beside simpler rules.",
            (*_tables("probes", "advisor"), str(ADVISOR_MODEL)),
            reads=_tables("verdicts"), numerical=True,
        ),
        Rule(
            "sweep_point",
            "Measure one point of a sweep.",
            (SWEEP_POINT,),
            sources=("sweep",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "sweep",
            "Gather a sweep's points into its phase diagram, with the exact one and all crossings.",
            (PHASE_DIAGRAM, SWEEP_CROSSINGS),
            sources=("sweep",), torch=True, numerical=True,
        ),
        Rule(
            "sweep_tables",
            "Gather all sweeps into the phase_diagrams and crossings tables.",
            _tables("phase_diagrams", "crossings"),
            numerical=True,
        ),
        Rule(
            "claim",
            "Try one claim of the ledger.",
            (CLAIM,),
            sources=("claim",), torch=True, numerical=True, many=True,
        ),
        Rule(
            "claims",
            "Judge the claims ledger from the tables.",
            _tables("claims"),
            reads=_tables("gradient_statistics", "references", "training", "regrets"), sources=("environments",),
            numerical=True,
        ),
        Rule(
            "questions",
            "Compute the numbers behind the student's questions.",
            _tables("student_limit", "student_theorem", "student_numbers", "student_figure"),
            torch=True, numerical=True,
        ),
        Rule("figure", "Draw one figure from the tables.", (FIGURE,), sources=("scorepath.figures",)),
        Rule(
            "claim_figure",
            "Draw what a claim's experiment found.",
            (CLAIM_FIGURE,),
            reads=(CLAIM,), sources=("scorepath.figures",),
        ),
        Rule(
            "phase_diagram",
            "Draw a sweep's phase diagram from the tables.",
            (SWEEP_FIGURE,),
            reads=_tables("phase_diagrams", "crossings"), sources=("scorepath.figures",),
        ),
        Rule("report", "Render the report from tables and figures.", (str(REPORT),), sources=("scorepath.reporting",)),
        Rule("crate", "Pack the run with its results and sources, described for machines (RO-Crate).", (str(CRATE),)),
    )
}  # fmt: skip
"""Every rule by its name, each after those whose results it reads."""

RULE_OF_TABLE = {
    Path(table).stem: rule for rule in RULES.values() for table in rule.results if stage_of(Path(table)) == TABLES.name
}
"""The rule that writes each table."""


@dataclass(frozen=True)
class Job:
    """One job that computes a reference or a cell."""

    rule: Rule
    result: Path
    command: str
    """Repeats it by hand."""
    inputs: tuple[Path, ...]
    """The results that it reads, beside the plan."""
    environment: str
    estimator: str = ""


def policies_job(environment: str) -> Job:
    """The job that finds the checkpoints of an environment."""
    rule = RULES["reference_policies"]
    return Job(rule, policies_path(environment), rule.by_hand(environment=environment), (), environment)


def reference_job(environment: str, sigma: float) -> Job:
    """The job that computes the reference gradients of an environment at one noise level."""
    rule, inputs = RULES["reference"], (policies_path(environment),)
    command = rule.by_hand(environment=environment, sigma=sigma_token(sigma))
    return Job(rule, reference_path(environment, sigma), command, inputs, environment)


def curves_job(environment: str) -> Job:
    """The job that computes the exact curves of an environment."""
    rule, inputs = RULES["exact_curves"], (policies_path(environment),)
    return Job(rule, curves_path(environment), rule.by_hand(environment=environment), inputs, environment)


def signals_job(environment: str) -> Job:
    """The job that measures the action signals of an environment."""
    rule, inputs = RULES["signals"], (policies_path(environment),)
    return Job(rule, signals_path(environment), rule.by_hand(environment=environment), inputs, environment)


def probes_job(environment: str) -> Job:
    """The job that probes an environment."""
    rule, inputs = RULES["probes"], (policies_path(environment),)
    return Job(rule, probes_path(environment), rule.by_hand(environment=environment), inputs, environment)


def landscapes_job(environment: str, along: float) -> Job:
    """The job that follows the return along the reference gradient at this noise level."""
    rule, inputs = RULES["landscapes"], (policies_path(environment), reference_path(environment, along))
    return Job(rule, landscape_path(environment), rule.by_hand(environment=environment), inputs, environment)


def point_job(sweep: str, point: str) -> Job:
    """The job that measures one point of a sweep."""
    rule = RULES["sweep_point"]
    return Job(rule, point_path(sweep, point), rule.by_hand(sweep=sweep, point=point), (), sweep)


def sweep_job(sweep: Sweep) -> Job:
    """The job that gathers a sweep's points."""
    rule, inputs = RULES["sweep"], tuple(point_path(sweep.name, point) for point in sweep.points)
    return Job(rule, diagram_path(sweep.name), rule.by_hand(sweep=sweep.name), inputs, sweep.name)


def claim_job(claim: str) -> Job:
    """The job that tries a claim."""
    rule = RULES["claim"]
    return Job(rule, claim_path(claim), rule.by_hand(claim=claim), (), claim)


def rule_of_stage(stage: Stage) -> Rule:
    """The rule that computes the cells of a stage."""
    return RULES["gradients" if stage == "gradients" else "train"]


def cell_job(cell: Cell) -> Job:
    """The job of a cell that is computed."""
    rule = rule_of_stage(cell.stage)
    command = rule.by_hand(environment=cell.environment, estimator=cell.estimator, sigma=sigma_token(cell.sigma))
    return Job(rule, cell.path, command, cell.inputs, cell.environment, cell.estimator)


FOLDERS = frozenset(
    stage_of(Path(RULES[name].results[0]))
    for name in (
        "reference_policies",
        "reference",
        "exact_curves",
        "signals",
        "probes",
        "landscapes",
        "gradients",
        "train",
        "sweep_point",
        "sweep",
        "claim",
    )
)
"""Where the results of `all_jobs` lie."""


def all_jobs(plan: Plan) -> Iterator[Job]:
    """The jobs of references and cells, each after those that it needs."""
    study = plan.study
    for name in study.environments:
        yield policies_job(name)
    for name in study.environments:
        for sigma in study.noise_levels_of(name):
            yield reference_job(name, sigma)
        yield curves_job(name)
        yield signals_job(name)
        yield probes_job(name)
        yield landscapes_job(name, study.landscape_level(name))
    for cell in plan.cells:
        if cell.status == "run":
            yield cell_job(cell)
    for sweep in study.sweeps.values():
        for point in sweep.points:
            yield point_job(sweep.name, point)
        yield sweep_job(sweep)
    yield from map(claim_job, study.claims)


def is_numerical(stage: str) -> bool:
    """Whether the time behind the results in a folder (`scorepath.store.paths.stage_of`) is numerical work."""
    return any(rule.numerical for rule in RULES.values() if stage_of(Path(rule.results[0])) == stage)
