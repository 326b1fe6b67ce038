"""What the pipeline costs: the same cells by `snakemake` and by one joblib process pool.

    python benchmarks/run.py pipeline [--config config.yaml] [--cores 2] [--repeats 3] [--quick]

Both make policies, references, gradients and training cells of a study, each time in a fresh folder, and take turns, so
that what disturbs the machine disturbs both. The pool calls the functions that the jobs call, in the order of their
dependencies, and does nothing else: it keeps no logs, exit codes or records, and nothing goes on after an interruption.
Compared are the seconds from the first job's start to the last job's end, which leave the imports of both out; the
whole command's are given beside them. In the end both must have made the same bytes. joblib has to be installed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.scale import copy_code

from scorepath.store.records import record_path
from scorepath.study.cells import Plan
from scorepath.study.jobs import Job, all_jobs

RESULTS = ("references/**/*.npz", "gradients/**/*.csv", "training/**/*.csv")
RUNNERS = ("snakemake", "joblib")
TARGET = 1.1
"""Scorepath's seconds over joblib's, at most."""


@dataclass(frozen=True)
class Turn:
    """One runner's work on all cells."""

    config: str
    cores: int
    repeat: int
    runner: str
    jobs: int
    cells_seconds: float
    """From the first job's start to the last job's end."""
    command_seconds: float
    """Of the whole command, imports included; the study is planned before."""


def new_project(folder: Path, config: Path) -> None:
    """The checkout's code beside a configuration and its plan."""
    copy_code(folder)
    shutil.copy2(config, folder / "config.yaml")
    execute(folder, sys.executable, "-m", "scorepath", "plan")


def execute(folder: Path, *command: str) -> tuple[str, float]:
    """Run a command on the project's own code; what it printed, and its seconds.

    Raises:
        SystemExit: with its output, if it fails.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCOREPATH")}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder / "src"), str(ROOT)])
    began = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if ended.returncode:
        sys.exit(f"{' '.join(command)[:300]} failed:\n{(ended.stdout + ended.stderr)[-3000:]}")
    return ended.stdout, seconds


def measure(folder: Path, runner: str, cores: int) -> tuple[list[tuple[float, float]], float]:
    """Let one runner make all cells: start and end of each job (seconds since the epoch), and the command's seconds."""
    if runner == "joblib":
        command = (sys.executable, "-m", "benchmarks.pipeline", "--pool", "--cores", str(cores))
        printed, seconds = execute(folder, *command)
        return json.loads(printed), seconds
    jobs = list(all_jobs(Plan.load(folder / "results" / "plan.json")))
    results = [str(job.result) for job in jobs]
    run = (sys.executable, "-m", "snakemake", "--cores", str(cores))
    _, seconds = execute(folder, *run, *results)
    return [recorded_span(folder, job) for job in jobs], seconds


def recorded_span(folder: Path, job: Job) -> tuple[float, float]:
    """Start and end of a job by its record, in seconds since the epoch."""
    record = json.loads((folder / record_path(job.result)).read_text(encoding="utf-8"))
    started, ended = (datetime.fromisoformat(record[moment]).timestamp() for moment in ("started", "ended"))
    return started, ended


# --- the pool ---------------------------------------------------------------------------------------------------------


def compute(plan: Plan, job: Job) -> tuple[float, float]:
    """Make one result in a process of the pool; start and end, in seconds since the epoch."""
    import torch

    from scorepath.memory import keep_freed_memory
    from scorepath.training import warm_up

    torch.set_num_threads(1)
    keep_freed_memory()
    warm_up()  # as the worker does before its first job; after the first time it costs next to nothing
    stage = getattr(import_module(f"scorepath.stages.{job.rule.name}"), job.rule.name)
    given: dict[str, Any] = dict(zip(job.rule.wildcards, shlex.split(job.command)[2:], strict=True))
    if "sigma" in given:
        given["sigma"] = float(given["sigma"])
    began = time.time()
    stage(plan, **given)
    return began, time.time()


