"""The command line: one subcommand per rule, so that every job of the workflow can be run by hand."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path

from scorepath.memory import keep_freed_memory
from scorepath.records import recorded
from scorepath.study import PLAN, Plan

# One thread per job: parallelism comes from jobs. It has to be said before numpy and torch are imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")


def plan(arguments: argparse.Namespace) -> None:
    """Check the configuration and write results/plan.json."""
    from scorepath.planning import make_plan
    from scorepath.validation import load_yaml

    files = [Path(name) for name in ([] if arguments.config == "-" else [arguments.config]) + arguments.files]
    read = [load_yaml(path) for path in files]  # refuses duplicate keys, which Snakemake's own parser lets pass
    made = make_plan(json.load(sys.stdin) if arguments.config == "-" else read[0], files)
    made.save()
    running = {stage: len(made.running(stage)) for stage in ("gradients", "training")}
    print(f"{PLAN}: {running['gradients']} gradient cells and {running['training']} training cells to run")


def catalogue(arguments: argparse.Namespace) -> None:
    """Print the catalogue of estimators and environment families, as docs/catalogue.md has it."""
    from scorepath.catalogue import lines

    print("\n".join(lines()))


def reference_policies(arguments: argparse.Namespace) -> None:
    """Find the checkpoints of an environment."""
    from scorepath.references.store import make_policies

    make_policies(Plan.load().study, arguments.environment)


def reference(arguments: argparse.Namespace) -> None:
    """Compute the reference gradients of an environment at one noise level."""
    from scorepath.references.store import make_reference

    make_reference(Plan.load().study, arguments.environment, arguments.sigma)


def gradients(arguments: argparse.Namespace) -> None:
    """Measure one cell's gradient statistics."""
    from scorepath.gradients import measure_cell

    loaded = Plan.load()
    cell = loaded.cell("gradients", arguments.environment, arguments.estimator, arguments.sigma)
    _require_running(cell.status, cell.reason)
    measure_cell(loaded.study, cell.environment, cell.estimator, cell.sigma)


def train(arguments: argparse.Namespace) -> None:
    """Train one cell's population."""
    from scorepath.training import train_cell

    loaded = Plan.load()
    cell = loaded.cell("training", arguments.environment, arguments.estimator, arguments.sigma)
    _require_running(cell.status, cell.reason)
    train_cell(loaded.study, cell.environment, cell.estimator, cell.sigma)


def costs(arguments: argparse.Namespace) -> None:
    """Time all estimators of an environment."""
    from scorepath.costs import measure_costs

    measure_costs(Plan.load(), arguments.environment)


def exact_curves(arguments: argparse.Namespace) -> None:
    """Write the exact curves that figures draw over measurements."""
    from scorepath.references.curves import make_curves

    make_curves(Plan.load().study)


def tables(arguments: argparse.Namespace) -> None:
    """Gather cells and references into tables."""
    from scorepath.tables import gather

    gather(Plan.load())


def cost_tables(arguments: argparse.Namespace) -> None:
    """Gather timings into the costs and verdicts_compute tables."""
    from scorepath.tables import gather_costs

    gather_costs(Plan.load())


def claims(arguments: argparse.Namespace) -> None:
    """Judge the claims ledger from the tables."""
    from scorepath.claims import write_claims
    from scorepath.registry import make_environment

    study = Plan.load().study
    environments = tuple(
        {"name": name, "family": entry.family, "knobs": asdict(make_environment(entry)[0])}
        for name, entry in study.environments.items()
    )
    write_claims(Path("results/tables"), environments, study.seed)


def figure(arguments: argparse.Namespace) -> None:
    """Draw one figure from the tables."""
    from scorepath.figures import draw_figure

    draw_figure(arguments.name, Path("results/tables"), Path("results/figures") / f"{arguments.name}.svg")


def report(arguments: argparse.Namespace) -> None:
    """Render reports/report.html from tables and figures."""
    from scorepath import provenance
    from scorepath.reporting.report import render_report

    output = Path("reports/report.html")
    render_report(Path("results/tables"), Path("results/figures"), PLAN, output, provenance.collect())


def answer(arguments: argparse.Namespace) -> None:
    """Print the report's path and the answer in a sentence or two."""
    from scorepath.reporting.answer import answer_sentences

    for sentence in answer_sentences(Path("results/tables")):
        print(sentence)
    print(f"The report: {Path('reports/report.html').resolve()}")


