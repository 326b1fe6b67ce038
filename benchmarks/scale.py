"""What Snakemake costs at scale: a generated study, its real Snakefile, and jobs that only create their results.

    python -m benchmarks.scale --cells 20000 [--csv costs.csv] [--gathers finished/]

The study is config.yaml with its environments repeated under new names until there are enough cells. Core-seconds and
peak memory are those of the command itself and the processes that it waited for; on a busy machine they tell more than
the wall time does. All jobs are really run, but they create empty files: what is finished is so by Snakemake's own
metadata. (`snakemake --touch` would do as well, but rests for a tenth of a second in every job.) With `--gathers` only
the jobs that read every cell are measured, on the real results of a finished default study, copied under the new names.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml
from benchmarks.common import ROOT

from scorepath.study.cells import Plan
from scorepath.study.jobs import RULES

CODE = ("Snakefile", "workflow", "src", "profiles")


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    what: str
    wall_seconds: float
    core_seconds: float
    peak_memory_mb: int


def repeated_study(copies: int) -> dict[str, object]:
    """The default configuration with every environment `copies` times, trained where the original is."""
    config: dict[str, object] = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    environments, training = config["environments"], config["training"]
    assert isinstance(environments, list)
    assert isinstance(training, dict)
    names = [f"{{}}_{copy}" for copy in range(copies)]
    config["environments"] = [{**entry, "name": name.format(entry["name"])} for name in names for entry in environments]
    trained = [name.format(entry) for name in names for entry in training["environments"]]
    config["training"] = {**training, "environments": trained}
    return config


def instant_jobs() -> str:
    """A command `scorepath` that creates what each rule's command would.

    `mkdir` stands for the work of a real job that is not Snakemake's.
    """
    cases = []
    for rule in RULES.values():
        words = {name: f"${number}" for number, name in enumerate(rule.wildcards, 2)}
        results = " ".join(f'"{result.format(**words)}"' for result in rule.results)
        cases.append(f"    {rule.command}) made {results} ;;")
    made = 'made() { for path do mkdir -p "${path%/*}" && : > "$path"; done; }'
    return "\n".join(["#!/bin/sh", made, "case $1 in", *cases, "esac", ""])


def copy_code(folder: Path) -> None:
    """The checkout's code in a new folder."""
    folder.mkdir(parents=True)
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(ROOT / name, folder / name)


def new_project(folder: Path, copies: int) -> None:
    """The checkout's code beside a repeated study."""
    copy_code(folder)
    (folder / "config.yaml").write_text(yaml.safe_dump(repeated_study(copies), sort_keys=False), encoding="utf-8")
    command = folder / "instant" / "scorepath"
    command.parent.mkdir()
    command.write_text(instant_jobs(), encoding="utf-8")
    command.chmod(0o755)


def measure(folder: Path, what: str, *command: str) -> Cost:
    """Run a command in a project.

    Raises:
        SystemExit: with its output, if it fails.
    """
    path = os.pathsep.join([str(folder / "instant"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "src")}
    environment.pop("SCOREPATH_WORKER", None)
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, use = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{what} failed:\n{output.read()[-3000:]}")
    return Cost(what, round(wall, 2), round(use.ru_utime + use.ru_stime, 2), use.ru_maxrss >> 10)


def snakemake(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "snakemake", *arguments)


def remote_job(plan: Plan) -> tuple[str, ...]:
    """The command that a cluster executor submits for one cell, in what matters here."""
    cell = plan.running("training")[-1]
    token = cell.path.stem.removeprefix("sigma=")
    target = f"train:environment={cell.environment},estimator={cell.estimator},sigma={token}"
    return snakemake(
        *("--target-jobs", target, "--allowed-rules", "train", "--cores", "1", "--force", "--nolock"),
        *("--force-use-threads", "--target-files-omit-workdir-adjustment", "--max-inventory-time", "0"),
        *("--ignore-incomplete", "--no-hooks", "--mode", "remote"),
    )


def costs(folder: Path) -> Iterator[Cost]:
    """Everything that is measured on a new project, one after the other."""
    yield measure(folder, "plan (scorepath plan)", sys.executable, "-m", "scorepath", "plan")
    plan = Plan.load(folder / "results" / "plan.json")
    yield measure(folder, "DAG from nothing (--rulegraph)", *snakemake("--rulegraph"))
    yield measure(folder, "dry run from nothing (-n)", *snakemake("--dry-run", "--quiet", "all"))
    yield measure(folder, "one cell's job on a cluster", *remote_job(plan))
    past_the_worker = "--executor", "local"  # it would do the jobs' work
    yield measure(folder, "instant jobs on 4 cores", *snakemake("--cores", "4", *past_the_worker, "--quiet", "all"))
    yield measure(folder, "nothing to do (--cores 1)", *snakemake("--cores", "1"))


def copy_results(finished: Path, folder: Path) -> None:
    """The results of a finished study, and their records, for each of the environments that stand for its own."""
    for entry in yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["environments"]:
        for policy in ("", *(f"_{number}" for number in range(2, entry.get("policies", 1) + 1))):
            name, original = entry["name"] + policy, entry["name"].rpartition("_")[0] + policy
            for path in [*finished.rglob(f"results/**/{original}"), *finished.rglob(f"results/**/{original}.*")]:
                target = folder / path.relative_to(finished).with_name(name + path.name.removeprefix(original))
                if path.is_dir():
                    shutil.copytree(path, target)
                elif path.parent.name in ("costs", "exact_curves"):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, target)


def gathers(finished: Path, folder: Path) -> Iterator[Cost]:
    """What the jobs take that read all cells."""
    measure(folder, "plan", sys.executable, "-m", "scorepath", "plan")
    copy_results(finished, folder)
    for command in ("tables", "cost-tables", "claims"):
        yield measure(folder, f"scorepath {command}", sys.executable, "-m", "scorepath", command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20_000, help="at least so many cells that run")
    parser.add_argument("--folder", type=Path, help="where to build the project; a temporary folder otherwise")
    parser.add_argument("--gathers", type=Path, help="the folder of a finished default study: measure its gathers")
    parser.add_argument("--csv", type=Path, help="write the table here as well")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="scorepath-scale-") as temporary:
        base = arguments.folder or Path(temporary)
        new_project(base / "one", 1)
        measure(base / "one", "plan", sys.executable, "-m", "scorepath", "plan")
        one = Plan.load(base / "one" / "results" / "plan.json")
        cells = len(one.running("gradients")) + len(one.running("training"))
        copies = math.ceil(arguments.cells / cells)
        print(f"{copies * cells} cells: the default study's {cells}, {copies} times; load {os.getloadavg()[0]:.1f}")
        new_project(base / "study", copies)
        print(f"{'':40} {'wall s':>8} {'core-s':>8} {'MB':>6}", flush=True)
        found = []
        study = base / "study"
        for cost in gathers(arguments.gathers, study) if arguments.gathers else costs(study):
            print(
                f"{cost.what:40} {cost.wall_seconds:8.1f} {cost.core_seconds:8.1f} {cost.peak_memory_mb:6}", flush=True
            )
            found.append(cost)
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Cost)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(map(asdict, found))


if __name__ == "__main__":
    main()
