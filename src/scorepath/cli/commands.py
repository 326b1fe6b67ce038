"""The command line: one subcommand per rule, so that every job of the workflow can be run by hand, and a few others."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from scorepath.memory import keep_freed_memory
from scorepath.store.paths import PLAN, REPORT, TABLES
from scorepath.store.records import recorded
from scorepath.study.cells import Plan
from scorepath.study.jobs import RULES, Rule

# One thread per job: parallelism comes from jobs. It has to be said before numpy, torch and JAX are imported.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PJRT_NPROC"):
    os.environ.setdefault(_variable, "1")


def stage(rule: Rule, arguments: argparse.Namespace) -> None:
    """Run the function that `scorepath.stages` has for a rule.

    Raises:
        ValueError: if the job was asked for by a run whose plan is another one.
    """
    wildcards = {name: getattr(arguments, name) for name in rule.wildcards}
    loaded = Plan.load()
    if arguments.digest and arguments.digest != loaded.digest(rule.name, wildcards):
        raise ValueError(
            f"this job belongs to another study than the plan {loaded.key}: its configuration or the sources have "
            "changed since it was asked for; run the same command again"
        )
    if rule.makes_instances and loaded.study.plugins:
        from scorepath.registry import load_plugins
        from scorepath.study.digests import require_planned_plugins

        load_plugins(loaded.study.plugins)
        require_planned_plugins(loaded)
    function = getattr(import_module(f"scorepath.stages.{rule.name}"), rule.name)
    function(loaded, **wildcards)


def plan(arguments: argparse.Namespace) -> None:
    """Check the configuration and write results/plan.json."""
    from scorepath.stages.plan import plan
    from scorepath.study.yaml import load_yaml

    files = [Path(name) for name in ([] if arguments.config == "-" else [arguments.config]) + arguments.files]
    read = [load_yaml(path) for path in files]  # refuses duplicate keys, which Snakemake's own parser lets pass
    made = plan(_from_stdin() if arguments.config == "-" else read[0], files)
    if not arguments.for_run:
        made.save(PLAN)
    running = {stage: len(made.running(stage)) for stage in ("gradients", "training")}
    print(f"{PLAN}: {running['gradients']} gradient cells and {running['training']} training cells to run")


def _from_stdin() -> dict[str, object]:
    """The configuration that stands on standard input.

    Raises:
        ValueError: if that is no JSON.
    """
    try:
        found: dict[str, object] = json.load(sys.stdin)
    except ValueError as error:
        raise ValueError(f"what stands on standard input is not valid JSON: {error}") from error
    return found


def catalogue(arguments: argparse.Namespace) -> None:
    """Print the catalogue of estimators and environment families, as docs/catalogue.md has it."""
    from scorepath.cli.catalogue import lines

    print("\n".join(lines()))


def answer(arguments: argparse.Namespace) -> None:
    """Print the answer in a sentence or two, and the report's path."""
    from scorepath.reporting.answer import answer_sentences
    from scorepath.reporting.page import fingerprint_of
    from scorepath.store.tables import Tables

    planned = Plan.load() if PLAN.is_file() else None
    tables = Tables(TABLES, planned.methods, planned.originals) if planned else Tables(TABLES)
    for sentence in answer_sentences(tables):
        print(sentence)
    if not REPORT.is_file():
        print(f"There is no report yet: `snakemake --cores all` writes {REPORT}.")
    elif planned and fingerprint_of(REPORT) != planned.fingerprint:
        print(f"{REPORT} is of another plan than {PLAN}; `snakemake --cores all` brings it up to date.")
    else:
        print(f"The report: {REPORT.resolve()}")


def check(arguments: argparse.Namespace) -> None:
    """Check an environment or estimator, a Python file or one of Scorepath's own, and say what is wrong."""
    from scorepath.cli.check import check_and_report

    check_and_report(arguments.file, arguments.knobs)


def advise(arguments: argparse.Namespace) -> None:
    """Say before training whether gradients through a simulator are worth it, and how sure that is."""
    from scorepath.cli.advise import advise_and_report

    advise_and_report(
        arguments.simulator,
        [*arguments.knobs, *arguments.given],
        config=arguments.config,
        policy=arguments.policy,
        noise_levels=arguments.noise_levels,
        horizon=arguments.horizon,
        budget=arguments.budget,
        html=arguments.html,
        as_json=arguments.json,
    )


def repair(arguments: argparse.Namespace) -> None:
    """Delete results that are damaged, so that the next run makes them again."""
    from scorepath.store import records

    for path in records.repair():
        print(f"{path} was damaged and is deleted; the next run makes it again")


def verify(arguments: argparse.Namespace) -> None:
    """Compute a sample of the results again, elsewhere, and compare them byte for byte."""
    import random

    from scorepath.provenance.verify import verify

    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    verify(1.0 if arguments.all else arguments.fraction, seed, arguments.cores)


def cores(text: str) -> int:
    """A number of cores, or all of this machine's."""
    return os.cpu_count() or 1 if text == "all" else int(text)


def trace(arguments: argparse.Namespace) -> None:
    """Print the commands that remake what a row of a table rests on, in their order."""
    from scorepath.provenance.trace import trace

    for line in trace(Plan.load(), Path(arguments.table), arguments.row):
        print(line)