def check(arguments: argparse.Namespace) -> None:
    """Check an environment or estimator, a Python file or one of Scorepath's own, and say what is wrong."""
    from scorepath.conformance.command import check_and_report

    check_and_report(arguments.file)


def repair(arguments: argparse.Namespace) -> None:
    """Delete results that are damaged, so that the next run makes them again."""
    from scorepath import records

    for path in records.repair():
        print(f"{path} was damaged and is deleted; the next run makes it again")


def verify(arguments: argparse.Namespace) -> None:
    """Compute a sample of the results again, elsewhere, and compare them byte for byte."""
    import random

    from scorepath.verification import verify

    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    cores = os.cpu_count() or 1 if arguments.cores == "all" else int(arguments.cores)
    verify(1.0 if arguments.all else arguments.fraction, seed, cores)


def trace(arguments: argparse.Namespace) -> None:
    """Print the commands that remake what a row of a table rests on, in their order."""
    from scorepath.tracing import trace

    for line in trace(Plan.load(), Path(arguments.table), arguments.row):
        print(line)


def crate(arguments: argparse.Namespace) -> None:
    """Pack reports/crate.zip: the run with its results and sources, described for machines (RO-Crate)."""
    from scorepath.crate import write_crate

    write_crate(Path("reports/crate.zip"))


def run(arguments: argparse.Namespace) -> None:
    """Run Snakemake with all further arguments beside a warm worker, which spares each job the import of torch."""
    from scorepath import client

    client.run(arguments.snakemake_arguments)


TORCH_JOBS = (reference_policies, reference, gradients, train, costs, exact_curves, check)
"""The subcommands that compute with torch: on one thread."""
NO_JOBS = (answer, check, catalogue, repair, verify, trace)
"""The subcommands that make no result."""


def _require_running(status: str, reason: str) -> None:
    if status != "run":
        raise LookupError(f"this cell is not computed ({status}): {reason}")


@cache
def parser() -> argparse.ArgumentParser:
    """All subcommands and their arguments."""
    top = argparse.ArgumentParser(prog="scorepath", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    def command(function: object, *positional: str) -> argparse.ArgumentParser:
        name = getattr(function, "__name__", "").replace("_", "-")
        sub = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        for argument in positional:
            sub.add_argument(argument, type=float if argument == "sigma" else str)
        sub.set_defaults(run=function)
        return sub

    # the entry point hands `run` on before arguments are parsed, which are Snakemake's; it stands here for --help
    command(run).add_argument("snakemake_arguments", nargs="*")
    planner = command(plan)
    planner.add_argument("config", nargs="?", default="config.yaml", help="a YAML file, or - for JSON on stdin")
    planner.add_argument("files", nargs="*", help="YAML files behind that JSON, to be checked themselves")
    command(reference_policies, "environment")
    command(reference, "environment", "sigma")
    command(gradients, "environment", "estimator", "sigma")
    command(train, "environment", "estimator", "sigma")
    command(costs, "environment")
    for function in (exact_curves, tables, cost_tables, claims, report, crate, answer, catalogue, repair):
        command(function)
    command(figure, "name")
    command(check, "file")
    again = command(verify)
    again.add_argument("--fraction", type=float, default=0.1, help="of each stage's results (default: 0.1)")
    again.add_argument("--all", action="store_true", help="every result")
    again.add_argument("--seed", type=int, help="of the sample; printed, so that the same sample can be taken again")
    again.add_argument("--cores", default="all", help="how many commands run at a time (default: all cores)")
    tracer = command(trace, "table")
    tracer.add_argument("row", type=int, help="1 is the first row under the header")
    return top


def run_here(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand in this process; errors that a person can mend are one sentence, exit status 1."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    parsed = parser().parse_args(given)
    try:
        if parsed.run in TORCH_JOBS:
            import torch

            torch.set_num_threads(1)
            keep_freed_memory()
        with nullcontext() if parsed.run in NO_JOBS else recorded(given):
            parsed.run(parsed)
    except (ValueError, LookupError, OSError) as error:
        if os.environ.get("SCOREPATH_TRACEBACK"):
            traceback.print_exc()
        text = error.args[0] if isinstance(error, LookupError) and error.args else error
        with suppress(OSError):  # the log may lie on the very disk that is full
            print(f"scorepath: {text}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_here())