def run_pool(cores: int) -> list[tuple[float, float]]:
    """Make all cells of the study in this folder: policies, then references, then cells, the long ones first."""
    from joblib import Parallel, delayed, parallel_config

    plan = Plan.load()
    rules: dict[str, list[Job]] = {}
    for job in all_jobs(plan):
        rules.setdefault(job.rule.name, []).append(job)
    cells = rules.get("train", []) + rules["gradients"]
    spans: list[tuple[float, float]] = []
    with parallel_config(backend="loky", n_jobs=cores, inner_max_num_threads=1), Parallel() as pool:
        for jobs in (rules["reference_policies"], rules["reference"], cells):
            spans += pool(delayed(compute)(plan, job) for job in jobs)
    return spans


# --- the comparison ---------------------------------------------------------------------------------------------------


def require_same(one: Path, other: Path) -> None:
    """Both projects must hold the same results, or they were not doing the same work.

    Raises:
        SystemExit: naming the results that differ.
    """
    ours, theirs = (
        {path.relative_to(folder): path.read_bytes() for kind in RESULTS for path in folder.glob(f"results/{kind}")}
        for folder in (one, other)
    )
    differing = sorted(str(name) for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if differing or not ours:
        sys.exit(f"the two have not made the same {len(ours)} results: {', '.join(differing[:5]) or 'there are none'}")


def take_turns(config: Path, cores: int, repeats: int) -> Iterable[Turn]:
    """Every runner once in each repeat, in changing order."""
    with tempfile.TemporaryDirectory(prefix="scorepath-pipeline-") as base:
        new_project(planned := Path(base, "planned"), config)
        for repeat in range(repeats):
            folders = {runner: Path(base, runner) for runner in RUNNERS}
            for runner in RUNNERS if repeat % 2 == 0 else RUNNERS[::-1]:
                shutil.copytree(planned, folders[runner])
                spans, seconds = measure(folders[runner], runner, cores)
                lasted = max(end for _, end in spans) - min(start for start, _ in spans)
                yield Turn(config.name, cores, repeat, runner, len(spans), round(lasted, 3), round(seconds, 3))
            require_same(*folders.values())
            for folder in folders.values():
                shutil.rmtree(folder)


def summary(turns: list[Turn]) -> str:
    """Medians and ranges over the repeats, the ratio of the turns of each repeat, and whether the target is met."""
    lines = [f"{turns[0].jobs} jobs of {turns[0].config} on {turns[0].cores} cores; median [smallest, largest] seconds"]
    ratios = {}
    for what in ("cells_seconds", "command_seconds"):
        seconds = {runner: [getattr(turn, what) for turn in turns if turn.runner == runner] for runner in RUNNERS}
        ratios[what] = [ours / theirs for ours, theirs in zip(*seconds.values(), strict=True)]
        parts = [f"{runner} {spread(values)}" for runner, values in seconds.items()]
        lines.append(f"{what.removesuffix('_seconds'):8} {', '.join(parts)}; ratio {spread(ratios[what], 3)}")
    ratio = statistics.median(ratios["cells_seconds"])
    verdict = "met" if ratio <= TARGET else "missed"
    lines.append(f"The cells' seconds are to be at most {TARGET} times joblib's: {verdict} ({ratio:.3f})")
    return "\n".join(lines)


def spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "config" / "tiny.yaml", help="the study")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one repeat")
    parser.add_argument("--csv", type=Path, default=ROOT / "results" / "benchmarks" / "pipeline.csv")
    parser.add_argument("--pool", action="store_true", help=argparse.SUPPRESS)  # the joblib turn itself
    given = parser.parse_args(arguments)
    if given.pool:
        print(json.dumps(run_pool(given.cores)))
        return
    turns = []
    for turn in take_turns(given.config, given.cores, 1 if given.quick else given.repeats):
        print(f"{turn.runner:10} cells {turn.cells_seconds:8.1f} s, command {turn.command_seconds:8.1f} s", flush=True)
        turns.append(turn)
    given.csv.parent.mkdir(parents=True, exist_ok=True)
    with given.csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Turn)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, turns))
    print(summary(turns))


if __name__ == "__main__":
    main(sys.argv[1:])