KNOB = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
RUN = "The same as `snakemake`, which takes all further arguments: `snakemake --help` lists them."


@cache
def parser() -> argparse.ArgumentParser:
    """All subcommands and their arguments."""
    top = argparse.ArgumentParser(prog="scorepath", description=__doc__)
    top.add_argument("--version", action="version", version=f"scorepath {version('scorepath')}")
    commands = top.add_subparsers(required=True, metavar="command")

    def command(
        name: str, help: str | None, function: Callable[[argparse.Namespace], None], torch: bool, makes: bool
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help)
        sub.set_defaults(run=function, torch=torch, makes=makes)
        return sub

    def other(
        function: Callable[[argparse.Namespace], None], torch: bool = False, makes: bool = False
    ) -> argparse.ArgumentParser:
        return command(function.__name__, function.__doc__, function, torch, makes)

    # the entry point takes `run` before arguments are parsed, which are Snakemake's; it stands here for --help
    commands.add_parser("run", help=RUN, description=RUN, usage="scorepath run [Snakemake's arguments]")
    planner = other(plan, makes=True)
    planner.add_argument("config", nargs="?", default="config.yaml", help="a YAML file, or - for JSON on stdin")
    planner.add_argument("files", nargs="*", help="YAML files behind that JSON, to be checked themselves")
    planner.add_argument("--for-run", action="store_true", help="leave it to a run to take the plan up when it starts")
    for rule in RULES.values():
        if rule.name == plan.__name__:
            continue
        job = command(rule.command, rule.summary, partial(stage, rule), rule.torch, makes=True)
        for name in rule.wildcards:
            job.add_argument(name, type=float if name == "sigma" else str)
        job.add_argument("--digest", help="refuse a plan that does not hold the job with this digest")
    for function in (answer, catalogue, repair):
        other(function)
    checker = other(check, torch=True)
    checker.add_argument("file", help="a Python file, the name of a family or method, or a MuJoCo model (.xml)")
    checker.add_argument("knobs", nargs="*", metavar="knob=value", help="check the one instance with these knobs")
    adviser = other(advise, torch=True)
    adviser.add_argument("simulator", help="a Python file, a family, a MuJoCo model (.xml), or an entry of --config")
    adviser.add_argument("knobs", nargs="*", metavar="knob=value", help="of the family or the file")
    adviser.add_argument("--knob", action="append", default=[], dest="given", help=argparse.SUPPRESS)
    adviser.add_argument("--config", default="config.yaml", help="whose entries may be named (default: config.yaml)")
    adviser.add_argument("--policy", help="open_loop, linear or mlp (default: the environment's own)")
    adviser.add_argument("--noise-levels", nargs="+", type=float, metavar="sigma", help="default: 0.03 0.1 0.3")
    adviser.add_argument("--horizon", type=int, help="number of decisions")
    adviser.add_argument("--budget", type=float, default=60.0, help="seconds (default: 60); never more than twice that")
    adviser.add_argument("--html", metavar="file", help="write it as a page, too")
    adviser.add_argument("--json", metavar="file", help="write it as JSON, too")
    again = other(verify)
    again.add_argument("--fraction", type=float, default=0.1, help="of each stage's results (default: 0.1)")
    again.add_argument("--all", action="store_true", help="every result")
    again.add_argument("--seed", type=int, help="of the sample; printed, so that the same sample can be taken again")
    again.add_argument(
        "--cores", type=cores, default="all", help="how many commands run at a time (default: all cores)"
    )
    tracer = other(trace)
    tracer.add_argument("table")
    tracer.add_argument("row", type=int, help="1 is the first row under the header")
    return top


def by_hand(arguments: Sequence[str]) -> list[str]:
    """A subcommand's arguments without those by which a run asks for it."""
    kept = [argument for argument in arguments if argument != "--for-run"]
    if "--digest" in kept:
        position = kept.index("--digest")
        del kept[position : position + 2]
    return kept


def with_knobs_anywhere(arguments: Sequence[str]) -> list[str]:
    """Arguments in which `advise` takes each `knob=value` as an option: argparse wants them right behind the simulator.

    What follows an option that has a single value is that value.
    """
    if list(arguments[:1]) != ["advise"]:
        return list(arguments)
    found: list[str] = []
    for before, text in pairwise(["", *arguments]):
        is_value = before.startswith("--") and "=" not in before and before != "--noise-levels"
        found.append(f"--knob={text}" if KNOB.fullmatch(text) and not is_value else text)
    return found


def run_here(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand in this process and return its exit status.

    An error ends in one sentence that says whose it is; above that, if nobody has foreseen it, stands its traceback.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    parsed = parser().parse_args(with_knobs_anywhere(given))
    try:
        if parsed.torch:
            import torch

            torch.set_num_threads(1)
            keep_freed_memory()
        with recorded(by_hand(given)) if parsed.makes else nullcontext():
            parsed.run(parsed)
    except Exception as error:
        from scorepath.cli.faults import explain

        said = explain(error)
        with suppress(OSError):  # the log may lie on the very disk that is full
            sys.stdout.flush()
            enough = said.foreseen or (said.of_plugin and not parsed.makes)  # a job's log holds all of it
            if os.environ.get("SCOREPATH_TRACEBACK") or not enough:
                traceback.print_exc()
            print(f"scorepath: {said.sentence}", file=sys.stderr)
        return said.status
    return 0
